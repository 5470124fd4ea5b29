"""What `docs/extending.md` says to do, done in a copy of the project, exactly as it is written there."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from maggan.basics.paths import ROOT

PAGE = (ROOT / "docs" / "extending.md").read_text()
# what is done, in order: "<!-- row: FILE, WHERE -->" and the code below it, or commands
DO = re.findall(r"<!-- (\w+): (\S+), (.*?) -->\n```python\n(.*?)```|^```\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the project after the whole page, and which files each part of it touched: (folder, {part: files})."""
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    tree, touched = tmp_path_factory.mktemp("extended"), {}
    for name in ("maggan", "notebooks", "results/paper", "Makefile", "pyproject.toml"):
        copy = shutil.copy if (ROOT / name).is_file() else shutil.copytree
        (tree / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, tree / name)
    for part, file, where, code, commands in DO:
        if part:
            touched.setdefault(part, set()).add(file)
            add(tree / file, where, code)
        for command in commands.splitlines():
            run(tree, command)
    return tree, touched


def add(file, where, code):
    """Put code where the page says: in a new file, at the end of one, or after the line that has a text."""
    text = "" if where == "new" else file.read_text()
    if where in ("new", "at the end"):
        text += code
    else:
        lines, mark = text.splitlines(keepends=True), where.removeprefix('after "').removesuffix('"')
        (at,) = (i for i, line in enumerate(lines) if mark in line)
        text = "".join([*lines[: at + 1], code, *lines[at + 1 :]])
    file.write_text(text)


def run(tree, command):
    """One command of the page, with this Python and folders of the copy's own."""
    ours = ("MAKE", "MAGGAN", "MFLAGS", "CELEBA", "MASKS", "PARSER", "PROFILE", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    program, *arguments = shlex.split(command)
    started = {"python": [sys.executable], "make": ["make", "JOBS=1", f"PYTHON={sys.executable}"]}[program]
    environment |= {"OMP_NUM_THREADS": "1", "MAGGAN_PLAIN": "1"}
    done = subprocess.run([*started, *arguments], cwd=tree, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def metrics(tree, row, profile="smoke"):
    return json.loads((tree / "results" / profile / "metrics" / f"{row}-seed0.json").read_text())["metrics"]


def said(tree, program):
    """What a program of the copy prints."""
    return subprocess.run(
        [sys.executable, "-c", program], cwd=tree, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_each_takes_as_few_files_as_the_page_says(extended):
    _, touched = extended
    assert {part: len(files) for part, files in touched.items()} == {
        "row": 1, "metric": 2, "figure": 1, "system": 1, "source": 2,
    }  # fmt: skip


def test_the_row_is_in_table_3_as_ours(extended):
    tree, _ = extended
    table = (tree / "results/smoke/tables/table3.md").read_text()
    (line,) = (line for line in table.splitlines() if "MagGAN, light loss (ours, beyond the paper)" in line)
    assert "16 faces, 8 iterations" in line and (tree / "runs/smoke/maggan-light-seed0/weights.safetensors").exists()


def test_the_metric_has_a_value_and_an_interval(extended):
    found = metrics(extended[0], "maggan-light")["lighter"]
    assert found["low"] < found["value"] < found["high"] and found["n"] == 16


def test_the_figure_is_drawn(extended):
    assert (extended[0] / "results/smoke/figures/rebuilt.png").stat().st_size > 5000


def test_the_system_is_a_row_in_the_plan_and_in_the_figures_of_systems(extended):
    tree, _ = extended
    assert metrics(tree, "tint")["mre"]["value"] > 0
    assert said(tree, "from maggan.report.paperfigures import IN_ORDER; print('tint' in IN_ORDER)") == "True"
    assert said(tree, "from maggan.report.morefigures import COMPARED; print('tint' in COMPARED)") == "True"
    assert "tint" in (tree / "runs/.code/smoke.mk").read_text()


def test_the_faces_are_trained_on_and_mirrored(extended):
    tree, _ = extended
    assert metrics(tree, "maggan", "mirrored32")["truth_distance"]["value"] > 0
    look = "from maggan.data import open_faces; from maggan.profiles import profile; import torch\n"
    look += "a, b = (open_faces(profile(n), 'test').batch([3]).images for n in ('smoke', 'mirrored32'))\n"
    look += "print(torch.equal(a.flip(-1), b))"
    assert said(tree, look) == "True"
