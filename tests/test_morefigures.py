"""Figures beyond the paper's: they show what the metrics files say, and say what is missing in one line."""

import json
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer
from matplotlib.text import Text

from maggan.attributes import ATTRIBUTES
from maggan.basics import paths
from maggan.basics.errors import MagganError
from maggan.evaluate import Results
from maggan.evaluate.seeds import OVER_SEEDS
from maggan.profiles import profile
from maggan.report import morefigures
from maggan.variants import COLOURS, PEERS, ROWS, SWEEP, VARIANTS, resolve

DRAWN = profile("drawn64")
IMAGES = "bootstrap over test images, 95 %"
KEYS = (
    "mre", "mre_add", "mre_remove", "mre_blended", "accuracy_1.5", "accuracy_1.5_add", "accuracy_1.5_remove",
    "leakage", "seam", "seam_blended", "fid", "area",
)  # fmt: skip
NAMES = ("curves", "directions", "leakage", "sweep", "blending", "distances", "truth", "cost")
EVERY = [*ROWS, "true-edit", "no-edit"]


def of(name="drawn64"):
    """What lies on the disk of a profile now."""
    return Results(profile(name))


def entry(value, n=600):
    return {"value": value, "low": 0.9 * value, "high": 1.2 * value, "n": n, "interval": IMAGES}


def number(slug, what):
    """A number of its own for each row and what is measured, in [0.1, 0.9]."""
    return 0.1 + 0.8 * (sum(map(ord, slug + what)) % 97) / 97


def run(slug):
    """A row's metrics as `evaluate` writes them."""
    kid = {"value": number(slug, "kid"), "low": None, "high": None, "n": 600, "interval": "none: a mean"}
    return {
        "profile": "drawn64", "faces": 600, "notes": [],
        "metrics": {**{key: entry(number(slug, key)) for key in KEYS}, "kid": kid},
        "per_attribute": {name: {"truth_distance": entry(number(slug, name), 300)} for name in ATTRIBUTES},
        "curve": [{"strength": s, "accuracy": entry(number(slug, f"a{s}")), "mre": entry(0.2 * s + number(slug, "m"))}
                  for s in (0.25, 0.5, 1.0, 1.5, 2.0)],
        "cost": {"parameters": 3_000_000, "multiply_adds": 250_000_000}, "peak_memory_mb": None,
        "wall_seconds": {"train": 600.0, "evaluate": 9.0, "edit": 0.004},
    }  # fmt: skip


@pytest.fixture
def save(tmp_path, monkeypatch):
    """A function that writes metrics of rows of the profile drawn64, all changed by `change` and at a seed."""
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("MAGGAN_RUNS", str(tmp_path / "runs"))
    folder = tmp_path / "results" / "drawn64" / "metrics"
    folder.mkdir(parents=True)

    def write(slugs, change=lambda result: None, seed=0):
        for slug in slugs:
            result = run(slug)
            change(result)
            (folder / f"{slug}-seed{seed}.json").write_text(json.dumps(result))

    return write


def error(call, *arguments):
    with pytest.raises(MagganError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def bars(axes):
    """The bars of axes, a list of patches for each label."""
    return [list(each) for each in axes.containers if isinstance(each, BarContainer)]


def colours(patches):
    return [to_hex(patch.get_facecolor()) for patch in patches]


def note(figure):
    return figure.get_supxlabel().replace("\n", " ")


# ------------------------------------------------------------------------------------------ what is missing


def test_a_row_that_was_never_started(save):
    save(["stgan"])
    wanted = "fig6 needs row maggan: make row ROW=maggan PROFILE=drawn64"
    assert error(morefigures.needed, of(), ("stgan", "maggan"), "fig6") == wanted
    assert error(morefigures.needed, of(), ("maggan", "attgan"), "fig6") == f"{wanted} (then also attgan)"
    assert list(morefigures.needed(of(), ("stgan",), "fig6")) == ["stgan"]
    assert error(morefigures.needed, of("celeba64"), ("stgan",), "fig6").endswith("PROFILE=celeba64 CELEBA=folder")


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_says_what_it_cannot_do_without(save, name):
    row = "maggan-no-mre" if name == "sweep" else "stgan"
    assert error(getattr(morefigures, name), of()).startswith(f"figure {name} needs row {row}: make row ROW={row} ")


OLD = {
    "curves": lambda result: result.pop("curve"),
    "directions": lambda result: result["metrics"].pop("accuracy_1.5_remove"),
    "leakage": lambda result: result["metrics"].pop("leakage"),
    "blending": lambda result: result["metrics"].pop("seam"),
    "distances": lambda result: result["metrics"].pop("kid"),
    "truth": lambda result: result["per_attribute"]["Young"].pop("truth_distance"),
    "cost": lambda result: result.pop("cost"),
}


@pytest.mark.parametrize("name", OLD)
def test_metrics_from_before_are_one_line_or_left_out(save, name):
    draw = getattr(morefigures, name)
    save(["stgan", "maggan"])
    save(["attgan"], OLD[name])
    text = note(draw(of()))
    assert "measured before there was what is shown here: AttGAN" in text
    assert text.endswith(
        "FaderNet, IcGAN" + ", true edit" * (name in ("leakage", "distances")) + ", no edit" * (name == "truth")
    )
    save(["maggan"], OLD[name], seed=1)
    if name != "cost":  # its numbers are those of the first seed
        assert error(draw, of()).startswith(f"figure {name} needs ")
    paths.metrics_file("maggan", DRAWN).unlink()
    assert error(draw, of()).endswith("of row maggan: python -m maggan.evaluate maggan drawn64 --seed 1")
    save(["stgan"], OLD[name])
    assert error(draw, of()).endswith("of row stgan: python -m maggan.evaluate stgan drawn64")


def test_fid_left_out_names_what_to_install(save):
    def without(result):
        del result["metrics"]["fid"]
        result["notes"] = ["FID left out: clean-fid was not installed"]

    save(["stgan"])
    save(["maggan"], without)
    assert error(morefigures.distances, of()).endswith("needs fid of row maggan: pip install clean-fid==0.1.35")


def test_truth_refuses_photos(save):
    wanted = "figure truth needs drawn faces: photos of celeba64 have no counterfactual."
    assert error(morefigures.truth, of("celeba64")) == wanted


# ------------------------------------------------------------------------------------------- what is drawn


def test_curves_are_those_of_the_files(save):
    save(["stgan", "maggan", "icgan", "stgan-cycle"])
    figure = morefigures.curves(of())
    for axes in figure.axes:
        lines = {line.get_color(): line.get_xydata() for line in axes.lines if len(line.get_xydata()) == 5}
        assert list(lines) == [COLOURS[slug] for slug in ("stgan", "maggan", "icgan")]
        points = run("maggan")["curve"]
        wanted = [(point["mre"]["value"], 100 * point["accuracy"]["value"]) for point in points]
        np.testing.assert_allclose(lines[COLOURS["maggan"]], wanted)
    area = number("stgan", "area")
    legend = [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]
    assert legend[0] == f"STGAN: {area:.3f} ({0.9 * area:.3f} to {1.2 * area:.3f})"
    assert [text.get_text() for text in figure.axes[-1].texts] == ["0.25", "0.5", "1", "1.5", "2"]


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("directions", ("accuracy_1.5_add", "accuracy_1.5_remove", "mre_add", "mre_remove")),
        ("blending", ("mre", "mre_blended", "seam", "seam_blended")),
    ],
)
def test_pairs_of_bars_are_those_of_the_files(save, name, keys):
    save(["maggan", "icgan", "stgan"])
    figure = getattr(morefigures, name)(of())
    drawn = [each for axes in figure.axes for each in bars(axes)]
    for key, patches in zip(keys, drawn, strict=True):
        factor = 100 if key.startswith("accuracy") else 1
        wanted = [factor * number(slug, key) for slug in ("stgan", "maggan", "icgan")]
        assert [patch.get_height() for patch in patches] == pytest.approx(wanted)
    rows = [COLOURS[slug] for slug in ("stgan", "maggan", "icgan")]
    assert colours(drawn[0]) == colours(drawn[2]) == rows
    assert [to_hex(patch.get_edgecolor()) for patch in drawn[1]] == rows and drawn[1][0].get_hatch()


def test_horizontal_bars_are_those_of_the_files(save):
    save(["true-edit", "icgan", "maggan", "stgan"])
    (patches,) = bars(morefigures.leakage(of()).axes[0])
    rows = ["stgan", "maggan", "icgan", "true-edit"]  # Table 3's order, then peers
    assert [patch.get_width() for patch in patches] == pytest.approx([number(slug, "leakage") for slug in rows])
    assert colours(patches) == [COLOURS[slug] for slug in rows]
    figure = morefigures.distances(of())
    for axes, key in zip(figure.axes, ("fid", "kid"), strict=True):
        (patches,) = bars(axes)
        assert [patch.get_width() for patch in patches] == pytest.approx([number(slug, key) for slug in rows[:3]])
        truth = next(line for line in axes.lines if line.get_color() == COLOURS["true-edit"])
        assert truth.get_xdata()[0] == number("true-edit", key)


def test_sweep_is_over_the_rows_own_weights(save, monkeypatch):
    rows = ["maggan-no-mre", "maggan", *SWEEP]
    save(rows)
    other = replace(ROWS["maggan-mre50"], settings={**SWEEP["maggan-mre50"], "lambda_3": 70.0})
    monkeypatch.setitem(ROWS, "maggan-mre50", other)
    weights = {slug: resolve(slug, DRAWN).lambda_3 for slug in rows}
    assert sorted(weights.values()) == [0, 10, 70, 100, 200]
    rows.sort(key=weights.get)
    figure = morefigures.sweep(of())
    for axes, key, factor in zip(figure.axes, ("mre", "accuracy_1.5"), (1, 100), strict=True):
        points = axes.collections[-1]
        wanted = [(weights[slug], factor * number(slug, key)) for slug in rows]
        np.testing.assert_allclose(points.get_offsets(), wanted)
        assert [to_hex(colour) for colour in points.get_facecolors()] == [COLOURS[slug] for slug in rows]
        assert [label.get_text() for label in axes.get_xticklabels()][2] == "maggan-mre50: 70"


def test_truth_has_a_bar_for_each_attribute_and_a_line_for_no_edit(save):
    save(["stgan", "maggan", "attgan", "no-edit"])
    (axes,) = morefigures.truth(of()).axes
    for slug, patches in zip(("stgan", "maggan", "attgan"), bars(axes), strict=True):
        assert [patch.get_height() for patch in patches] == pytest.approx([number(slug, name) for name in ATTRIBUTES])
        assert set(colours(patches)) == {COLOURS[slug]}
    segments = axes.collections[-1].get_segments()
    assert [segment[0, 1] for segment in segments] == pytest.approx([number("no-edit", name) for name in ATTRIBUTES])


def test_cost_has_units_and_says_what_is_unknown(save):
    save(["stgan", "maggan"])
    panels = morefigures.cost(of()).axes
    widths = [bars(axes)[0][0].get_width() for axes in panels]
    assert widths[:3] + widths[4:] == pytest.approx([3, 0.25, 4, 10])
    assert [text.get_text() for text in panels[3].texts] == ["unknown"] * 2


def test_notes_say_what_intervals_are_over(save):
    save([*VARIANTS, *PEERS, "true-edit"])
    text = note(morefigures.leakage(of()))
    assert text == f"drawn64, 600 test faces; intervals: {IMAGES}"
    save(["maggan"], seed=1)
    text = note(morefigures.leakage(of()))
    assert f"intervals: {OVER_SEEDS}" in text and text.count("over seeds") == 1  # one kind for all that is trained


@pytest.mark.parametrize("rows", [EVERY, ["stgan", "maggan", *SWEEP, "maggan-no-mre"]])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_off_or_too_small(save, name, rows):
    save(rows)
    figure = getattr(morefigures, name)(of())
    assert all(text.get_fontsize() >= 7 for text in figure.findobj(Text) if text.get_text())
    FigureCanvasAgg(figure).draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 >= -0.05 and box.y0 >= -0.05 and box.x1 <= width + 0.05 and box.y1 <= height + 0.05
