"""Fingerprints: what decides numbers changes them, what is only said or moved does not."""

import shutil

import pytest

from maggan import stages
from maggan.basics import fingerprint
from maggan.basics.errors import MagganError
from maggan.basics.paths import ROOT
from maggan.stages import NEUTRAL, STAGES
from maggan.systems import SYSTEMS


@pytest.fixture
def package(tmp_path):
    """A copy of the package to edit."""
    return shutil.copytree(ROOT / "maggan", tmp_path / "maggan", ignore=shutil.ignore_patterns("__pycache__"))


def edit(path, old, new):
    text = path.read_text()
    assert old in text, old
    path.write_text(text.replace(old, new, 1))


def prints(package, world="drawn", system="stgan"):
    """The fingerprint of every stage of a package."""
    return {stage: fingerprint.fingerprint([root.format(world=world, system=system) for root in roots], NEUTRAL,
                                           package=package) for stage, roots in STAGES.items()}  # fmt: skip


def changed(package, *edits, **what):
    """The stages whose fingerprint an edit changes."""
    before = prints(package, **what)
    for file, old, new in edits:
        edit(package / file, old, new)
    after = prints(package, **what)
    return {stage for stage in STAGES if before[stage] != after[stage]}


@pytest.mark.parametrize(
    "where",
    [
        ("losses.py", "return -of_fake.mean()", "return -of_fake.mean()  # a remark"),
        ("losses.py", '"""Eq. 8."""', '"""Equation 8, as printed."""'),
        ("basics/errors.py", "the disk is full; make room", "there is no room left; make some"),
        ("networks/generator.py", "is guided by masks: pass the parts", "needs masks. Pass the parts"),
        ("train/run.py", "train anew with lower rates", "try lower rates"),
        ("basics/progress.py", "SECONDS_BETWEEN_LINES = 15", "SECONDS_BETWEEN_LINES = 20"),
        ("data/faces.py", 'faces", unit="file")', 'faces, by file", unit="files")'),
        ("train/disk.py", "SAMPLE_FACES = 6", "SAMPLE_FACES = 7"),
        ("systems/stgan.py", 'colour="#0072b2"', 'colour="#000000"'),
        ("profiles.py", "the half size of drawn64, for Table 1", "half the size of drawn64"),
        ("report/figures.py", '"#8b0000"', '"#8b0001"'),
    ],
    ids=lambda where: f"{where[0]}: {where[1][:30]}",
)
def test_what_is_only_said_or_shown_changes_nothing(package, where):
    assert changed(package, where) == set()


def test_a_moved_module_changes_nothing(package):
    before = prints(package)
    (package / "losses.py").rename(package / "networks" / "losses.py")
    edit(package / "networks" / "losses.py", "from .regions", "from ..regions")
    edit(package / "systems" / "critic.py", "from .. import losses", "from ..networks import losses")
    edit(package / "networks" / "discriminator.py", "from ..losses", "from .losses")
    edit(package / "systems" / "stargan.py", "from ..losses", "from ..networks.losses")
    edit(package / "train" / "d_att.py", "from ..losses", "from ..networks.losses")
    assert prints(package) == before


@pytest.mark.parametrize(
    ("where", "stages"),
    [
        (("losses.py", "return -of_fake.mean()", "return -2 * of_fake.mean()"), {"train", "d_att"}),
        (("train/run.py", "betas=(0.5, 0.999)", "betas=(0.0, 0.999)"), {"train"}),
        (("networks/layers.py", "nn.LeakyReLU(0.2)", "nn.LeakyReLU(0.1)"), {"train", "d_att"}),
        (("metrics.py", "value.mean(dim=(1, 2, 3))", "value.amin(dim=(1, 2, 3))"), {"evaluate", "learning"}),
        (("evaluate/fitting.py", "BATCH = 64", "BATCH = 32"), {"fit", "judges", "evaluate", "learning"}),
        (("evaluate/judges.py", "right_on_faces(network, test", "right_on_faces(network, 2 * test"),
         {"judges", "evaluate", "learning"}),
        (("relations.csv", "paper,Bald,+,hair", "paper,Bald,+,hair skin"), set(STAGES)),
        (("drawnfaces/head.py", "(0.95, 0.79, 0.69)", "(0.95, 0.79, 0.70)"), set(STAGES) - {"masks"}),
        (("masks/build.py", "batch=16", "batch=8"), {"masks"}),
    ],
    ids=lambda value: f"{value[0]}: {value[1]}" if isinstance(value, tuple) else "",
)
def test_what_decides_numbers_changes_what_stands_on_it(package, where, stages):
    assert changed(package, where) == stages


def test_what_concerns_photos_or_another_system_does_not_concern_a_row_of_drawn_faces(package):
    photos = ("celeba/reader.py", "CROP_TOP, CROP_LEFT, CROP_SIZE = 26", "CROP_TOP, CROP_LEFT, CROP_SIZE = 27")
    peer = ("systems/fadernet.py", "CLIP = 5.0", "CLIP = 6.0")
    assert changed(package, photos, peer) == {"masks"}
    assert changed(package, ("systems/icgan.py", "NOISE = 100", "NOISE = 99"), system="icgan") == {"train"}
    assert "train" in changed(package, ("masks/coding.py", "level=9", "level=8"), world="celeba")


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_row_reaches_its_own_system_alone(system):
    reached = fingerprint.closure(["train.run", f"systems.{system}", *stages.FACES[:1], "data.drawn"], NEUTRAL)
    others = {f"systems.{other}" for other in SYSTEMS} - {f"systems.{system}"}
    assert f"systems.{system}" in reached and not others & set(reached)


def test_figures_never_reach_what_makes_numbers():
    for stage, roots in STAGES.items():
        roots = [root.format(world="drawn", system="stgan") for root in roots]
        assert not [name for name in fingerprint.closure(roots, NEUTRAL) if name.startswith(("report", "study"))], stage


def test_every_neutral_module_exists():
    assert all(fingerprint.file_of(name) for name in NEUTRAL)


def test_earlier_versions_stand_for_the_same_code(monkeypatch):
    monkeypatch.setattr(stages, "KNOWN_AS", {})
    today = stages.code_of("train", "drawn")
    monkeypatch.setattr(stages, "KNOWN_AS", {today: "earlier"})
    assert stages.code_of("train", "drawn") == "earlier"


def celeba_folder(folder):
    """A folder that looks like CelebA's: an empty photo, one line of labels."""
    (folder / "img_align_celeba").mkdir(parents=True)
    (folder / "img_align_celeba/000001.jpg").touch()
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt"):
        (folder / name).write_text("1\n")
    return folder


def test_photos_are_told_apart_by_place_names_labels_and_archive(tmp_path):
    folder = celeba_folder(tmp_path / "celeba")
    seen = [stages.described("photos", folder)]
    assert stages.described("photos", folder) == seen[0]
    (folder / "img_align_celeba/000002.jpg").touch()
    seen.append(stages.described("photos", folder))
    (folder / "list_attr_celeba.txt").write_text("2\n")
    seen.append(stages.described("photos", folder))
    (folder / "img_align_celeba.zip").write_text("PK")
    seen.append(stages.described("photos", folder))
    seen.append(stages.described("photos", shutil.copytree(folder, tmp_path / "other")))
    assert len(set(seen)) == 5


def test_inputs_that_are_not_there_are_told(tmp_path):
    with pytest.raises(MagganError, match="CELEBA=folder, which holds img_align_celeba, list_attr_celeba.txt"):
        stages.described("photos", "")
    with pytest.raises(MagganError, match="79999_iter.pth: there is no such file"):
        stages.described("parser", tmp_path / "79999_iter.pth")
    assert stages.described("ours", tmp_path / "parser.safetensors") == "none"


def test_a_stamp_that_says_the_same_keeps_its_time(tmp_path):
    stages.write_stamp(tmp_path / "train", "a")
    before = (tmp_path / "train").stat().st_mtime_ns
    stages.write_stamp(tmp_path / "train", "a")
    assert (tmp_path / "train").stat().st_mtime_ns == before
    stages.write_stamp(tmp_path / "train", "b")
    assert (tmp_path / "train").stat().st_mtime_ns != before
