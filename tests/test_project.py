"""The project around the package: what make runs again after an edit, and that its files agree."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from maggan import variants
from maggan.basics import fingerprint as dependencies
from maggan.basics.paths import ROOT
from maggan.variants import VARIANTS

LATER = 2_000_000_000  # seconds; a time that no file has by itself


@pytest.fixture
def package(tmp_path):
    """A small package: a uses b, b uses c inside a function and names a data file, d stands alone."""
    folder = tmp_path / "maggan"
    folder.mkdir()
    files = {
        "__init__.py": "from .c import C\n\ndef __getattr__(name):\n    from .d import D\n    return D\n",
        "a.py": '"""A."""\nfrom . import b\nfrom .celeba import x\n',
        "b.py": 'FILE = "rates.csv"\n\ndef f():\n    """F."""\n    from maggan.c import C\n    return C  # why\n',
        "c.py": "C = 1\n", "d.py": "D = 1\n", "celeba.py": "x = 2\n", "rates.csv": "1\n",
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_closure_follows_imports_inside_functions(package):
    assert dependencies.closure("a", package=package) == ["a", "b", "c", "celeba"]
    assert dependencies.closure("d", package=package) == ["d"]


def test_closure_leaves_out_the_other_world(package):
    assert dependencies.closure("a", "drawn", package=package) == ["a", "b", "c"]


def test_lazy_names_of_the_package_are_not_followed(package):
    edit(package / "a.py", "from . import b", "from maggan import C")
    assert dependencies.closure("a", "drawn", package=package) == ["__init__", "a", "c"]


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("b.py", "# why", "# because", False),
        ("b.py", "F.", "What it does.", False),
        ("a.py", '"""A."""', '"""Another."""\n# and a remark\n', False),
        ("d.py", "1", "2", False),
        ("c.py", "1", "2", True),
        ("rates.csv", "1", "2", True),
        ("b.py", "return C", "return C + 1", True),
    ],
)
def test_fingerprint_sees_code_and_data_but_no_comments(package, file, old, new, changes):
    before = dependencies.fingerprint("a", package=package)
    edit(package / file, old, new)
    assert (dependencies.fingerprint("a", package=package) != before) == changes


def test_fingerprint_of_a_notebook_sees_its_code_cells(package, tmp_path):
    notebook = tmp_path / "01-x.ipynb"
    cells = '{"cells": [{"cell_type": "markdown", "source": ["%s"]}, {"cell_type": "code", "source": %s}]}'
    code = '["%matplotlib inline\\n", "from maggan import b"]'
    prints = []
    for text, source in (("one", code), ("two", code), ("two", code.replace(" b", " d"))):
        notebook.write_text(cells % (text, source))
        prints.append(dependencies.fingerprint("01-x", package=package, notebooks=tmp_path))
    assert prints[0] == prints[1] != prints[2]


def test_drawing_never_reaches_training_or_evaluation():
    for entry in ("train", "judges", "evaluate"):
        assert "figures" not in dependencies.closure(entry)


@pytest.mark.parametrize("entry", ["celeba", "data", "train", "judges", "evaluate"])
def test_how_masks_are_made_is_no_part_of_what_is_trained_on_them(entry):
    makers = {"maskbuild", "parser", "parsertraining", "bisenet", "celebamask"}
    assert not makers & set(dependencies.closure(entry, "celeba"))
    assert {"maskbuild", "parser", "bisenet"} <= set(dependencies.closure("maskbuild", "masks"))


@pytest.mark.parametrize(("name", "text"), [("profiles", 'note="not a result"'), ("variants", '"(vi) MagGAN"')])
@pytest.mark.parametrize("entry", ["train", "judges"])
def test_a_remark_in_the_settings_restarts_no_training(tmp_path, entry, name, text):
    package = shutil.copytree(ROOT / "maggan", tmp_path / "maggan", ignore=shutil.ignore_patterns("__pycache__"))

    def prints(settings):
        return dependencies.fingerprint(entry, "drawn", package, settings=settings)

    code, stamp = prints(False), prints(True)
    edit(package / f"{name}.py", text, text[:-1] + ' of ours"')
    assert prints(False) == code
    assert (prints(True) != stamp) == (name in dependencies.closure(entry))


def celeba_folder(folder, numbers=(1, 182_001, 182_638)):
    """A folder that looks like CelebA's: empty photos, one line of labels."""
    (folder / "img_align_celeba").mkdir(parents=True)
    for number in numbers:
        (folder / "img_align_celeba" / f"{number:06d}.jpg").touch()
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt"):
        (folder / name).write_text("1\n")
    return folder


def test_photos_are_told_apart_by_place_names_labels_and_archive(tmp_path):
    folder = celeba_folder(tmp_path / "celeba")
    seen = [dependencies.describe(folder)]
    assert dependencies.describe(folder) == seen[0]
    (folder / "img_align_celeba/000002.jpg").touch()
    seen.append(dependencies.describe(folder))
    (folder / "list_attr_celeba.txt").write_text("2\n")
    seen.append(dependencies.describe(folder))
    (folder / "img_align_celeba.zip").write_text("PK")
    seen.append(dependencies.describe(folder))
    seen.append(dependencies.describe(Path(shutil.copytree(folder, tmp_path / "other"))))
    assert len(set(seen)) == 5


# ------------------------------------------------------------------------------------------------- make


def make(tree, *arguments, check=True):
    """Run make in a copy of the project, with none of this process's own folders."""
    ours = ("MAKE", "MAGGAN", "MFLAGS", "CELEBA", "MASKS", "PARSER", "PROFILE", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = ["make", "JOBS=1", f"SYSTEM_PYTHON={sys.executable}", *arguments]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=check)


def planned(tree, *arguments, goal="table3"):
    """What `make -n table3` would run, as short names such as "train maggan" or "faces"."""
    names = {"07": "train", "08": "evaluate", "09": "table", "11": "claims"}
    found = []
    for line in make(tree, "-n", goal, *arguments).stdout.splitlines():
        if match := re.search(r"maggan\.notebook notebooks/(\d\d)\S+ \S+(?: row=(\S+))?", line):
            found.append(f"{names[match[1]]} {match[2] or ''}".strip())
        elif match := re.search(r"-m maggan\.(\w+) (\S+)", line):
            found.append({"data": "faces", "judges": "judges"}.get(match[1], f"{match[1]} {match[2]}"))
        elif "pip sync" in line:
            found.append("environment")
    return found


def copy_of_project(tree):
    """What make needs of the project, in a folder with a space in its name."""
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    for name in ("maggan", "notebooks"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tree)
    return tree


def products(tree, profile):
    """Every product of `make table3`, in order of time."""
    out, here = tree / "results" / profile, tree / "runs" / profile
    drawn = profile.startswith("drawn")
    found = [tree / ".venv/bin/python", tree / ".venv/.ready"]
    if not drawn:
        found += [tree / "runs/parser/parser.safetensors", tree / "runs/masks/store.json", tree / "runs/masks/.ready"]
    found += [here / "faces/.ready", here / "judges/classifier.safetensors", here / "judges/.ready"]
    for row in VARIANTS:
        found += [here / f"{row}-seed0/weights.safetensors", out / f"notebooks/07-train-a-row-{row}-seed0.ipynb"]
    for row in VARIANTS:
        found += [out / f"metrics/{row}-seed0.json", out / f"notebooks/08-evaluate-a-row-{row}-seed0.ipynb"]
    found += [out / f"metrics/{row}-seed0.json" for row in ("no-edit", "true-edit")[: 1 + drawn]]
    return [*found, out / "tables/table3.md"]


def finished_project(tree, profile, *arguments):
    """A copy of the project in which `make table3` looks finished."""
    copy_of_project(tree)
    assert planned(tree, f"PROFILE={profile}", *arguments)[0] == "environment"  # also writes the fingerprints
    for number, path in enumerate(products(tree, profile)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o755)
        os.utime(path, (LATER + number, LATER + number))
    return tree


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The project with a finished drawn64."""
    return finished_project(tmp_path_factory.mktemp("a project"), "drawn64")


@pytest.fixture
def tree(finished, tmp_path):
    """A copy of the finished project to edit."""
    return Path(shutil.copytree(finished, tmp_path / "a copy"))


@pytest.fixture
def with_photos(tmp_path):
    """The project with a finished celeba64, and its photos."""
    photos = celeba_folder(tmp_path / "my photos")
    tree = tmp_path / "a project"
    tree.mkdir()
    return finished_project(tree, "celeba64", f"CELEBA={photos}", "PAIRS=pairs"), photos


def changed(path):
    """Make a file newer than every product."""
    os.utime(path, (LATER + 1000, LATER + 1000))


def planned_again(tree, *arguments, goal="table3"):
    """What is planned after an edit, once its stamps are newer than the products, which lie in the future."""
    before = {stamp: stamp.read_text() for stamp in tree.glob("runs/.code/*/*")}
    planned(tree, *arguments, goal=goal)
    for stamp in tree.glob("runs/.code/*/*"):
        if stamp.read_text() != before.get(stamp):
            changed(stamp)
    return planned(tree, *arguments, goal=goal)


def planned_after_code_edit(tree, module, *arguments):
    """What is planned once a module has another line of code."""
    path = tree / "maggan" / f"{module}.py"
    path.write_text(path.read_text() + "\nANOTHER = 1\n")
    return planned_again(tree, *arguments)


ROWS = set(VARIANTS)


def test_a_second_make_does_nothing(tree):
    assert planned(tree) == []


def test_claims_train_nothing_and_look_again_only_at_new_numbers(tree):
    shutil.rmtree(tree / "runs/drawn64")  # as after copying results from another machine
    assert planned(tree, goal="claims") == ["claims"]
    page = tree / "results/drawn64/tables/claims.md"
    page.touch()
    os.utime(page, (LATER + 500, LATER + 500))
    assert planned(tree, goal="claims") == []
    elsewhere = tree / "results/drawn128/metrics/maggan-seed0.json"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text("{}")
    make(tree, "-n", "claims")  # writes down what was measured
    changed(tree / "runs/.code/measured")
    assert planned(tree, goal="claims") == ["claims"]


def test_table_1_runs_two_rows_here_and_two_at_half_the_size(tree):
    runs = planned(tree, goal="table1")
    assert runs.count("judges") == runs.count("faces") == 1  # the half size's; this size is finished
    assert {"train attgan", "train stgan", "evaluate attgan", "tables table1"} <= set(runs)
    assert not {"train maggan", "train attgan seed"} & set(runs)
    assert "drawn16" not in make(tree, "-n", "table1", "PROFILE=drawn32").stdout


def test_an_unknown_row_among_rows_is_one_line(tree):
    said = make(tree, "-n", "table3", "ROWS=magan", check=False)
    assert said.returncode != 0 and "unknown row 'magan' in ROWS" in said.stderr


def test_a_comment_runs_nothing_again(tree):
    path = tree / "maggan/networks.py"
    path.write_text(path.read_text() + "# a remark\n")
    changed(path)
    assert planned(tree) == []


def test_an_edit_runs_what_depends_on_it_and_nothing_else(tree):
    assert planned_after_code_edit(tree, "tables") == ["table"]


def test_a_figure_trains_and_evaluates_nothing(tree):
    runs = planned_after_code_edit(tree, "figures")
    assert not {"faces", "judges"} & set(runs) and not any(run.startswith("evaluate") for run in runs)


def test_a_metric_evaluates_but_does_not_train(tree):
    runs = planned_after_code_edit(tree, "metrics")
    assert {f"evaluate {row}" for row in ROWS} <= set(runs) and "table" in runs
    assert not any(run.startswith(("train", "faces", "judges")) for run in runs)


def test_a_loss_trains_but_draws_no_faces(tree):
    runs = planned_after_code_edit(tree, "losses")
    assert {f"train {row}" for row in ROWS} <= set(runs) and not {"faces", "judges"} & set(runs)


def test_photos_do_not_concern_drawn_faces(tree):
    assert planned_after_code_edit(tree, "celeba") == []


def test_a_deleted_product_is_made_again(tree):
    (tree / "runs/drawn64/maggan-seed0/weights.safetensors").unlink()
    assert planned(tree)[0] == "train maggan"
    assert not any(run.startswith("train") for run in planned(tree)[1:])


def test_the_lock_rebuilds_the_environment_and_trains_nothing(tree):
    changed(tree / "requirements.lock")
    assert planned(tree) == ["environment"]


def test_an_environment_without_its_python_is_made_anew(tree):
    python = tree / ".venv/bin/python"
    python.unlink()
    python.symlink_to(tree / "gone")
    assert planned(tree) == ["environment"]
    uv = tree / "uv"
    uv.write_text('#!/bin/sh\n[ "$1" != venv ] || { mkdir -p .venv/bin && printf "#!/bin/sh\\n" >.venv/bin/python; }\n')
    uv.chmod(0o755)
    (tree / ".venv/rest").touch()
    make(tree, "env", "UV=./uv")
    assert python.exists() and not python.is_symlink() and not (tree / ".venv/rest").exists()


def test_a_remark_in_a_profile_looks_at_rows_again(tree):
    edit(tree / "maggan/profiles.py", 'note="not a result"', 'note="no result"')
    runs = planned_again(tree)
    assert {f"train {row}" for row in ROWS} <= set(runs) and "environment" not in runs


@pytest.mark.parametrize("goal", ["table2", "claims"])
def test_a_vote_is_counted_by_the_next_make(tree, goal):
    page, votes = tree / f"results/drawn64/tables/{goal}.md", tree / "results/drawn64/study/votes"
    planned(tree, goal=goal)
    page.touch()
    os.utime(page, (LATER + 500, LATER + 500))
    assert planned(tree, goal=goal) == []
    before = (tree / "runs/.code/measured").read_text()
    for kind in ("simulated", "people"):
        (votes / kind).mkdir(parents=True)
        (votes / kind / "anna.csv").write_text("a vote\n")
        make(tree, "-n", goal)
        assert ((tree / "runs/.code/measured").read_text() != before) == (kind == "people")
    changed(tree / "runs/.code/measured")
    assert planned(tree, goal=goal) != []


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


def test_the_study_trains_nothing(tree):
    shutil.rmtree(tree / "runs/drawn64")
    assert planned(tree, goal="study") == ["study drawn64"]
    assert planned(tree, "SEEDS=3", goal="study") == ["study drawn64"]


@pytest.mark.parametrize("goal", ["table3", "faces", "clean"])
def test_a_mistyped_profile_is_found_first(tree, goal):
    done = make(tree, "-n", goal, "PROFILE=celeba65", check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "did you mean 'celeba64'?" in done.stderr
    assert "did you mean 'drawn64'?" in make(tree, "-n", goal, "PROFILE=drwan64", check=False).stderr


def test_folders_are_absolute_for_whatever_make_runs(tree):
    (tree / "photos of mine").mkdir()
    names = ("CELEBA", "MASKS", "MAGGAN_RUNS", "MAGGAN_RESULTS")
    (tree / "show.mk").write_text("show:\n" + "".join(f'\t@echo "$${name}"\n' for name in names))
    given = ("CELEBA=photos of mine", "MASKS=m", "MAGGAN_RUNS=../r", f"MAGGAN_RESULTS={tree.parent}/results")
    told = make(tree, "-f", "Makefile", "-f", "show.mk", "show", *given).stdout.splitlines()
    assert told == [f"{tree}/photos of mine", f"{tree}/m", f"{tree}/../r", f"{tree.parent}/results"]


def test_photos_that_are_not_there_are_asked_for(tree):
    for arguments in (["table3", "PROFILE=celeba64"], ["masks"], ["table3", "PROFILE=celeba64", "CELEBA=nowhere"]):
        done = make(tree, "-n", *arguments, check=False)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert "list_attr_celeba.txt" in done.stderr and arguments[0] in done.stderr


def test_other_photos_are_noticed(with_photos):
    tree, photos = with_photos
    of_photos = ("PROFILE=celeba64", f"CELEBA={photos}")
    assert planned(tree, *of_photos) == []
    assert planned(tree, f"CELEBA={photos}", goal="masks") == []  # whatever the profile
    (photos / "img_align_celeba/000007.jpg").touch()
    assert planned_again(tree, *of_photos)[:2] == ["masks build", "faces"]


def test_another_folder_of_photos_is_noticed(with_photos):
    tree, photos = with_photos
    shutil.copytree(photos, tree / "elsewhere")
    assert planned_again(tree, "PROFILE=celeba64", "CELEBA=elsewhere")[:2] == ["masks build", "faces"]


def test_a_trained_parser_stays(with_photos):
    tree, photos = with_photos
    for module in ("bisenet", "parser", "parsertraining", "celebamask"):
        runs = planned_after_code_edit(tree, module, "PROFILE=celeba64", f"CELEBA={photos}")
        assert "parser train" not in runs
    assert planned(tree, "PAIRS=pairs", goal="parser") == []
    assert planned_again(tree, "PROFILE=celeba128", f"CELEBA={photos}", "PAIRS=pairs")[:2] == ["masks build", "faces"]


def test_masks_that_are_there_need_no_parser(with_photos):
    tree, photos = with_photos
    (tree / "runs/parser/parser.safetensors").unlink()
    (tree / "runs/masks/.ready").unlink()
    runs = planned(tree, "PROFILE=celeba64", f"CELEBA={photos}")
    assert runs[0] == "faces" and not any(run.startswith(("parser", "masks")) for run in runs)


def test_a_named_parser_must_be_there(with_photos):
    tree, photos = with_photos
    done = make(tree, "-n", "masks", f"CELEBA={photos}", "PARSER=79999_iter.pth", check=False)
    assert done.returncode == 2 and f"{tree}/79999_iter.pth: there is no such file" in done.stderr
    (tree / "79999_iter.pth").touch()
    assert planned_again(tree, f"CELEBA={photos}", "PARSER=79999_iter.pth", goal="masks") == ["masks build"]


def test_notebooks_get_the_profile_where_they_have_one(tree):
    told = make(tree, "-n", "all-notebooks", "PROFILE=drawn128").stdout
    runs = dict(re.findall(r"maggan\.notebook (notebooks/(?:0[0-6]|1[0-3])\S+) \S+(.*)", told))
    assert len(runs) == 11
    for notebook, parameters in runs.items():
        assert ("profile=drawn128" in parameters) == ('"profile = ' in (ROOT / notebook).read_text()), notebook


# Stands in for a Python that has neither papermill nor anything else: commands only leave what they would write.
BARE_PYTHON = """#!/bin/sh
[ "$1" = -m ] || exec '{python}' -S "$@"
echo "$2 $3 $4" >> ran.txt
leave() {{ mkdir -p "$(dirname "$1")" && echo x > "$1"; }}
case $2 in
    maggan.judges) leave runs/$3/judges/classifier.safetensors ;;
    maggan.train) leave runs/$4/$3-seed0/weights.safetensors ;;
    maggan.evaluate) leave results/$4/metrics/$3-seed0.json ;;
    maggan.tables) leave results/$4/tables/table3.md ;;
esac
[ "$PYTHONPATH" = "$PWD" ]
"""


@pytest.mark.parametrize("profile", ["drawn64", "celeba256"])
def test_a_copy_of_the_tree_and_a_python_of_ones_own_are_enough(tmp_path, profile):
    tree = tmp_path / "a copy"
    tree.mkdir()
    python = copy_of_project(tree) / "bare"
    python.write_text(BARE_PYTHON.format(python=sys.executable))
    python.chmod(0o755)
    (tree / "runs/masks").mkdir(parents=True)
    (tree / "runs/masks/store.json").touch()
    celeba_folder(tree / "my photos")
    command = ("table3", f"PROFILE={profile}", "CELEBA=my photos", "PYTHON=./bare")
    make(tree, *command)
    ran = (tree / "ran.txt").read_text().split("\n")[:-1]
    limits = ["no-edit", "true-edit"][: 1 + profile.startswith("drawn")]
    assert sorted(ran) == sorted(
        [f"maggan.{name} {profile} " for name in ("data", "judges")]
        + [f"maggan.train {row} {profile}" for row in VARIANTS]
        + [f"maggan.evaluate {row} {profile}" for row in [*VARIANTS, *limits]]
        + [f"maggan.tables table3 {profile}"]
    )
    assert f"table3 is up to date: results/{profile}/tables/table3.md" in make(tree, *command).stdout
    assert (tree / "ran.txt").read_text().split("\n")[:-1] == ran and not (tree / ".venv").exists()


def test_seeds_are_trained_and_judged_apart(tree):
    told = make(tree, "-n", "rows", "PROFILE=drawn64", "ROWS=attgan", "SEEDS=0 7").stdout
    runs = re.findall(r"notebooks/(0[78]).* (\S+/0[78]-\S+) row=(\S+) profile=drawn64 seed=(\d+)", told)
    assert [(number, row, seed) for number, _, row, seed in sorted(runs)] == [
        ("07", "attgan", "0"), ("07", "attgan", "7"), ("08", "attgan", "0"), ("08", "attgan", "7"),
    ]  # fmt: skip
    assert all(file.endswith(f"{row}-seed{seed}.ipynb") for _, file, row, seed in runs)
    wrong = make(tree, "rows", "SEEDS=0,1", check=False)
    assert wrong.returncode == 2 and 'SEEDS is "0,1"; name whole numbers' in wrong.stderr


def test_all_trains_every_row_once_and_three_seeds_of_two(tree):
    told = make(tree, "-n", "all", "PROFILE=drawn64").stdout
    trained = re.findall(r"row=(\S+) profile=drawn64 seed=(\d+)", "\n".join(re.findall(r".*/07-train.*", told)))
    several = [(row, seed) for row in ("stgan", "maggan") for seed in "12"]
    twin = variants.discriminator_rows("drawn64")["single"]
    assert twin == "maggan" and "maggan-single" not in dict(trained)
    assert set(trained) == {(row, "0") for row in set(variants.ROWS) - ROWS - {"maggan-single"}} | set(several)
    first = told[: told.index("maggan.tables")]  # a plan is printed again by the makes that follow
    assert len(re.findall(r"/07-train.* profile=drawn64", first)) == len(set(trained))
    halves = re.findall(r"row=(\S+) profile=drawn32 seed=0", "\n".join(re.findall(r".*/07-train.*", told)))
    assert sorted(set(halves)) == ["attgan", "stgan"]
    for figure in ("fig1", "fig9", "sweep", "truth"):
        assert re.search(rf"maggan\.gallery {figure} drawn64", told)
    assert "maggan.report drawn64" in told
    for row in ("maggan", "maggan-deep", "maggan-multilevel"):
        assert first.count(f"maggan.learning {row} drawn64 --seed 0") == 1
    assert not re.search(r"maggan\.learning \S+ drawn64 --seed [12]", told)
    few = make(tree, "-n", "all", "PROFILE=drawn128", "ROWS=stgan maggan", "SEEDS=3").stdout
    assert sorted(set(re.findall(r"row=(\S+) profile=drawn128 seed=(\d+)", few))) == [
        (row, seed) for row in ("maggan", "stgan") for seed in "03"
    ]  # fmt: skip
    assert not re.search(r"gallery (fig9|sweep)", few) and "gallery fig8" in few


def test_a_figure_is_drawn_once_and_again_for_another_colour_without_training(tree):
    figure = tree / "results/drawn64/figures/fig6.png"

    def told():
        return planned(tree, goal="fig6")

    assert told() == ["gallery fig6"]
    figure.parent.mkdir(parents=True)
    figure.touch()
    for time, file in enumerate((*(tree / "runs/.code").rglob("*"), figure), 1000):
        os.utime(file, (time, time))
    assert told() == []
    style = tree / "maggan/figures.py"
    style.write_text(style.read_text().replace('"maggan": "#d55e00"', '"maggan": "#123456"'))
    assert told() == ["gallery fig6"]


def test_make_alone_prints_every_target():
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    text = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("table3", "test", "row", "lab", "lock", "clean"):
        assert re.search(rf"^  {target}\s+\S", text, re.MULTILINE)


# ------------------------------------------------------------------------------------------ files agree


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
    for line in project["dependencies"] + project["optional-dependencies"]["dev"]:
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


def test_readme_names_every_notebook_and_module():
    text = (ROOT / "README.md").read_text()
    for path in [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "maggan").glob("*.py")]:
        if not path.name.startswith("_"):
            assert path.name in text, path.name


def test_command_line_errors_are_one_line():
    command = [sys.executable, "-m", "maggan.notebook", "none.ipynb", "out.ipynb"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == "maggan: none.ipynb: no such notebook\n"


@pytest.mark.parametrize(
    ("profile", "ways"),
    [
        ("drawn128small", {"maggan-deep", "maggan-multilevel"}),
        ("drawn256", set()),
        ("drawn1024", {"maggan-single", "maggan-deep"}),
    ],
)
def test_no_way_to_discriminate_is_trained_twice(tree, profile, ways):
    """`maggan` is one of the three, and at 256 px all of them."""
    told = make(tree, "-n", "all", f"PROFILE={profile}", "SEEDS=0").stdout
    trained = set(re.findall(rf"row=(maggan-(?:single|deep|multilevel)) profile={profile}", told))
    assert trained == ways == set(variants.discriminator_rows(profile).values()) - {"maggan"}
    assert (f"maggan.gallery fig9 {profile}" in told) == bool(ways)
