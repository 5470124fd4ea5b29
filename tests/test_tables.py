import json
import shutil

import pandas as pd
import pytest

from maggan.basics import paths
from maggan.basics.errors import MagganError
from maggan.evaluate import Results
from maggan.profiles import profile
from maggan.report import tables
from maggan.report.claims import write_claims
from maggan.report.reference import promote
from maggan.variants import TITLES, VARIANTS


def of(name="drawn64"):
    """What lies on the disk of a profile now."""
    return Results(profile(name))


def run(mre, faces=600, **changes):
    """A row's metrics as `evaluate` writes them."""
    values = {"mre": mre, "fid": 3.0, "accuracy_1.0": 0.75, "accuracy_1.5": 0.85, "psnr": 28.0, "ssim": 0.9} | changes
    metrics = {
        name: {"value": v, "low": None if v is None else 0.95 * v, "high": None if v is None else 1.05 * v, "n": faces}
        for name, v in values.items()
    }
    return {
        "faces": faces, "iterations": 2000, "table": "paper", "device": "cpu, 1 thread(s)", "notes": [],
        "metrics": metrics, "wall_seconds": {"train": 100.0, "evaluate": 9.0},
    }  # fmt: skip


def judge():
    return {"test": {"mean": 0.98, "faces": 600}, "counterfactuals": {"mean": 0.96, "faces": 300}}


def save(folder, rows, judges=True):
    (folder / "metrics").mkdir(parents=True)
    for slug, metrics in rows.items():
        (folder / "metrics" / f"{slug}-seed0.json").write_text(json.dumps(metrics))
    if judges:
        report = {"classifier": judge(), "features": judge(), "wall_seconds": {"classifier": 9.0}}
        (folder / "metrics" / "judges.json").write_text(json.dumps(report))


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Empty results and an empty reference of the profile drawn64."""
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(paths, "reference", lambda: tmp_path / "reference")
    return tmp_path / "results" / "drawn64", tmp_path / "reference" / "drawn64"


def test_papers_numbers_are_whole_and_in_its_order():
    table = pd.read_csv(paths.paper() / "table3.csv")
    assert list(table.row) == list(VARIANTS)
    assert list(table.method) == [TITLES[slug] for slug in VARIANTS]
    numbers = table[["mre", "fid", "accuracy", "psnr", "ssim"]]
    # The sums of the paper's printed columns.
    assert numbers.sum().round(4).tolist() == [0.2682, 9.79, 633.1, 272.33, 6.842]
    small, large = (pd.read_csv(paths.paper() / f"table{i}.csv") for i in (1, 2))
    assert small.mre.tolist() == [0.0713, 0.0627, 0.0530, 0.0163, 0.0141, 0.0130]
    assert large[["with_hat", "without_hat", "overall"]].sum().round(1).tolist() == [100.0, 100.0, 100.0]


def test_rows_that_were_not_run_say_so_with_the_command(folders):
    yours, _ = folders
    save(yours, {"stgan": run(0.05)}, judges=False)
    table = tables.as_text("table3", of())
    assert list(table.index) == [*(TITLES[slug] for slug in VARIANTS), "true edit (floor)", "no edit"]
    assert table.loc["(vi) MagGAN", ("", "run")] == "not run: make row ROW=maggan PROFILE=drawn64"
    assert table.loc["(vi) MagGAN", ("MRE ↓", "yours")] == "–"
    assert table.loc["(vi) MagGAN", ("MRE ↓", "paper")] == "0.0163"
    assert table.loc["(i) STGAN", ("", "run")] == "600 faces, 2000 iterations"
    assert table.loc["(i) STGAN", ("MRE ↓", "yours")] == "0.0500 ±0.0025"
    assert "true edit (floor)" not in tables.as_text("table3", of("celeba64")).index


def test_value_outside_the_references_interval_is_marked(folders):
    yours, reference = folders
    save(yours, {"stgan": run(0.05), "maggan": run(0.02)})
    save(reference, {"stgan": run(0.051), "maggan": run(0.01, faces=500)})
    values = tables.values("table3", of()).set_index(["row", "metric", "source"])
    assert not values.outside[("stgan", "mre", "yours")] and values.outside[("maggan", "mre", "yours")]
    assert values.value[("maggan", "accuracy_1.5", "yours")] == 85.0
    assert values.outside.sum() == 1
    table = tables.as_text("table3", of())
    assert table.loc["(vi) MagGAN", ("MRE ↓", "yours")].endswith("†")
    assert "†" not in "".join(table.loc["(i) STGAN"])


def test_notes_say_protocol_judges_and_order(folders):
    yours, _ = folders
    save(yours, {"stgan": run(0.05), "maggan": run(0.02), "stgan-mre": run(0.0205), "maggan-no-mre": run(0.01)})
    notes = "\n".join(tables.notes("table3", of()))
    assert "[-1, 1]" in notes and "relation table paper" in notes and "96.0 % of the flips" in notes
    assert "maggan below stgan: holds (0.0200 / 0.0500 = 0.40)" in notes
    assert "maggan below stgan-mre: open, the intervals overlap" in notes
    assert "maggan below maggan-no-mre: does not hold" in notes
    assert "not a result" in tables.notes("table3", of("smoke"))[0]


def test_files_are_written_whole_and_escaped(folders):
    yours, _ = folders
    save(yours, {"stgan": run(0.05, psnr=None)})
    file = tables.write_table("table3", of())
    text = file.read_text()
    assert text.count("| (") == 7 and "not run: `make row ROW=maggan-seg PROFILE=drawn64`" in text
    latex = file.with_suffix(".tex").read_text()
    assert r"L\_mre" in latex and r"Acc. 1.5 \%" in latex and r"\toprule" in latex and "†" not in latex
    csv = pd.read_csv(file.with_suffix(".csv"))
    assert set(csv.source) == {"paper", "yours"} and csv[csv.metric == "psnr"].source.tolist() == ["paper"] * 7
    assert file.with_suffix(".png").stat().st_size > 10_000 and file.with_suffix(".pdf").exists()
    assert not list(file.parent.glob(".*"))


def test_nothing_in_the_picture_is_cut_off_or_overlaps(folders):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    yours, reference = folders
    save(yours, {"stgan": run(0.05)})
    save(reference, {slug: run(0.01) for slug in VARIANTS})
    figure = tables.picture(tables.as_text("table3", of()), tables.notes("table3", of()))
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    width, height = figure.get_size_inches() * figure.dpi
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)
    shrunk = [b.padded(-0.5) for b in boxes]
    assert not any(a.overlaps(b) for i, a in enumerate(shrunk) for b in shrunk[:i])


def test_promote_refuses_an_unfinished_run(folders):
    yours, reference = folders
    save(yours, {"stgan": run(0.05)})
    with pytest.raises(MagganError, match="make row ROW=stgan-cycle PROFILE=drawn64"):
        promote(of())
    assert not reference.exists()


def test_promote_copies_metrics_tables_and_machine(folders):
    yours, reference = folders
    save(yours, {slug: run(0.05) for slug in VARIANTS})
    assert promote(of()) == reference
    machine = json.loads((reference / "machine.json").read_text())
    assert machine["device"] == ["cpu, 1 thread(s)"] and machine["cores"] >= 1
    assert machine["wall_seconds"]["maggan-seed0"] == {"train": 100.0, "evaluate": 9.0}
    for name in ("metrics/maggan-seed0.json", "metrics/judges.json", "tables/table3.csv"):
        assert (reference / name).read_bytes() == (yours / name).read_bytes()
    values = tables.values("table3", of())
    assert set(values.source) == {"paper", "reference", "yours"} and not values.outside.any()


def test_promote_takes_the_other_sizes_of_table_1_along(folders):
    yours, reference = folders
    save(yours, {"stgan": run(0.05), "maggan": run(0.02)})
    save(yours.with_name("drawn32"), {"stgan": run(0.06), "attgan": run(0.07), "maggan": run(0.03)})
    promote(of(), rows=("stgan", "maggan"))
    kept = sorted(file.name for file in (reference.parent / "drawn32" / "metrics").iterdir())
    assert kept == ["attgan-seed0.json", "stgan-seed0.json"]  # Table 1 has no other row at half the size


def test_partial_run_can_be_promoted_by_naming_its_rows(folders):
    yours, reference = folders
    save(yours, {"stgan": run(0.05), "maggan": run(0.02)})
    promote(of(), rows=("stgan", "maggan"))
    assert "not run" in (reference / "tables" / "table3.md").read_text()


def test_damaged_metrics_are_one_line_with_the_fix(folders):
    yours, _ = folders
    save(yours, {})
    (yours / "metrics" / "stgan-seed0.json").write_text('{"metrics":')
    with pytest.raises(MagganError, match="stgan-seed0.json is damaged"):
        tables.as_text("table3", of())


def test_table_1_compares_sizes_relative_to_the_profile(folders):
    yours, _ = folders
    save(yours, {"stgan": run(0.05)}, judges=False)
    save(yours.with_name("drawn32"), {"attgan": run(0.07)}, judges=False)
    table = tables.as_text("table1", of())
    assert list(table.index)[:3] == [
        "AttGAN, 32 px (paper: 128 px)", "STGAN, 32 px (paper: 128 px)", "STGAN, 64 px (paper: 256 px)"
    ]  # fmt: skip
    assert table["MRE ↓", "paper"].tolist() == ["0.0713", "0.0627", "0.0530", "0.0163", "0.0141", "0.0130"]
    assert table["MRE ↓", "yours"].tolist()[:3] == ["0.0700 ±0.0035", "–", "0.0500 ±0.0025"]
    assert table["", "run"].iloc[1] == "not run: make row ROW=stgan PROFILE=drawn32"
    assert table["", "run"].iloc[4] == "not run: make row ROW=maggan PROFILE=drawn128small"
    assert len(tables.as_text("table1", of("celeba1024"))) == 4 and len(tables.as_text("table1", of("smoke"))) == 2


def test_table_2_stays_empty_without_ratings(folders):
    table = tables.as_text("table2", of())
    assert list(table.index) == ["MagGAN", "STGAN", "Tie"]
    assert table["overall %", "paper"].tolist() == ["55.7", "41.5", "2.8"]
    assert (table["overall %", "yours"] == "no ratings yet").all()


@pytest.mark.parametrize("table", ["table1", "table2"])
def test_the_other_tables_are_written_in_every_format(folders, table):
    file = tables.write_table(table, of())
    assert {path.suffix for path in file.parent.iterdir()} == {".csv", ".md", ".tex", ".png", ".pdf"}
    with pytest.raises(MagganError, match="did you mean 'table1'"):
        tables.write_table("tabel1", of())


@pytest.mark.parametrize("name", [folder.parent.name for folder in sorted(paths.reference().glob("*/tables"))])
def test_the_committed_reference_is_what_the_code_makes_of_its_metrics(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path))
    for measured in ("metrics", "learning"):
        for folder in paths.reference().glob(f"*/{measured}"):
            shutil.copytree(folder, tmp_path / folder.parent.name / measured)
    for table in tables.TABLES:
        tables.write_table(table, of(name))
    write_claims(of(name))
    committed = paths.reference() / name / "tables"
    for file in ("table1.md", "table1.csv", "table2.md", "table3.md", "table3.csv", "table3.tex", "claims.md"):
        made = tmp_path / name / "tables" / file
        assert made.read_text(encoding="utf-8") == (committed / file).read_text(encoding="utf-8"), file
