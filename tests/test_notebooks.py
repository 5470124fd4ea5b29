"""The committed notebooks: their form, and how one is run with parameters."""

import json
import re

import nbformat
import pytest

from maggan.basics.errors import MagganError
from maggan.basics.paths import ROOT
from maggan.commands import notebook

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WITH_ROW = ("04", "07", "08")
WITH_PROFILE = ("01", "04", "06", "07", "08", "09", "10", "11", "12", "13", "14", "16")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def book(request):
    return request.param, nbformat.read(request.param, as_version=4)


def code_cells(nb):
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def test_they_are_numbered_without_a_gap():
    assert [path.name[:3] for path in NOTEBOOKS] == [f"{i:02d}-" for i in range(17)]


def test_valid_and_for_the_python_of_the_environment(book):
    path, nb = book
    nbformat.validate(nb)
    assert nb.metadata.kernelspec.name == "python3"


def test_opens_with_title_question_and_equation_and_closes_with_what_we_saw(book):
    path, nb = book
    first, last = nb.cells[0], nb.cells[-1]
    assert first.cell_type == last.cell_type == "markdown"
    assert first.source.startswith(f"# {path.name[:2]} · ") and "**Question.**" in first.source
    text = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    assert "$" in text and last.source.startswith("## What we saw\n")


def test_first_code_cell_prints_versions(book):
    assert "maggan.__version__" in code_cells(book[1])[0].source


def test_parameters_default_to_smoke(book):
    path, nb = book
    tagged = [cell for cell in code_cells(nb) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) <= 1
    source = tagged[0].source if tagged else ""
    assert ('profile = "smoke"' in source) == path.name.startswith(WITH_PROFILE)
    assert ('row = "maggan"' in source) == path.name.startswith(WITH_ROW)
    # a value derived from a parameter would keep the default when papermill sets another
    assert all(re.fullmatch(r"""\w+ = ("[^"]*"|\d+)(\s+#.*)?""", line) for line in source.splitlines())


def test_cells_are_short_and_define_little(book):
    for cell in code_cells(book[1]):
        assert len(cell.source.splitlines()) <= 30
        assert cell.source.count("def ") <= 1


def test_committed_as_executed_without_errors_paths_or_warnings(book):
    path, nb = book
    assert path.stat().st_size < 1_000_000
    pictures = 0
    for cell in code_cells(nb):
        assert cell.execution_count is not None
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr"
            data = output.get("data", {})
            text = json.dumps([output.get("text"), {kind: said for kind, said in data.items() if "image" not in kind}])
            assert not re.search(r"(^|[\s'\"(=])/[a-zA-Z]+/\w|Warning", text.replace("</", "<")), cell.source
            pictures += "image/png" in data
    assert pictures


def written(path, *sources, parameters="row = 'a'"):
    cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    nb = nbformat.v4.new_notebook(cells=cells + [nbformat.v4.new_code_cell(source) for source in sources])
    nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nb, path)
    return path


def test_a_run_takes_parameters_and_shows_progress_as_lines(tmp_path, capfd):
    loop = "from maggan.basics.progress import progress\nfor _ in progress(range(3), row, delay=0): pass\nprint(row)"
    output = tmp_path / "out" / "a.ipynb"
    assert notebook.run_notebook(written(tmp_path / "a.ipynb", loop), output, {"row": "b"}) == output
    last = code_cells(nbformat.read(output, as_version=4))[-1]
    assert any(stream.get("text") == "b\n" for stream in last.outputs)
    assert "b: 3/3" in capfd.readouterr().err
    assert not list(output.parent.glob("*partial*"))


def test_pictures_are_found_from_where_the_executed_copy_lies(tmp_path):
    source = written(tmp_path / "a.ipynb")
    nb = nbformat.read(source, as_version=4)
    nb.cells.append(nbformat.v4.new_markdown_cell("![](../results/reference/drawn64/figures/fig1.png)"))
    nbformat.write(nb, source)
    notebook.run_notebook(source, tmp_path / "elsewhere" / "a.ipynb", {})
    linked = nbformat.read(tmp_path / "elsewhere" / "a.ipynb", as_version=4).cells[-1].source[4:-1]
    shown = (tmp_path / "elsewhere" / linked).resolve()
    assert shown == ROOT / "results" / "reference" / "drawn64" / "figures" / "fig1.png" and shown.exists()


def test_a_failing_notebook_is_not_taken_as_done(tmp_path):
    output = tmp_path / "a.ipynb"
    failing = written(tmp_path / "in.ipynb", "raise ValueError('no such hat')")
    with pytest.raises(MagganError, match="ValueError: no such hat"):
        notebook.run_notebook(failing, output, {})
    assert not output.exists() and (tmp_path / "a.partial.ipynb").exists()


def test_a_parameter_that_a_notebook_has_not_is_left_out(tmp_path):
    told = {"row": "maggan", "profile": "smoke"}
    output = notebook.run_notebook(written(tmp_path / "in.ipynb"), tmp_path / "out.ipynb", told)
    cells = {tag: cell.source for cell in nbformat.read(output, as_version=4).cells for tag in cell.metadata.tags}
    assert 'row = "maggan"' in cells["injected-parameters"] and "smoke" not in cells["injected-parameters"]
