"""Drawing the user study: the same from a seed, with the paper's numbers, and nothing that tells the sides."""

import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from maggan import pretrained
from maggan.attributes import ATTRIBUTES, PARTS, released_flips
from maggan.basics import paths
from maggan.basics.errors import MagganError
from maggan.data import Faces, open_faces
from maggan.data.drawn import FIRST_SEED
from maggan.drawnfaces.latents import sample
from maggan.profiles import profile
from maggan.study import pairs as drawing
from maggan.study.__main__ import main
from maggan.study.folder import Pair, Study
from maggan.systems import build_generator
from maggan.variants import resolve
from maggan.weights import save

SMOKE = profile("smoke")


class Painter:
    """Stands in for a row: paints one colour over the face, and remembers what it was asked for."""

    def __init__(self, channel, stop_after=None):
        self.channel, self.asked, self.stop_after = channel, [], stop_after

    def edits(self, images, att_diffs, parts, attributes):
        if len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append(att_diffs)
        edits = images.unsqueeze(1).repeat(1, att_diffs.shape[1], 1, 1, 1)
        edits[:, :, self.channel] = 1
        return edits


def painters(**options):
    return {"stgan": Painter(0), "maggan": Painter(2, **options)}


def many_faces(count=600):
    """The names and attributes of drawn test faces, without drawing them."""
    seeds = [FIRST_SEED["test"] + i for i in range(count)]
    attributes, latents = sample(torch.tensor(seeds))
    faces = Faces([f"drawn-{seed:08d}" for seed in seeds], attributes, 64, fetch=None)
    return faces, (latents["hat"] + latents["scarf"] > 0).tolist()


GIVEN = {row: {"from": "given", "sha256": None} for row in ("stgan", "maggan")}


@pytest.fixture(scope="module")
def planned():
    faces, hats = many_faces()
    about, left = drawing.plan(profile("drawn64"), faces, GIVEN, seed=0)
    return SimpleNamespace(faces=faces, hats=hats, about=about, left=left, pairs=[Pair(**p) for p in about["pairs"]])


def test_500_pairs_of_100_faces_half_of_them_with_a_hat_or_scarf(planned):
    assert [pair.number for pair in planned.pairs] == list(range(1, 501))
    names = {pair.face: pair.hat for pair in planned.pairs}
    assert len(names) == 100 and sum(names.values()) == 50
    assert all(planned.hats[planned.faces.names.index(name)] == hat for name, hat in names.items())


def test_each_face_gets_five_distinct_attributes_reversed(planned):
    for name in {pair.face for pair in planned.pairs}:
        group = [pair for pair in planned.pairs if pair.face == name]
        assert len({pair.attribute for pair in group}) == len(group) == 5
        had = planned.faces.attributes[planned.faces.names.index(name)]
        assert [pair.direction == "-" for pair in group] == [bool(had[ATTRIBUTES.index(p.attribute)]) for p in group]


def test_each_row_is_on_the_left_in_half_of_either_group(planned):
    for hat in (True, False):
        left = [planned.left[str(pair.number)] for pair in planned.pairs if pair.hat == hat]
        assert left.count("maggan") == left.count("stgan") == 125
        assert "stgan" in left[:10] and "maggan" in left[:10]


def expected_hair(weight, hair=5, other=8, draws=5):
    """The mean number of hair attributes among `draws` drawn one after the other without putting back."""
    if not draws:
        return 0
    p = weight * hair / (weight * hair + other)
    first = p * (1 + expected_hair(weight, hair - 1, other, draws - 1)) if hair else 0
    return first + ((1 - p) * expected_hair(weight, hair, other - 1, draws - 1) if other else 0)


@pytest.mark.parametrize(("hat", "weight"), [(True, 3), (False, 1)])
def test_hair_is_drawn_three_times_as_readily_under_a_hat(hat, weight):
    rng = np.random.default_rng(1)
    drawn = [sum(ATTRIBUTES[i] in drawing.HAIR for i in drawing.choose_attributes(hat, rng)) for _ in range(4000)]
    assert np.mean(drawn) == pytest.approx(expected_hair(weight), abs=0.06)  # 4 standard errors
    assert expected_hair(1) == pytest.approx(25 / 13) and expected_hair(3) > 2.9


def test_another_seed_is_another_study(planned):
    again, left = drawing.plan(profile("drawn64"), planned.faces, GIVEN, seed=0)
    other, other_left = drawing.plan(profile("drawn64"), planned.faces, GIVEN, seed=1)
    assert (again, left) == (planned.about, planned.left)
    assert other["pairs"] != again["pairs"] and other_left != left


def test_on_photos_hats_are_told_by_a_tenth_of_the_picture():
    parts = torch.zeros(3, 19, 10, 10)
    for face, rows in enumerate((0, 1, 2)):
        parts[face, PARTS.index("hat"), :rows] = 1
    faces = SimpleNamespace(names=["a", "b", "c"], batch=lambda indices: SimpleNamespace(parts=parts[indices]))
    assert drawing.wearing(profile("celeba64"), faces, [2, 0, 1]).tolist() == [True, False, False]


def test_no_face_with_a_hat_is_one_line():
    faces, hats = many_faces(60)
    bare = [i for i, hat in enumerate(hats) if not hat]
    faces.names, faces.attributes = [faces.names[i] for i in bare], faces.attributes[bare]
    with pytest.raises(MagganError, match="no test face with a hat or scarf"):
        drawing.plan(profile("drawn64"), faces, GIVEN, seed=0)


def files(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_twice_from_one_seed_is_the_same_byte_for_byte(runs, tmp_path, monkeypatch):
    first = files(drawing.draw_study(SMOKE, generators=painters()).folder)
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path / "again"))
    second = files(drawing.draw_study(SMOKE, generators=painters()).folder)
    assert first == second and {"study.json", "key.json", "notes.md", "pictures/001-left.png"} <= first.keys()
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path / "other"))
    assert files(drawing.draw_study(SMOKE, seed=1, generators=painters()).folder)["key.json"] != first["key.json"]


def test_pictures_lie_where_the_key_says_and_show_the_protocols_edit(runs):
    generators = painters()
    study = drawing.draw_study(SMOKE, generators=generators)
    key, faces = study.key(), open_faces(SMOKE, "test")
    assert set(key) == {pair.number for pair in study.pairs}
    red, blue = (255, None, None), (None, None, 255)
    for pair in study.pairs:
        shown = {which: Image.open(study.picture(pair, which)) for which in ("source", "left", "right")}
        assert {image.size for image in shown.values()} == {(256, 256)}  # 8 times 32 px
        for side in ("left", "right"):
            levels = np.asarray(shown[side])
            painted = red if (key[pair.number] == "stgan") == (side == "left") else blue
            assert all(level is None or (levels[..., i] == level).all() for i, level in enumerate(painted))
    groups = [study.pairs[i : i + 5] for i in range(0, len(study.pairs), 5)]
    for group, *asked in zip(groups, generators["stgan"].asked, generators["maggan"].asked, strict=True):
        had = faces.attributes[[faces.names.index(group[0].face)]].float()
        wanted = released_flips(had)[:, [ATTRIBUTES.index(pair.attribute) for pair in group]]
        assert all(torch.equal(one, wanted) for one in asked)


def test_what_the_page_reads_does_not_tell_the_sides(runs):
    study = drawing.draw_study(SMOKE, generators=painters())
    about = json.loads((study.folder / "study.json").read_text())
    assert all(set(pair) == set(Pair._fields) for pair in about["pairs"])
    assert not any(word in json.dumps(about["pairs"]) for word in ("left", "right", "gan"))
    assert not any("gan" in file.name for file in (study.folder / "pictures").iterdir())


def test_fewer_test_faces_are_said(runs):
    study = drawing.draw_study(SMOKE, generators=painters())
    count = study.about["faces"]["with_hat"]
    assert 0 < count == study.about["faces"]["without_hat"] < 8 and len(study.pairs) == 10 * count
    notes = (study.folder / "notes.md").read_text()
    assert f"Fewer than the paper's 100 faces: only {count} test faces" in notes and "not a result" in notes


def test_an_interrupted_draw_is_no_study_and_goes_on(runs, tmp_path, monkeypatch):
    whole = files(drawing.draw_study(SMOKE, generators=painters()).folder)
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path / "again"))
    with pytest.raises(KeyboardInterrupt):
        drawing.draw_study(SMOKE, generators=painters(stop_after=2))
    with pytest.raises(MagganError, match="make study PROFILE=smoke"):
        Study.open(paths.study_folder(SMOKE))
    generators = painters()
    study = drawing.draw_study(SMOKE, generators=generators)
    assert files(study.folder) == whole
    assert len(generators["maggan"].asked) == len(study.pairs) // 5 - 2  # two faces were done
    generators = painters()
    drawing.draw_study(SMOKE, generators=generators)
    assert not generators["maggan"].asked


def test_a_study_that_people_have_rated_is_never_replaced(runs):
    study = drawing.draw_study(SMOKE, generators=painters())
    before = files(study.folder)
    (study.folder / "votes" / "people").mkdir(parents=True)
    (study.folder / "votes" / "people" / "anna.csv").write_text("time\n")
    with pytest.raises(MagganError, match="people have rated another study"):
        drawing.draw_study(SMOKE, seed=1, generators=painters())
    assert before.items() <= files(study.folder).items()
    assert drawing.draw_study(SMOKE, generators=painters()).id == study.id
    (study.folder / "votes" / "people" / "anna.csv").unlink()
    (study.folder / "votes" / "simulated").mkdir()
    (study.folder / "votes" / "simulated" / "simulated-1.csv").write_text("time\n")
    assert drawing.draw_study(SMOKE, seed=1, generators=painters()).id != study.id
    assert not list((study.folder / "votes" / "simulated").iterdir())


def test_a_study_that_people_have_rated_gets_its_pictures_back(runs):
    study = drawing.draw_study(SMOKE, generators=painters())
    (study.folder / "votes" / "people").mkdir(parents=True)
    (study.folder / "votes" / "people" / "anna.csv").write_text("time\n")
    before = files(study.folder)
    shutil.rmtree(study.folder / "pictures")
    drawing.draw_study(SMOKE, generators=painters())
    assert files(study.folder) == before
    mark = study.folder / "pictures" / ".study"
    mark.unlink()  # copied without hidden files: the pictures stay as they are
    generators = painters()
    drawing.draw_study(SMOKE, generators=generators)
    assert files(study.folder) == before and not generators["maggan"].asked
    mark.write_text("another")  # pictures of another study
    drawing.draw_study(SMOKE, generators=generators)
    assert files(study.folder) == before and len(generators["maggan"].asked) == len(study.pairs) // 5
    mark.unlink()
    with pytest.raises(MagganError, match="people have rated another study"):
        drawing.draw_study(SMOKE, seed=1, generators=painters())
    assert before.items() - files(study.folder).items() == {("pictures/.study", study.id.encode())}


def test_nothing_of_another_study_stays(runs):
    study = drawing.draw_study(SMOKE, generators=painters())
    (study.folder / "simulated.md").write_text("of seed 0")
    (study.folder / "votes" / "people").mkdir(parents=True)
    (study.folder / "votes" / "people" / "anna.csv").touch()  # no vote was saved
    assert drawing.draw_study(SMOKE, seed=1, generators=painters()).id != study.id
    assert not (study.folder / "simulated.md").exists()


def test_a_study_that_is_damaged_is_one_line(runs):
    study = drawing.draw_study(SMOKE, generators=painters())
    about, key = (json.loads((study.folder / name).read_text()) for name in ("study.json", "key.json"))
    pair, (number, *_) = about["pairs"][0], key["left"]
    for name, wrong in [
        *(("study.json", wrong) for wrong in (
            [], None, {"format": 1}, {**about, "pairs": None}, {**about, "pairs": [[]]}, {**about, "pairs": {"a": 1}},
            {**about, "pairs": [{"number": 1}]}, {**about, "pairs": [{**pair, "more": 1}]},
            {**about, "pairs": [{**pair, "attribute": "Hat"}]}, {**about, "pairs": [{**pair, "direction": ""}]},
            {**about, "seed": "0"}, {name: held for name, held in about.items() if name != "profile"},
        )),
        *(("key.json", wrong) for wrong in (
            [], {"study": study.id}, {**key, "left": []}, {**key, "left": {number: "stgan"}},
            {**key, "left": {**key["left"], number: "left"}}, {**key, "left": {**key["left"], "0": "stgan"}},
        )),
    ]:  # fmt: skip
        file = study.folder / name
        before = file.read_text()
        file.write_text(json.dumps(wrong))
        with pytest.raises(MagganError, match=rf"^[^\n]*{name} is (damaged; |of another version)[^\n]*$"):
            Study.open(study.folder).key()
        file.write_text(before)
    assert len(Study.open(study.folder).key()) == len(study.pairs)
    (study.folder / "key.json").unlink()
    (study.folder / "key.json").mkdir()
    with pytest.raises(MagganError, match="key.json could not be read"):
        study.key()


@pytest.mark.parametrize("arguments", [["--seed"], ["--seed", "-1"], ["--seed=-1"]])
def test_no_seed_is_one_line(monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", ["maggan.study", "smoke", *arguments])
    with pytest.raises(MagganError, match="a whole number from 0 on: make study PROFILE=smoke SEEDS=0"):
        main()


def weights(folder_of, row, at=SMOKE):
    torch.manual_seed(0)
    save(folder_of(row), build_generator(resolve(row, at)), iteration=0)


def test_weights_are_those_of_the_runs_or_of_the_package_never_one_of_each(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "package")
    with pytest.raises(MagganError, match="make row ROW=stgan PROFILE=smoke"):
        drawing.draw_study(SMOKE)
    for row in ("stgan", "maggan"):
        weights(lambda row: tmp_path / "package" / f"{row}.safetensors", row, profile("drawn64"))
    with pytest.raises(MagganError, match="make row ROW=stgan PROFILE=smoke"):
        drawing.draw_study(SMOKE)  # the package's are of another profile
    for row in ("stgan", "maggan"):
        weights(lambda row: tmp_path / "package" / f"{row}.safetensors", row)
    weights(lambda row: runs / "smoke" / f"{row}-seed0" / "weights.safetensors", "maggan")
    assert {each["from"] for each in drawing.draw_study(SMOKE).about["weights"].values()} == {"package"}
    assert "the package's own, maggan/pretrained/stgan" in (paths.study_folder(SMOKE) / "notes.md").read_text()
    weights(lambda row: runs / "smoke" / f"{row}-seed0" / "weights.safetensors", "stgan")
    study = drawing.draw_study(SMOKE)
    assert {each["from"] for each in study.about["weights"].values()} == {"run"}
    assert all(len(each["sha256"]) == 64 for each in study.about["weights"].values())


def test_large_faces_are_not_enlarged():
    assert drawing.picture(torch.zeros(3, 512, 512)).size == (512, 512)
    assert drawing.picture(torch.zeros(3, 64, 64)).size == (256, 256)
