"""The project around the package: what make runs again after an edit, and that its files agree."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from maggan import dependencies
from maggan.paths import ROOT
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


# ------------------------------------------------------------------------------------------------- make


def planned(tree):
    """What `make -n table3` would run, as short names such as "train maggan" or "faces"."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MAGGAN", "MFLAGS", "CELEBA"))}
    command = ["make", "-n", "table3", "JOBS=1", f"SYSTEM_PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=True)
    names = {"07": "train", "08": "evaluate", "09": "table"}
    found = []
    for line in done.stdout.splitlines():
        if match := re.search(r"maggan\.notebook notebooks/(\d\d)\S+ \S+(?: row=(\S+))?", line):
            found.append(f"{names[match[1]]} {match[2] or ''}".strip())
        elif match := re.search(r"-m maggan\.(\w+) (\S+)", line):
            found.append({"data": "faces", "judges": "judges"}.get(match[1], f"{match[1]} {match[2]}"))
        elif "pip sync" in line:
            found.append("environment")
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the project in which `make table3` looks finished: every product there, in order of time."""
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    tree = tmp_path_factory.mktemp("project")
    for name in ("maggan", "notebooks"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tree)
    assert planned(tree)[0] == "environment"  # also writes the fingerprints
    out, here = tree / "results/drawn64", tree / "runs/drawn64"
    products = [tree / ".venv/.ready", here / "faces/.ready", here / "judges/classifier.safetensors",
                here / "judges/.ready"]  # fmt: skip
    for row in VARIANTS:
        products += [here / f"{row}-seed0/weights.safetensors", out / f"notebooks/07-train-a-row-{row}.ipynb"]
    for row in VARIANTS:
        products += [out / f"metrics/{row}-seed0.json", out / f"notebooks/08-evaluate-a-row-{row}.ipynb"]
    products += [out / f"metrics/{row}-seed0.json" for row in ("no-edit", "true-edit")]
    for number, path in enumerate([*products, out / "tables/table3.md"]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (LATER + number, LATER + number))
    return tree


@pytest.fixture
def tree(finished, tmp_path):
    """A copy of the finished project to edit."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def changed(path):
    """Make a file newer than every product."""
    os.utime(path, (LATER + 1000, LATER + 1000))


def planned_after_code_edit(tree, module):
    """What is planned once a module has another line of code."""
    path = tree / "maggan" / f"{module}.py"
    path.write_text(path.read_text() + "\nANOTHER = 1\n")
    before = {stamp: stamp.read_text() for stamp in (tree / "runs/.code/drawn").iterdir()}
    planned(tree)
    for stamp, text in before.items():
        if stamp.read_text() != text:
            changed(stamp)  # real edits come later than real products; these products lie in the future
    return planned(tree)


ROWS = set(VARIANTS)


def test_a_second_make_does_nothing(tree):
    assert planned(tree) == []


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
    for name in ("torch", "torchvision", "scipy", "numpy", "lightning", "papermill"):
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
