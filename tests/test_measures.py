"""The measures beyond the paper's: by hand on tiny cases, and as they come out for no edit and for the true edit."""

import json

import numpy as np
import pytest
import torch

from maggan import metrics
from maggan.attributes import ATTRIBUTES, released_flips, single_flips
from maggan.basics import paths
from maggan.data import open_faces, source
from maggan.drawnfaces import draw, draw_flipped
from maggan.evaluate import rulers, truths
from maggan.evaluate.judges import load_judges, train_judges
from maggan.evaluate.protocol import evaluate
from maggan.profiles import profile
from maggan.regions import blend, preserved_mask
from maggan.systems import build_generator
from maggan.variants import resolve

SMOKE = profile("smoke")


# by hand ------------------------------------------------------------------------------------------------------------


def test_a_reading_changes_where_its_sign_does():
    of_faces = torch.tensor([[1.0, -1.0] + [-2.0] * 11])
    logits = of_faces.repeat(13, 1)[None].clone()
    logits[0, 0, 1], logits[0, 3, 0] = 0.5, -0.1
    changed = metrics.readings_changed(logits, of_faces)[0]
    assert changed.nonzero().tolist() == [[0, 1], [3, 0]]


def test_all_thirteen_must_be_read():
    wanted = torch.zeros(1, 13, 13)
    wanted[0, 2, 5] = 1
    logits = torch.where(wanted > 0, 3.0, -3.0)
    assert metrics.all_read(logits, wanted).all()
    logits[0, 2, 5] = logits[0, 7, 1] = -0.1
    logits[0, 8, 1] = 0.1
    assert (~metrics.all_read(logits, wanted)[0]).nonzero().flatten().tolist() == [2, 8]


def test_minimality_counts_what_the_true_edit_leaves():
    images = torch.zeros(1, 3, 4, 4)
    true = images[:, None].repeat(1, 13, 1, 1, 1)
    true[..., 0, :2, :] = 2 / 127.5  # the upper half changes by two levels in one channel,
    true[..., 2:, :] = 1 / 127.5  # the lower by one: it is left as it is
    edits = torch.full((1, 13, 3, 4, 4), 0.5)
    edits[..., 2:, :] = 0.1
    assert torch.allclose(metrics.change_where_kept(images, edits, true), torch.full((1, 13), 0.1))
    everywhere = torch.ones_like(true)  # nothing is left: nothing to count
    assert (metrics.change_where_kept(images, edits, everywhere) == 0).all()


def test_new_steps_by_hand():
    preserved = torch.zeros(1, 13, 1, 2, 8)
    preserved[..., 4:] = 1  # a hard rim between the fourth and the fifth pixel of both lines
    ramp = torch.linspace(0, 0.7, 8).expand(1, 3, 2, 8)
    true = ramp[:, None].expand(1, 13, 3, 2, 8)
    pasted = true + 0.2 * (1 - preserved)  # a step of 0.1 - 0.2 across the rim, as large as there was
    value, weight = metrics.seam_excess(ramp, pasted, true, preserved)
    assert torch.allclose(value, torch.zeros(1, 13), atol=1e-5)
    assert torch.allclose(weight, torch.full((1, 13), 6 * 0.01), atol=1e-6)
    pasted = true - 0.2 * (1 - preserved)  # 0.3 instead of 0.1
    value, _ = metrics.seam_excess(ramp, pasted, true, preserved)
    assert torch.allclose(value, torch.full((1, 13), (0.09 - 0.01) / 0.01), rtol=1e-3)
    value, _ = metrics.seam_excess(ramp, pasted, true, torch.ones_like(preserved))
    assert (value == 0).all()  # a mask without a rim


def test_kernel_distance_by_hand_and_its_variance():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(5, 2)), random.normal(size=(4, 2)) + 0.5

    def k(a, b):
        return (a @ b / 2 + 1) ** 3

    expected = (
        np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
        + np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
        - 2 * np.mean([k(a, b) for a in x for b in y])
    )
    value, of_x, of_y = rulers.kernel_shares(x, y)
    assert value == pytest.approx(expected) and of_x.shape == (5,) and of_y.shape == (4,)
    trials, said = [], []
    for _ in range(200):
        x, y = random.normal(size=(80, 3)), random.normal(size=(60, 3)) + 0.6
        value, of_x, of_y = rulers.kernel_shares(x, y)
        trials.append(value)
        said.append(np.sqrt(np.square(of_x).sum() + np.square(of_y).sum()))
    assert 0.75 < np.mean(said) / np.std(trials) < 1.3


# the seam score -----------------------------------------------------------------------------------------------------


def test_the_seam_score_tells_a_pasted_edge_from_blur_noise_and_a_failed_edit():
    faces = draw(range(24), 64)
    x, preserved = faces.images, metrics.preserved_of_flips(faces.parts, faces.attributes)
    true = torch.stack([draw_flipped(range(24), 64, name).images for name in ATTRIBUTES], 1)
    hard, sources = (preserved > 0.5).float(), x[:, None].expand_as(true)
    blurred = torch.nn.functional.avg_pool2d(true.flatten(0, 1), 3, 1, 1).view_as(true)
    noise = 0.05 * torch.randn(true.shape, generator=torch.Generator().manual_seed(0))

    def score(edits):
        value, weight = metrics.seam_excess(x, edits, true, preserved)
        return ((value * weight).sum(0) / weight.sum(0).clamp(min=1e-9)).mean().item()

    pasted, faint = (score(true + offset * (1 - hard)) for offset in (0.2, 0.1))
    assert score(true) == 0 and score(sources) == 0
    assert pasted > 0.15 and faint > 0.05 and score(true - 0.2 * (1 - hard)) > 0.1
    for harmless in (true + 0.2, blurred, true + noise, true + 0.5 * (true - blurred), 0.5 * (true + sources)):
        assert score(harmless) < 0.02
    assert score(blend(sources, true + 0.2, preserved)) > 0.05  # eq. 13 of an edit of another colour leaves a seam


# FID and KID by attribute -------------------------------------------------------------------------------------------


@pytest.fixture
def clouds():
    """Features of 120 faces' edits, four wide, of 300 real faces and of the true edits of the first 100 faces."""
    random = np.random.default_rng(0)
    attributes = (random.random((120, 13)) < 0.4).astype(np.float32)
    attributes[:90, ATTRIBUTES.index("No_Beard")] = 1  # 30 lack it: too few
    attributes[90:, ATTRIBUTES.index("No_Beard")] = 0
    edits = random.normal(size=(120, 13, 4))
    has = random.random((300, 13)) < 0.5
    has[:, ATTRIBUTES.index("Bald")] = np.arange(300) < 20
    return edits, attributes, rulers.References(random.normal(size=(300, 4)), has, edits[:100] + 0.0)


def test_edits_are_compared_with_faces_that_have_what_they_add(clouds):
    edits, attributes, of = clouds
    i = ATTRIBUTES.index("Eyeglasses")
    edits[:, i] += 2 * attributes[:, i, None]  # where they take it off they may look as they like
    overall, each, left_out = rulers.by_attribute(edits, attributes, of._replace(true=None))
    assert left_out == {"kid_added": ["Bald", "No_Beard"], "fid_added": ["Bald", "No_Beard"]}
    assert set(overall) == {"kid_added", "fid_added"} and each["Bald"] == {}
    expected = metrics.frechet_distance(edits[attributes[:, i] == 0, i], of.real[of.has[:, i]])
    assert each["Eyeglasses"]["fid_added"]["value"] == pytest.approx(expected, rel=1e-6)
    values = [each[name]["fid_added"]["value"] for name in ATTRIBUTES if each[name]]
    assert overall["fid_added"]["value"] == pytest.approx(np.mean(values)) and len(values) == 11
    kid = each["Eyeglasses"]["kid_added"]
    assert kid["low"] < 0 < kid["high"] and kid["n"] == int((attributes[:, i] == 0).sum())  # the same distribution


def test_edits_off_the_truth_score_worse_and_a_bad_ruler_says_so(clouds):
    edits, attributes, of = clouds
    same, _, _ = rulers.by_attribute(edits, attributes, of)
    assert same["fid_truth"]["value"] == pytest.approx(0, abs=1e-5)
    assert same["kid_truth"]["value"] < 0.05 and "cannot_judge" not in same["kid_added"]
    off, each, _ = rulers.by_attribute(edits + 1, attributes, of)
    assert off["kid_truth"]["low"] > 0 and off["fid_truth"]["value"] > 1 and "cannot_judge" not in off["fid_added"]
    # were the true edits far from real faces, the ruler would prefer these edits
    bad, each, _ = rulers.by_attribute(edits, attributes, of._replace(true=of.true + 2))
    for entry in (bad["fid_added"], bad["kid_added"], each["Male"]["kid_added"]):
        assert entry["cannot_judge"].startswith("the true edits score worse by it (")
    assert "cannot_judge" not in bad["fid_truth"]


def test_of_many_features_there_is_no_fid_by_attribute():
    random = np.random.default_rng(0)
    attributes, edits = np.zeros((60, 13), np.float32), random.normal(size=(60, 13, 600))
    of = rulers.References(random.normal(size=(80, 600)), np.ones((80, 13), bool), None)
    assert set(rulers.by_attribute(edits, attributes, of)[0]) == {"kid_added"}


def test_real_faces_are_enough_of_each_attribute_and_no_more_than_needed():
    attributes = (torch.rand(4000, 13, generator=torch.Generator().manual_seed(0)) < 0.5).to(torch.uint8)
    attributes[:, 0] = (torch.arange(4000) >= 3990).to(torch.uint8)  # a rare one, had by the last
    some = rulers.sampled(attributes, most=100)
    counts = attributes[some].sum(0)
    assert counts[0] == 10 and (counts[1:] >= 100).all() and len(some) < 500
    assert torch.equal(some, rulers.sampled(attributes, most=100)) and (some.diff() > 0).all()


# true edits in other styles, and the whole protocol -----------------------------------------------------------------


@pytest.fixture
def judged(runs):
    train_judges(SMOKE, device="cpu")
    return runs


def test_the_nearest_true_edit_is_the_smallest_of_six_distances(runs, monkeypatch):
    styles = truths.styled_counterfactuals(SMOKE)
    assert styles.row.shape == (16, 13) and styles.images.shape[1:] == (5, 3, 32, 32)
    assert int(styles.row.max()) + 1 == len(styles.images) == int((styles.row >= 0).sum())
    glasses = ATTRIBUTES.index("Eyeglasses")
    face = int((styles.row[:, glasses] >= 0).nonzero()[1])
    images = draw([source(SMOKE, "test").seeds[face]], 32).images[:, None].repeat(1, 13, 1, 1, 1)
    others = styles.images[styles.row[face, glasses]].float() / 127.5 - 1
    expected = min(0.03, (images[0, glasses] - others).abs().mean(dim=(1, 2, 3)).min().item())
    found = styles.distance(images, face, torch.full((1, 13), 0.03))
    assert found[0, glasses].item() == pytest.approx(expected, rel=1e-5)
    assert found[0, ATTRIBUTES.index("Pale_Skin")] == pytest.approx(0.03)  # nothing to choose
    assert styles.distance(others[None, [2] * 13], face, torch.full((1, 13), 0.03))[0, glasses] == 0
    monkeypatch.setattr(truths, "draw_restyled", None)  # they are drawn once
    assert torch.equal(truths.styled_counterfactuals(SMOKE).images, styles.images)
    assert truths.styled_counterfactuals(profile("celeba64")) is None


def test_no_edit_and_the_true_edit_measure_as_they_should(judged):
    none, true = (evaluate(row, SMOKE, device="cpu") for row in ("no-edit", "true-edit"))
    value = {row["row"]: {name: each["value"] for name, each in row["metrics"].items()} for row in (none, true)}
    for name in ("mre_floor", "mre_excess", "attribute_leakage", "composition", "reversibility", "minimality",
                 "truth_gain", "seam_excess"):  # fmt: skip
        assert value["no-edit"][name] == 0, name
    assert 0 < value["no-edit"]["no_edit_distance_nearest"] < value["no-edit"]["no_edit_distance"]
    for one, other in (("truth_distance", "no_edit_distance"), ("truth_distance_nearest", "no_edit_distance_nearest")):
        assert value["no-edit"][one] == pytest.approx(value["true-edit"][other])
    assert value["true-edit"]["mre_floor"] == value["true-edit"]["truth_distance_nearest"] == 0
    assert value["true-edit"]["truth_gain"] == pytest.approx(value["no-edit"]["no_edit_distance_nearest"])
    assert value["true-edit"]["minimality"] < 1e-3 and value["true-edit"]["seam_excess"] == 0
    # its own pixels are what the judge's ceiling is measured on
    report = json.loads(paths.judges_file(SMOKE).read_text())
    ceiling = {name: report[name]["counterfactuals"]["mean"] for name in ("classifier", "second")}
    assert value["true-edit"]["accuracy_1.0"] == pytest.approx(ceiling["classifier"], abs=1e-4)
    assert value["true-edit"]["accuracy_1.0_second"] == pytest.approx(ceiling["second"], abs=1e-4)
    assert true["left_out"]["kid_added"] == list(ATTRIBUTES)  # 16 faces are too few of everything
    assert {len(row) for row in none["attribute_leakage"]} == {13} == {len(none["attribute_leakage"])}


def test_the_protocol_measures_what_a_plain_loop_does(judged):
    """One face, one flip, one network at a time, and batch norms as they are."""
    torch.manual_seed(0)
    generator = build_generator(resolve("maggan", SMOKE)).eval().requires_grad_(False)
    result = evaluate("maggan", SMOKE, device="cpu", generator=generator)
    faces, judges, true = open_faces(SMOKE, "test"), load_judges(SMOKE), truths.true_counterfactuals(SMOKE)
    styles, found = truths.styled_counterfactuals(SMOKE), {}

    def note(name, value):
        found.setdefault(name, []).append(float(value))

    for i in range(len(faces)):
        batch = faces.batch([i])
        x, parts, labels = batch
        nothing = torch.zeros_like(labels)
        rebuilt = generator(x, nothing, parts, labels)
        note("psnr", metrics.psnr(x, rebuilt))
        note("ssim", metrics.ssim(x, rebuilt))
        note("composition", (rebuilt - x).abs().mean())
        read = judges.classifier(x)[0] > 0
        for k in range(13):
            d = single_flips(labels)[:, k]
            preserved = preserved_mask(parts, d)
            edit, truth = generator(x, d, parts, labels), true[i, k].float() / 127.5 - 1
            error, floor = ((preserved * (each - x)).abs().mean() for each in (edit, rebuilt))
            note("mre", error)
            note("mre_floor", floor)
            note("mre_excess", error - floor)
            back = generator(edit, -d, parts, labels + d)
            note("reversibility", (back - x).abs().mean())
            distance, nothing_done = (edit - truth).abs().mean(), (x - truth).abs().mean()
            note("truth_distance", distance)
            if i < len(styles.row):
                row = int(styles.row[i, k])
                others = [each.float() / 127.5 - 1 for each in styles.images[row]] if row >= 0 else []
                nearest, of_source = (min([first, *((one - other).abs().mean() for other in others)])
                                      for first, one in ((distance, edit), (nothing_done, x)))  # fmt: skip
                note("truth_distance_nearest", nearest)
                note("truth_gain", of_source - nearest)
            logits = judges.classifier(generator(x, released_flips(labels)[:, k], parts, labels))[0]
            note("accuracy_1.0", (logits[k] > 0) != (labels[0, k] > 0))
            wanted = truths.wanted_attributes(labels)[0, k] > 0
            note("effectiveness", ((logits > 0) == wanted).all())
            released = released_flips(labels)[0, k] != single_flips(labels)[0, k]
            for j in range(13):
                if j != k and not released[j]:
                    found.setdefault(f"leaks {k} {j}", []).append(float((logits[j] > 0) != read[j]))
    leaks = [np.mean(values) for name, values in list(found.items()) if name.startswith("leaks")]
    means = {name: np.mean(values) for name, values in found.items() if not name.startswith("leaks")}
    for name, mean in {**means, "attribute_leakage": np.mean(leaks)}.items():
        assert result["metrics"][name]["value"] == pytest.approx(mean, abs=1e-4), name


def test_true_edits_are_at_the_judges_ceiling_in_all_attributes_when_it_reads_the_latents():
    """A judge that never errs reads on every true edit what the edit is to have, and leaks only what is repaired."""
    attributes = draw(range(40), 16).attributes
    wanted = truths.wanted_attributes(attributes)
    for k in range(13):
        assert torch.equal(wanted[:, k], draw_flipped(range(40), 16, k).attributes)
    logits = 2 * wanted - 1
    assert metrics.all_read(logits, wanted).all() and metrics.edit_success(logits, attributes).all()
    changed = metrics.readings_changed(logits, 2 * attributes - 1).float().mean(0).fill_diagonal_(0)
    mustache, no_beard = ATTRIBUTES.index("Mustache"), ATTRIBUTES.index("No_Beard")
    assert changed[mustache, no_beard] > 0.5  # a mustache is a beard
    assert changed.sum() / (13 * 12) < 0.02
