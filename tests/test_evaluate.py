import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from maggan import metrics
from maggan.attributes import ATTRIBUTES, PARTS
from maggan.basics import paths
from maggan.basics.errors import MagganError
from maggan.data import Faces
from maggan.evaluate import protocol as evaluate
from maggan.evaluate import summaries
from maggan.evaluate.judges import Judges
from maggan.profiles import profile

SIZE, FACES, BAR = 32, 40, 2
BALD, BANGS, BLACK, BLOND = 0, 1, 2, 3


def bars(values):
    """A picture with attribute i's value in the i-th pair of rows: (B, 13) -> (B, 3, 32, 32)."""
    images = torch.zeros(len(values), 3, SIZE, SIZE)
    images[:, :, : 13 * BAR] = values.repeat_interleave(BAR, 1)[:, None, :, None]
    return images


class BarReader(torch.nn.Module):
    """A judge that never errs: the logit of attribute i is the brightness of its rows."""

    def forward(self, images):
        return images[:, :, : 13 * BAR].mean((1, 3)).unflatten(1, (13, BAR)).mean(2)

    def features(self, images):
        return self.forward(images)


class Editor:
    """Moves the bar of each changed attribute by `gain` times its change, and the rest of the picture by `leak`."""

    def __init__(self, gain=1.0, leak=0.0, threshold=0.0):
        self.gain, self.leak, self.threshold = gain, leak, threshold

    def __call__(self, images, att_diff, parts, attributes):
        effective = att_diff * (att_diff.abs() > self.threshold)
        edited = images + self.gain * bars(effective)
        edited[:, :, 13 * BAR :] += self.leak * att_diff.abs().amax(1)[:, None, None, None]
        return edited

    def edits(self, images, att_diffs, parts, attributes):
        return torch.stack([self(images, att_diffs[:, k], parts, attributes) for k in range(att_diffs.shape[1])], 1)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Faces of bars at +-0.5, all of them hat (never editable), judged without error."""
    monkeypatch.setenv("MAGGAN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path / "results"))
    attributes = torch.randint(2, (FACES, 13), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    attributes[0, [BLACK, BLOND, BALD, BANGS]] = torch.tensor([0, 1, 0, 1], dtype=torch.uint8)
    images = ((bars(attributes.float() - 0.5) + 1) * 127.5).round().to(torch.uint8)
    parts = torch.zeros(FACES, len(PARTS), SIZE, SIZE, dtype=torch.uint8)
    parts[:, PARTS.index("hat")] = 255

    def fetch(numbers, keys, device):
        return {key: {"images": images, "parts": parts, "attributes": attributes}[key][numbers] for key in keys}

    faces = Faces([f"bars-{i}" for i in range(FACES)], attributes, SIZE, fetch)
    flips = torch.diag_embed(1.0 - 2 * attributes)  # (N, 13, 13)
    truths = faces.batch(range(10)).images.unsqueeze(1) + torch.stack([bars(f) for f in flips[:10]])
    truths = ((truths + 1) * 127.5).round().to(torch.uint8)
    monkeypatch.setattr(evaluate, "open_faces", lambda *_: faces)
    monkeypatch.setattr(evaluate, "load_judges", lambda *_: Judges(BarReader(), BarReader(), BarReader()))
    monkeypatch.setattr(evaluate, "true_counterfactuals", lambda *_: truths)
    monkeypatch.setattr(evaluate, "styled_counterfactuals", lambda *_: None)
    monkeypatch.setattr(evaluate.rulers, "references", lambda *_: None)
    return replace(profile("smoke"), note="")


def value(result, name):
    return result["metrics"][name]["value"]


def test_identity_changes_nothing_and_succeeds_nowhere(bench):
    result = evaluate.evaluate("stgan", bench, device="cpu", generator=evaluate.NoEdit())
    assert value(result, "mre") == value(result, "accuracy_1.0") == value(result, "accuracy_1.5") == 0
    assert value(result, "psnr") is None and result["metrics"]["psnr"]["identical_left_out"] == FACES
    assert value(result, "ssim") == value(result, "judge_on_faces") == 1
    assert value(result, "fid") == pytest.approx(0, abs=1e-3)
    for name in ("mre_floor", "mre_excess", "attribute_leakage", "composition", "reversibility", "minimality",
                 "effectiveness", "accuracy_1.0_second"):  # fmt: skip
        assert value(result, name) == 0, name
    assert value(result, "truth_distance") == pytest.approx(BAR / SIZE, abs=1e-3)  # one bar, changed by 1


def test_perfect_editor_has_known_values(bench):
    result = evaluate.evaluate("stgan", bench, device="cpu", generator=Editor())
    for name in ("accuracy_1.0", "accuracy_1.5", "accuracy_1.0_add", "accuracy_1.5_remove", "accuracy_1.0_readable"):
        assert value(result, name) == 1
    # Nothing may change on a hat: a bar of 2 rows in 32 moved by 1, in each of the 13 flips.
    assert value(result, "mre") == pytest.approx(BAR / SIZE, rel=1e-5)
    assert result["per_attribute"]["Male"]["mre"]["value"] == pytest.approx(BAR / SIZE, rel=1e-5)
    assert value(result, "truth_distance") < 1 / 255
    assert result["metrics"]["truth_distance"]["n"] == 10 * 13 and result["metrics"]["mre"]["n"] == FACES * 13
    assert value(result, "fid") > 0.02
    assert value(result, "mre_floor") == value(result, "composition") == 0  # it rebuilds a face as it was
    assert value(result, "mre_excess") == value(result, "mre") == result["per_attribute"]["Male"]["mre_excess"]["value"]
    assert value(result, "accuracy_1.5_second") == 1 and value(result, "minimality") == 0
    # none but the flipped bar changes; released conflicts do not count; success is on the diagonal
    assert value(result, "attribute_leakage") == 0
    assert result["attribute_leakage"] == [[float(i == j) for j in range(13)] for i in range(13)]
    assert value(result, "reversibility") == pytest.approx(0, abs=1e-6)
    assert result["metrics"]["reversibility"]["n"] == FACES * 13


def test_attribute_leakage_counts_what_else_is_read(bench):
    class Beards(Editor):
        """Whoever gets glasses gets a beard too."""

        def __call__(self, images, att_diff, parts, attributes):
            glasses, beard = ATTRIBUTES.index("Eyeglasses"), ATTRIBUTES.index("No_Beard")
            more = att_diff.clone()
            more[:, beard] -= att_diff[:, glasses].clamp(min=0) * attributes[:, beard]
            return super().__call__(images, more, parts, attributes)

    result = evaluate.evaluate("stgan", bench, device="cpu", generator=Beards())
    labels = evaluate.open_faces(bench, "test").attributes
    glasses, beard = ATTRIBUTES.index("Eyeglasses"), ATTRIBUTES.index("No_Beard")
    share = ((labels[:, glasses] == 0) & (labels[:, beard] == 1)).float().mean().item()
    matrix = np.array(result["attribute_leakage"])
    assert matrix[glasses, beard] == pytest.approx(share, rel=1e-4) and 0 < share < 1
    assert matrix.sum() == pytest.approx(13 + share, rel=1e-4)
    assert value(result, "attribute_leakage") == pytest.approx(share / (13 * 12), rel=1e-4)
    assert result["per_attribute"]["Eyeglasses"]["attribute_leakage"]["value"] == pytest.approx(share / 12, rel=1e-4)
    assert result["per_attribute"]["Male"]["attribute_leakage"]["value"] == 0


def test_what_releases_conflicts_is_not_leakage_but_other_changes_of_them_are(bench):
    """A plain flip of black hair that leaves blond hair alone does not leak; one that takes bangs too does."""

    class Takes(Editor):
        def __call__(self, images, att_diff, parts, attributes):
            more = att_diff.clone()
            more[:, BANGS] -= (att_diff[:, BLACK] > 0) * attributes[:, BANGS]
            return super().__call__(images, more, parts, attributes)

    result = evaluate.evaluate("stgan", bench, device="cpu", generator=Takes())
    labels = evaluate.open_faces(bench, "test").attributes
    matrix = np.array(result["attribute_leakage"])
    assert matrix[BLACK, BLOND] == 0  # released, and so of no weight
    share = ((labels[:, BLACK] == 0) & (labels[:, BANGS] == 1)).float().mean().item()
    assert matrix[BLACK, BANGS] == pytest.approx(share, rel=1e-4)


def test_effectiveness_wants_all_that_the_true_edit_has(bench):
    result = evaluate.evaluate("stgan", bench, device="cpu", generator=Editor())
    # taking a beard's absence from a face with a mustache takes the mustache, which a single flip does not
    labels = evaluate.open_faces(bench, "test").attributes[:10].float()
    wanted = evaluate.wanted_attributes(labels)
    plain = evaluate.released_flips(labels) + labels[:, None]
    expected = (wanted == plain).all(2).float().mean(0)
    assert value(result, "effectiveness") == pytest.approx(expected.mean().item(), rel=1e-4) and expected.min() < 1
    entry = result["per_attribute"]["Male"]["effectiveness"]
    assert entry["value"] == 1 and entry["n"] == 10 and entry["interval"].startswith("Wilson")


def test_the_floor_is_the_reconstructions_and_the_way_back_counts_twice(bench):
    class Darkens(Editor):
        """Whatever it does, all gets darker by 0.1."""

        def __call__(self, images, att_diff, parts, attributes):
            return super().__call__(images, att_diff, parts, attributes) - 0.1

    result = evaluate.evaluate("stgan", bench, device="cpu", generator=Darkens())
    assert value(result, "composition") == value(result, "mre_floor") == pytest.approx(0.1, rel=1e-4)
    assert value(result, "reversibility") == pytest.approx(0.2, rel=1e-4)
    # where the bar rises by 1 the dark takes 0.1 of it, where it falls it adds as much
    assert value(result, "mre_excess") == pytest.approx(value(result, "mre") - 0.1, rel=1e-3)
    assert value(result, "minimality") == pytest.approx(0.1, rel=1e-3)
    assert result["per_attribute"]["Bald"]["mre_floor"]["n"] == FACES


def test_the_way_back_starts_from_the_targets_attributes(bench):
    seen = []

    class Records(Editor):
        def __call__(self, images, att_diff, parts, attributes):
            seen.append((att_diff, attributes))
            return super().__call__(images, att_diff, parts, attributes)

    batch = evaluate.open_faces(bench, "test").batch(range(3))
    plain = evaluate.flipped(Editor(), batch, 1.0)
    back = evaluate.reversibility(Records(), batch, plain)
    assert back.shape == (3, 13) and back.abs().max() < 1e-6
    for att_diff, attributes in seen:
        assert (att_diff.abs().sum(1) == 1).all()
        assert ((attributes + att_diff >= 0) & (attributes + att_diff <= 1)).all()


def test_photos_have_what_needs_no_true_edit(bench):
    result = evaluate.evaluate("stgan", replace(bench, world="celeba"), device="cpu", generator=Editor())
    found = set(result["metrics"])
    plain = {"mre_floor", "mre_excess", "attribute_leakage", "composition", "reversibility", "accuracy_1.0_second"}
    assert plain <= found
    absent = ("truth", "no_edit", "minimality", "effectiveness", "seam_excess")
    assert not [name for name in found if name.startswith(absent)]


def test_single_faces_are_kept(bench):
    result = evaluate.evaluate("stgan", bench, device="cpu", generator=Editor(gain=0.8))
    file = paths.metrics_file("stgan", bench).with_suffix(".faces.npz")
    with np.load(file) as kept:
        arrays = {name: kept[name] for name in kept}
    assert arrays["names"].tolist() == [f"bars-{i}" for i in range(FACES)]
    assert arrays["logits_1.0"].shape == arrays["logits_1.5"].shape == (FACES, 13, 13)
    assert arrays["logits_1.0"].dtype == np.float16 and arrays["success_1.0"].dtype == np.uint8
    for name, metric in (("mre", "mre"), ("mre_floor", "mre_floor"), ("success_1.0", "accuracy_1.0"),
                         ("success_1.5_second", "accuracy_1.5_second"), ("ssim", "ssim")):  # fmt: skip
        assert arrays[name].astype(float).mean() == pytest.approx(value(result, metric), rel=1e-5), name
    assert arrays["truth_distance"].shape == arrays["effective"].shape == (10, 13)
    success = metrics.edit_success(torch.tensor(arrays["logits_1.0"]), torch.tensor(arrays["attributes"]))
    assert np.array_equal(success.numpy(), arrays["success_1.0"])


def test_strengths_directions_and_leaks_are_told_apart(bench):
    result = evaluate.evaluate("stgan", bench, device="cpu", generator=Editor(threshold=1.2, leak=0.25))
    assert value(result, "accuracy_1.0") == 0 and value(result, "accuracy_1.5") == 1
    assert value(result, "mre") == pytest.approx(0.25 * (SIZE - 13 * BAR) / SIZE, rel=1e-4)

    class OnlyAdds(Editor):
        def __call__(self, images, att_diff, parts, attributes):
            return super().__call__(images, att_diff.clamp(min=0), parts, attributes)

    result = evaluate.evaluate("stgan", bench, device="cpu", generator=OnlyAdds())
    assert value(result, "accuracy_1.0_add") == 1 and value(result, "accuracy_1.0_remove") == 0
    per = result["per_attribute"]["Eyeglasses"]
    assert per["accuracy_1.0_add"]["n"] + per["accuracy_1.0_remove"]["n"] == per["accuracy_1.0"]["n"] == FACES
    assert per["accuracy_1.0"]["value"] == pytest.approx(per["accuracy_1.0_add"]["n"] / FACES, rel=1e-4)


def test_leakage_is_the_change_outside_over_the_change_inside():
    # the third edit leaks all its change, the fourth changes nothing
    inside = torch.tensor([[0.1] * 13, [0.3] * 13, [0.0] * 13, [0.0] * 13]).numpy()
    outside = torch.tensor([[0.1] * 13, [0.1] * 13, [0.2] * 13, [0.0] * 13]).numpy()
    attributes = torch.zeros(4, 13).numpy()
    taken = {"attributes": attributes, "hat": attributes[:, 0] > 0, "mre": outside, "change": inside + outside}
    leakage = summaries.summarise(taken)["metrics"]["leakage"]
    assert leakage["value"] == pytest.approx(0.4 / 0.4)


def test_the_curve_follows_the_strength_and_its_area_counts_what_is_reachable(bench, monkeypatch):
    monkeypatch.setattr(summaries, "CURVE_FACES", 20)
    monkeypatch.setattr(evaluate, "CURVE_FACES", 20)
    result = evaluate.evaluate("stgan", bench, device="cpu", generator=Editor(gain=0.8, threshold=0.4))
    curve = {point["strength"]: point for point in result["curve"]}
    assert list(curve) == list(summaries.CURVE) and all(point["mre"]["n"] == 20 * 13 for point in curve.values())
    assert curve[0.25]["accuracy"]["value"] == 0 and curve[1.0]["accuracy"]["value"] == 1
    for strength in (0.5, 1.0, 2.0):  # all faces of bars are hat, so every change is an error
        assert curve[strength]["mre"]["value"] == pytest.approx(0.8 * strength * BAR / SIZE, rel=1e-4)
    assert result["metrics"]["mre_1.5"]["value"] == pytest.approx(1.2 * BAR / SIZE, rel=1e-4)
    assert not {"mre_0.25", "accuracy_2.0"} & set(result["metrics"])
    # 0 up to the MRE of strength 0.5, where nothing is reached yet; all from that of 1.0 on; straight between
    error = 0.8 * BAR / SIZE
    expected = 1 - (error / 2 + error) / 2 / summaries.LARGEST_ERROR
    assert result["metrics"]["area"]["value"] == pytest.approx(expected, abs=0.01)


def test_success_within_takes_the_best_of_what_a_budget_allows():
    assert metrics.success_within([0.0, 0.0], [0.3, 0.5], 0.1) == pytest.approx(0.5)
    assert metrics.success_within([0.2, 0.3], [0.9, 1.0], 0.1) == 0  # every point is beyond the budgets
    turned = metrics.success_within([0.02, 0.04, 0.06], [0.2, 0.8, 0.4], 0.1)  # more strength, less success
    assert turned == pytest.approx((0.02 * 0.5 + 0.06 * 0.8) / 0.1, abs=0.01)


def test_blending_takes_the_change_outside_and_leaves_a_seam():
    preserved = torch.zeros(1, 13, 1, 8, 8)
    preserved[..., 4:] = 1  # the right half is to be left alone
    ramp = torch.linspace(-0.5, 0.5, 8).expand(1, 13, 3, 8, 8)
    shifted = ramp + 0.3
    mixed = preserved * ramp + (1 - preserved) * shifted
    energies = [metrics.rim_energy(picture, preserved) for picture in (ramp, shifted, mixed)]
    assert torch.allclose(energies[0], energies[1])  # an even change has no seam
    step = 1 / 7
    assert torch.allclose(energies[2] / energies[0], torch.full((1, 13), (step - 0.3) ** 2 / step**2), rtol=1e-4)
    zero = metrics.rim_energy(ramp, torch.ones_like(preserved))
    assert (zero == 0).all()  # a mask without a rim


def test_blending_and_seams_of_a_row(bench, monkeypatch):
    faces = evaluate.open_faces(bench, "test")
    half = torch.zeros(FACES, len(PARTS), SIZE, SIZE, dtype=torch.uint8)
    half[:, PARTS.index("hat"), :, : SIZE // 2] = 255
    half[:, PARTS.index("skin"), :, SIZE // 2 :] = 255
    fetch, ramp = faces._fetch, torch.arange(100, 100 + SIZE, dtype=torch.uint8)

    def in_halves(numbers, keys, device):
        found = fetch(numbers, keys, device)
        if "parts" in keys:
            found["parts"] = half[numbers]
        found["images"] = found["images"].clone()
        found["images"][:, :, 13 * BAR :] = ramp  # a rim has something to be compared with
        return found

    monkeypatch.setattr(faces, "_fetch", in_halves)
    result = evaluate.evaluate("stgan", bench, device="cpu", generator=Editor(leak=0.3))
    pale = result["per_attribute"]["Pale_Skin"]  # may change skin, the right half
    assert pale["mre_blended"]["value"] == pytest.approx(0, abs=1e-6) and pale["mre"]["value"] > 0.02
    step = 2 / 255  # of the ramp, in [-1, 1]
    assert pale["seam"]["value"] == pytest.approx(1, rel=1e-3)
    assert pale["seam_blended"]["value"] > ((0.3 - step) / step) ** 2 * 0.9
    hair = result["per_attribute"]["Black_Hair"]  # no hair anywhere: no rim to have a seam on
    assert hair["seam"]["value"] is None and hair["seam"]["n"] == 0


def test_adding_and_removing_are_apart_in_mre_too(bench):
    class OnlyAdds(Editor):
        def __call__(self, images, att_diff, parts, attributes):
            return super().__call__(images, att_diff.clamp(min=0), parts, attributes)

    result = evaluate.evaluate("stgan", bench, device="cpu", generator=OnlyAdds())
    assert value(result, "mre_remove") == 0 and value(result, "mre_add") == pytest.approx(BAR / SIZE, rel=1e-4)


def test_a_row_that_returns_no_numbers_is_refused(bench):
    class Broken(Editor):
        def __call__(self, images, att_diff, parts, attributes):
            return images * float("nan")

    with pytest.raises(MagganError, match="row stgan: .* is not a number"):
        evaluate.evaluate("stgan", bench, device="cpu", generator=Broken())
    assert not paths.metrics_file("stgan", bench).exists()


def test_single_attributes_have_wilsons_interval(bench):
    result = evaluate.evaluate("stgan", bench, device="cpu", generator=Editor())
    entry = result["per_attribute"]["Male"]["accuracy_1.0"]
    assert entry["value"] == 1 and entry["low"] == pytest.approx(FACES / (FACES + 1.96**2), rel=1e-3)
    assert entry["interval"].startswith("Wilson")
    share, low, high = metrics.wilson_interval(15, 40)
    assert (share, low, high) == pytest.approx((0.375, 0.2422, 0.5297), abs=1e-4)  # by hand


def test_cost_counts_parameters_and_multiply_adds(bench):
    class OneConvolution(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, images, att_diff, parts, attributes):
            return self.layer(images)

    found = evaluate.cost(OneConvolution(), evaluate.open_faces(bench, "test"), "cpu")
    assert found == {"parameters": 3 * 3 * 9 + 3, "multiply_adds": SIZE * SIZE * 3 * 3 * 9}
    assert evaluate.cost(evaluate.NoEdit(), None, "cpu") == {"parameters": 0, "multiply_adds": 0}


def test_success_by_a_bad_reconstruction_is_not_readable(bench):
    class Inverts(Editor):
        def __call__(self, images, att_diff, parts, attributes):
            return -images

    result = evaluate.evaluate("stgan", bench, device="cpu", generator=Inverts())
    assert value(result, "accuracy_1.0") == 1 and value(result, "judge_on_reconstructions") == 0
    # all faces of bars wear a hat
    assert result["metrics"]["accuracy_1.0_with_hat"] == result["metrics"]["accuracy_1.0"]
    assert result["metrics"]["accuracy_1.0_without_hat"]["value"] is None
    readable = result["metrics"]["accuracy_1.0_readable"]
    assert readable["value"] is None and readable["n"] == 0


def test_conflicts_are_released_for_accuracy_but_not_for_mre(bench):
    seen = []

    class Records(Editor):
        def __call__(self, images, att_diff, parts, attributes):
            seen.append(att_diff)
            return super().__call__(images, att_diff, parts, attributes)

    faces = evaluate.open_faces(bench, "test").batch([0])
    editor = Records()
    plain = editor.edits(faces.images, evaluate.single_flips(faces.attributes), faces.parts, faces.attributes)
    seen.clear()
    released = evaluate.released_edits(editor, faces, plain)
    changed = torch.cat(seen)
    assert (changed.abs().sum(1) >= 2).all()  # only the flips that release something are edited again
    black = changed[changed[:, BLACK] == 1][0]
    assert black[BLOND] == -1
    assert not torch.equal(released[0, BLACK], plain[0, BLACK])
    male = ATTRIBUTES.index("Male")
    assert torch.equal(released[0, male], plain[0, male])


def test_true_edit_is_the_floor_over_the_faces_that_have_one(bench):
    result = evaluate.evaluate("true-edit", bench, device="cpu")
    assert result["faces"] == 10 and value(result, "accuracy_1.0") == 1
    assert value(result, "truth_distance") == 0
    assert not {"psnr", "ssim", "accuracy_1.5", "accuracy_1.5_add", "composition"} & set(result["metrics"])
    assert value(result, "mre_floor") == value(result, "minimality") == 0


def test_same_seed_twice_is_the_same_file_but_for_times(bench):
    file = paths.metrics_file("stgan", bench)
    texts = []
    for _ in range(2):
        evaluate.evaluate("stgan", bench, device="cpu", generator=Editor())
        result = json.loads(file.read_text())
        assert set(result.pop("wall_seconds")) == {"train", "evaluate", "edit"} and "peak_memory_mb" in result
        kept = [file.with_suffix(suffix).read_bytes() for suffix in (".npz", ".faces.npz")]
        texts.append((json.dumps(result), kept))
    assert texts[0] == texts[1]


def test_fid_is_filled_in_where_clean_fid_is_installed(bench, monkeypatch):
    def missing(*_):
        raise MagganError("no clean-fid")

    with monkeypatch.context() as without:
        without.setattr(metrics, "frechet_of_statistics", missing)
        result = evaluate.evaluate("stgan", bench, device="cpu", generator=Editor())
        assert "fid" not in result["metrics"] and "clean-fid" in result["notes"][0]
    file = paths.metrics_file("stgan", bench)
    filled = summaries.add_fid(file)
    direct = evaluate.evaluate("stgan", bench, device="cpu", generator=Editor())
    assert filled["notes"] == direct["notes"] == []
    assert filled["metrics"]["fid"] == pytest.approx(direct["metrics"]["fid"])
    fid = filled["metrics"]["fid"]
    assert fid["low"] < fid["value"] < fid["high"]
    assert filled["metrics"]["kid"] == direct["metrics"]["kid"]


def test_frechet_deviation_is_of_the_distance_that_clean_fid_gives():
    random = np.random.default_rng(0)
    faces = random.normal(size=(800, 4))
    edits = random.normal(size=(800, 13, 4)) + 0.3
    trials = []
    for _ in range(60):
        a, b = random.normal(size=(800, 4)), random.normal(size=(800, 13, 4)) + 0.3
        trials.append(metrics.frechet_distance(a, b.reshape(-1, 4)))
    deviation = metrics.frechet_deviation(faces, edits, resamples=60)
    assert 0.6 < deviation / np.std(trials) < 1.6


@pytest.mark.parametrize(
    "row, message",
    [
        ("stgann", "did you mean 'stgan'"),
        ("stgan", "python -m maggan.train stgan smoke"),
    ],
)
def test_rows_that_cannot_be_evaluated_say_what_to_do(bench, row, message):
    with pytest.raises(MagganError, match=message):
        evaluate.evaluate(row, bench, device="cpu")
    assert not paths.metrics_file(row, bench).exists()


def test_photos_have_no_true_edit(bench):
    with pytest.raises(MagganError, match="needs drawn faces"):
        evaluate.evaluate("true-edit", profile("celeba64"), device="cpu")
