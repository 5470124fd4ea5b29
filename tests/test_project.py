"""The project around the package: what make runs again after an edit, and that its files agree."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from maggan import plan
from maggan.basics.paths import ROOT
from maggan.profiles import PROFILES, profile
from maggan.variants import ROWS, VARIANTS

# Stands in for the environment's Python: plans and stamps are the real ones (plans are made before, for each takes
# seconds), all other commands are written down and leave what they would write.
PYTHON = """#!/bin/sh
case $2 in
    maggan.plan) [ ! -e "plans/$3" ] || exec cat "plans/$3"; exec '{python}' "$@" ;;
    maggan.stages) exec '{python}' "$@" ;;
esac
echo "$@" | sed 's/^-m maggan.//' >> ran.txt
leave() {{ mkdir -p "$(dirname "$1")" && echo x > "$1"; }}
case "$2 $4" in
    maggan.judges*) leave runs/$3/judges/classifier.safetensors ;;
    maggan.notebook\\ 07*) [ -e runs/$3/$5/weights.safetensors ] || leave runs/$3/$5/weights.safetensors ;;
    maggan.notebook\\ 08*) leave results/$3/metrics/$5.json ;;
    maggan.notebook\\ 09*) leave results/$3/tables/table3.md ;;
    maggan.notebook\\ 11*) leave results/$3/tables/claims.md ;;
    maggan.evaluate*) leave results/$4/metrics/$3-seed0.json ;;
    maggan.tables*) leave results/$4/tables/$3.md ;;
    maggan.gallery*) leave results/$4/figures/$3.png ;;
    maggan.masks*) leave runs/masks/store.json ;;
    maggan.parser*) leave runs/parser/parser.safetensors ;;
esac
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the project, in a folder with a space in its name, in which `make table3` has run."""
    tree = tmp_path_factory.mktemp("a project")
    for name in ("maggan", "notebooks"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    shutil.copy(ROOT / "Makefile", tree)
    (tree / "python").write_text(PYTHON.format(python=sys.executable))
    (tree / "python").chmod(0o755)
    (tree / "plans").mkdir()
    for name in ("drawn64", "drawn32", "drawn128", "celeba64"):
        (tree / "plans" / name).write_text(plan.text(profile(name)))
    ran(tree, "table3")
    return tree


@pytest.fixture
def tree(finished, tmp_path):
    """A copy of the finished project to edit, its times as they are."""
    return Path(shutil.copytree(finished, tmp_path / "a copy"))


def make(tree, *arguments, check=True):
    """Run make in a copy of the project, with none of this process's own folders."""
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    ours = ("MAKE", "MAGGAN", "MFLAGS", "CELEBA", "MASKS", "PARSER", "PROFILE", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = ["make", "JOBS=1", "PYTHON=./python", *arguments]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=check)


def ran(tree, *arguments):
    """The commands that make runs, as short texts such as "train maggan-seed0" or "data drawn64"."""
    (tree / "ran.txt").write_text("")
    make(tree, *arguments)
    names = {"07-train-a-row": "train", "08-evaluate-a-row": "evaluate", "09-table3": "table3", "11-claims": "claims"}
    found = []
    for line in (tree / "ran.txt").read_text().splitlines():
        command, *rest = line.split()
        if command == "notebook":
            command, rest = names.get(rest[1], rest[1]), rest[2:]
        if "--brief" not in rest:  # which prints the table as it grows, and makes nothing
            found.append(" ".join([command, *rest]))
    return found


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


RUNS = {f"{row}-seed0" for row in VARIANTS}
LOOKED = {f"train {run}" for run in RUNS}
JUDGED = {f"evaluate {run}" for run in RUNS} | {f"evaluate {row} drawn64" for row in ("no-edit", "true-edit")}


D_ATT = "d_att drawn64 --seed 0"


def test_the_first_make_runs_everything_once(finished):
    shutil.rmtree(finished / "runs/drawn64")
    shutil.rmtree(finished / "results")
    commands = ran(finished, "table3")
    assert set(commands) == {"data drawn64", D_ATT, "judges drawn64", "table3"} | LOOKED | JUDGED
    assert len(commands) == len(set(commands))


def test_a_second_make_does_nothing(tree):
    assert ran(tree, "table3") == []
    assert "table3 is up to date: results/drawn64/tables/table3.md" in make(tree, "table3").stdout


@pytest.mark.parametrize(
    ("file", "old", "new", "again"),
    [
        ("losses.py", '"""Eq. 8."""', '"""Equation 8."""  # a remark', set()),
        ("networks/generator.py", "is guided by masks: pass", "needs masks: pass", set()),
        # weights that stay as they are make nothing that follows from them old
        ("losses.py", "return -of_fake.mean()", "return -2 * of_fake.mean()", LOOKED | {D_ATT}),
        ("metrics.py", "data_range=255.0", "data_range=254.0", JUDGED | {"table3"}),
        ("report/tables.py", '"MRE ↓"', '"MRE"', {"table3"}),
        ("report/figures.py", '"#8b0000"', '"#8b0001"', set()),
        ("celeba/reader.py", "CROP_SIZE = 26", "CROP_SIZE = 27", set()),
    ],
    ids=lambda value: value if isinstance(value, str) and value.endswith(".py") else "",
)
def test_an_edit_runs_what_depends_on_it_and_nothing_else(tree, file, old, new, again):
    edit(tree / "maggan" / file, old, new)
    assert set(ran(tree, "table3")) == again
    assert ran(tree, "table3") == []


def test_weights_trained_anew_are_evaluated_and_a_deleted_product_is_made_again(tree):
    weights = tree / "runs/drawn64/maggan-seed0/weights.safetensors"
    weights.unlink()
    assert ran(tree, "table3") == ["train maggan-seed0", "evaluate maggan-seed0", "table3"]
    (tree / "results/drawn64/metrics/stgan-seed0.json").unlink()
    assert ran(tree, "table3") == ["evaluate stgan-seed0", "table3"]
    (tree / "runs/drawn64/judges/classifier.safetensors").unlink()
    assert ran(tree, "table3")[0] == "judges drawn64"


def test_another_seed_runs_alone(tree):
    new = ["d_att drawn64 --seed 7", "train stgan-seed7", "evaluate stgan-seed7", "table3"]
    assert ran(tree, "table3", "SEEDS=0 7", "ROWS=stgan") == new
    assert "gallery fig6 drawn64" in ran(tree, "table3", "fig6", "SEEDS=8", "ROWS=stgan")  # after what is new
    assert ran(tree, "table3", "fig6", "SEEDS=8", "ROWS=stgan") == []
    edit(tree / "maggan/metrics.py", "data_range=255.0", "data_range=254.0")
    (tree / "results/drawn64/metrics/stgan-seed7.json").write_text("of the former code, and another size\n")
    assert "gallery fig6 drawn64" in ran(tree, "table3", "fig6", "ROWS=stgan")
    assert ran(tree, "table3", "fig6", "ROWS=stgan") == []
    wrong = make(tree, "rows", "SEEDS=0,1", check=False)
    assert wrong.returncode == 2 and 'SEEDS is "0,1"; name whole numbers' in wrong.stderr


def test_one_row_or_a_limit(tree):
    assert ran(tree, "row", "ROW=attgan") == ["train attgan-seed0", "evaluate attgan-seed0"]
    assert "no-edit is up to date" in make(tree, "row", "ROW=no-edit").stdout
    assert ran(tree, "row", "ROW=magan") == ["train magan drawn64"]  # which says what is wrong
    said = make(tree, "-n", "table3", "ROWS=magan", check=False)
    assert said.returncode == 2 and "unknown row 'magan' in ROWS" in said.stderr


def test_a_mistyped_profile_is_told_and_leaves_nothing(tree):
    done = make(tree, "table3", "PROFILE=drwan64", check=False)
    assert done.returncode == 2 and "maggan: unknown profile 'drwan64': did you mean 'drawn64'?" in done.stderr
    assert not list(tree.glob("runs/**/*drwan64*"))


def test_figures_and_claims_train_nothing_and_look_again_at_new_numbers(tree):
    shutil.rmtree(tree / "runs/drawn64")  # as after copying results from another machine
    assert ran(tree, "fig6", "claims") == ["gallery fig6 drawn64", "claims"]
    assert ran(tree, "fig6", "claims") == []
    elsewhere = tree / "results/drawn128/metrics/maggan-seed0.json"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text("{}")
    assert ran(tree, "claims") == ["claims"]
    votes = tree / "results/drawn64/study/votes"
    for kind, again in (("simulated", []), ("people", ["tables table2 drawn64", "claims"])):
        ran(tree, "table2", "claims")
        (votes / kind).mkdir(parents=True)
        (votes / kind / "anna.csv").write_text("a vote\n")
        assert ran(tree, "table2", "claims") == again
    edit(tree / "maggan/report/figures.py", '"#8b0000"', '"#8b0001"')
    assert ran(tree, "fig6") == ["gallery fig6 drawn64"]
    assert ran(tree, "study", "SEEDS=3") == ["study drawn64 --seed 3"]


def test_table_1_runs_two_rows_here_and_two_at_half_the_size(tree):
    commands = ran(tree, "table1")
    halves = ["data drawn32", "d_att drawn32 --seed 0", "judges drawn32"]
    halves += [f"{what} {row}-seed0" for row in ("attgan", "stgan") for what in ("train", "evaluate")]
    limits = [f"evaluate {row} drawn32" for row in ("no-edit", "true-edit")]
    assert sorted(commands) == sorted([*halves, *limits, "tables table1 drawn64"])


def test_all_trains_every_row_once_and_three_seeds_of_two(tree):
    commands = ran(tree, "all")
    trained = [command.removeprefix("train ") for command in commands if command.startswith("train")]
    halves = {"attgan-seed0", "stgan-seed0"}  # of drawn32
    new = {f"{row}-seed0" for row in set(ROWS) - {"maggan-single"}} - RUNS
    new |= {f"{row}-seed{seed}" for row in ("stgan", "maggan") for seed in "12"}
    assert set(trained) == new | halves and len(trained) == len(new) + len(halves)
    assert {f"gallery {figure} drawn64" for figure in ("fig1", "fig9", "sweep", "truth")} <= set(commands)
    learnt = {f"learning {row} drawn64 --seed 0" for row in ("maggan", "maggan-deep", "maggan-multilevel")}
    assert learnt <= set(commands)
    assert commands[-1] == "report drawn64"
    few = set(ran(tree, "all", "PROFILE=drawn128", "ROWS=stgan maggan", "SEEDS=3"))
    assert {f"train {row}-seed{seed}" for row in ("maggan", "stgan") for seed in "03"} <= few
    assert "gallery fig8 drawn128" in few and not {"gallery fig9 drawn128", "gallery sweep drawn128"} & few


@pytest.mark.parametrize("name", PROFILES)
def test_the_plan_trains_no_way_to_discriminate_twice(name):
    lines = plan.plan(profile(name))
    ways = {"maggan-single", "maggan-deep", "maggan-multilevel"} & set(lines["EVERY"])
    assert len(ways) == (0 if name.endswith("256") else 2)
    assert ("fig9" in lines["ALL_FIGURES"]) == bool(ways)
    assert ("truth" in lines["ALL_FIGURES"]) == ("true-edit" in lines["LIMITS"]) == (lines["WORLD"] == ["drawn"])
    assert set(lines["TABLE3"]) == set(VARIANTS) and lines["TABLE3"][:3] == ["maggan", "stgan", "stgan-cycle"]


def test_photos(tree):
    done = make(tree, "table3", "PROFILE=celeba64", check=False)
    assert done.returncode == 2 and "this needs CelebA photos: say CELEBA=folder" in done.stderr
    photos = tree / "my photos"
    (photos / "img_align_celeba").mkdir(parents=True)
    (photos / "list_attr_celeba.txt").write_text("1\n")
    of_photos = ("table3", "PROFILE=celeba64", f"CELEBA={photos}", "ROWS=stgan")
    first = ran(tree, *of_photos, "PAIRS=pairs")
    first = [command.split()[0] for command in first]
    assert first[:3] == ["parser", "masks", "data"] and first[-1] == "table3"
    assert sorted(first[3:-1]) == ["d_att", "evaluate", "evaluate", "judges", "train"]  # of the row, and of no-edit
    assert ran(tree, *of_photos) == []
    (photos / "img_align_celeba/000007.jpg").touch()
    assert [command.split()[0] for command in ran(tree, *of_photos)][:2] == ["masks", "data"]
    assert ran(tree, "masks", f"CELEBA={photos}") == []  # whatever the profile
    for module in ("bisenet", "parser", "training", "pairs"):  # a trained parser stays
        path = tree / f"maggan/parser/{module}.py"
        path.write_text(path.read_text() + "\nANOTHER = 1\n")
    assert not any(command.startswith("parser") for command in ran(tree, *of_photos))
    named = make(tree, "masks", f"CELEBA={photos}", "PARSER=79999_iter.pth", check=False)
    assert named.returncode == 2 and "79999_iter.pth: there is no such file" in named.stderr


def test_clean_leaves_what_people_said(tree):
    votes = tree / "results/drawn64/study/votes/people/anna.csv"
    votes.parent.mkdir(parents=True)
    votes.write_text("a vote\n")
    make(tree, "clean")
    assert votes.exists() and [path.name for path in (tree / "results/drawn64").iterdir()] == ["study"]
    assert not (tree / "runs/drawn64").exists()
    votes.unlink()
    make(tree, "clean")
    assert not (tree / "results/drawn64").exists()


def test_make_alone_prints_every_target_with_its_minutes():
    text = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    asked = "table1 table2 table3 claims report figures learning rows row all faces judges parser masks all-notebooks"
    for target in f"{asked} lab demo study rate test bench bench-gpu reference env lock clean".split():
        assert re.search(rf"^{target} +(\d+|-)  \S", text, re.MULTILINE), target


# ------------------------------------------------------------------------------------------ files agree


def test_sizes_that_were_promised():
    for name in ("Makefile", "README.md"):
        assert len((ROOT / name).read_text().splitlines()) <= 150, name


def locked():
    """The exact versions of requirements.lock, by name; several where Pythons differ."""
    versions = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE):
        versions.setdefault(name, []).append(version)
    return versions


def test_lock_is_exact_hashed_and_names_no_index():
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z0-9-]+==)", text)[1:]
    assert len(entries) > 100 and all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"https?://|index-url|find-links|file:", text)


def test_lock_holds_what_pyproject_asks_for():
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = locked()
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    for line in project["dependencies"] + extras:
        wanted = Requirement(line)
        assert all(wanted.specifier.contains(version) for version in versions[wanted.name.lower()]), line


def test_conda_takes_its_versions_from_the_lock():
    text = (ROOT / "environment.yml").read_text()
    python = re.search(r"- python=(\S+)", text)[1]
    assert python in ("3.11", "3.12") and "- -r requirements.lock" in text
    assert re.findall(r"^\s*- ([a-z]+)=", text, re.MULTILINE) == ["python"]


def test_installed_versions_are_the_locked_ones():
    from importlib.metadata import version

    if not (ROOT / ".venv/.ready").exists() or Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("not in the environment that make creates")
    versions = locked()
    for name in ("torch", "torchvision", "scipy", "numpy", "lightning-fabric", "papermill"):
        assert version(name).split("+")[0] in versions[name]


def test_every_module_is_on_the_map_and_every_notebook_in_the_readme():
    text = (ROOT / "docs" / "modules.md").read_text()
    for path in (ROOT / "maggan").rglob("*.py"):
        if not path.name.startswith("_"):
            assert f"`{path.relative_to(ROOT / 'maggan')}`" in text, path
    readme = (ROOT / "README.md").read_text()
    assert all(path.name in readme for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("page", ["README.md", "MODEL_CARD.md", "docs", "results/README.md", "benchmarks/README.md"])
def test_local_links_lead_somewhere(page):
    for file in (ROOT / page).glob("*.md") if (ROOT / page).is_dir() else [ROOT / page]:
        for link in re.findall(r"\]\(([^)#]+)", file.read_text()):
            assert "://" in link or (file.parent / link).exists(), f"{file.name}: {link}"


def test_readings_are_numbered_as_the_code_names_them():
    numbers = {int(n) for n in re.findall(r"^\| (\d+) \|", (ROOT / "docs/readings.md").read_text(), re.MULTILINE)}
    assert numbers == set(range(1, max(numbers) + 1))
    for path in (ROOT / "maggan").rglob("*.py"):
        for number in re.findall(r"reading (\d+)", path.read_text()):
            assert int(number) in numbers, path


def test_command_line_errors_are_one_line():
    command = [sys.executable, "-m", "maggan.notebook", "smoke", "none"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == f"maggan: {ROOT}/notebooks/none.ipynb: no such notebook\n"
