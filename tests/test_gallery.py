"""Figures by name: what they show is what is on the disk, chosen by their rules; what is missing is one line."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from maggan.attributes import ATTRIBUTES, PARTS, attribute_index, single_flips
from maggan.basics import paths
from maggan.basics.errors import MagganError
from maggan.data import open_faces
from maggan.evaluate import Results
from maggan.evaluate.protocol import HAT_SHARE
from maggan.profiles import profile
from maggan.report import figures, gallery, paperfigures
from maggan.train import train
from maggan.variants import COLOURS

SMOKE = profile("smoke")


def entry(value, n=100):
    return {"value": value, "low": value - 0.05, "high": value + 0.05, "n": n, "interval": "bootstrap"}


def measured(slug, accuracy):
    """A metrics file in which attribute i has accuracy + i / 100."""
    file = paths.metrics_file(slug, SMOKE)
    file.parent.mkdir(parents=True, exist_ok=True)
    keys = {"accuracy_1.5": 100, "accuracy_1.5_with_hat": 9, "accuracy_1.5_without_hat": 91}
    each = {name: {key: entry(accuracy + i / 100, n) for key, n in keys.items()} for i, name in enumerate(ATTRIBUTES)}
    run = {
        "row": slug, "faces": 100, "size": 32, "iterations": 8, "notes": [], "curve": [],
        "metrics": {key: entry(accuracy, 13 * n) for key, n in keys.items()}, "per_attribute": each,
    }  # fmt: skip
    file.write_text(json.dumps(run))


def bars(axes):
    return {box.get_label(): [bar.get_height() for bar in box] for box in axes.containers if hasattr(box, "patches")}


def test_every_figure_of_the_paper_has_a_name():
    assert [f"fig{i}" for i in range(1, 10)] == list(gallery.FIGURES)[:9]


def test_figures_of_faces_are_known_as_such():
    """They show people where the faces are photos."""
    of_faces = {name for name, drawing in gallery.FIGURES.items() if drawing.people}
    assert of_faces == {"fig1", "fig2", "fig4", "fig5", "fig8", "fig9", "peers"}


def test_an_unknown_figure_is_one_line_from_python_and_from_make(runs):
    with pytest.raises(MagganError, match="unknown figure 'fig66': did you mean 'fig6'"):
        gallery.draw("fig66", Results(SMOKE))
    command = [sys.executable, "-m", "maggan.gallery", "fig66", "smoke"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=paths.ROOT, env=dict(os.environ))
    assert said.returncode == 2 and said.stderr.count("\n") == 1 and "did you mean 'fig6'" in said.stderr


def test_figure_6_shows_each_attribute_and_the_mean_in_the_papers_order_and_colours(runs):
    for slug, accuracy in (("maggan", 0.8), ("stgan", 0.7), ("icgan", 0.2)):
        measured(slug, accuracy)
    drawn = gallery.figure("fig6", Results(SMOKE))
    found = bars(drawn.axes[0])
    assert list(found) == ["IcGAN", "STGAN", "MagGAN"]
    assert found["STGAN"] == pytest.approx([70 + i for i in range(13)] + [70])
    colours = [box.patches[0].get_facecolor() for box in drawn.axes[0].containers if hasattr(box, "patches")]
    wanted = [COLOURS[slug] for slug in ("icgan", "stgan", "maggan")]
    assert [tuple(np.round(colour[:3], 3)) for colour in colours] == [
        tuple(np.round([int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)], 3)) for c in wanted
    ]
    assert any("not run: FaderNet, StarGAN, AttGAN" in text.get_text() for text in drawn.texts)


def test_figure_7_counts_the_faces_with_and_without_a_hat(runs):
    measured("stgan", 0.7)
    measured("maggan", 0.8)
    with_hat, without = gallery.figure("fig7", Results(SMOKE)).axes
    assert with_hat.get_title("left").startswith(f"9 faces with a hat (above {HAT_SHARE}")
    assert without.get_title("left").startswith("91 faces without a hat")


@pytest.mark.parametrize("name", ["fig1", "fig2", "fig4", "fig8", "peers"])
def test_figures_of_edits_name_the_row_that_is_missing(runs, name):
    with pytest.raises(MagganError, match="train the row: python -m maggan.train (maggan|stgan) smoke") as said:
        gallery.draw(name, Results(SMOKE))
    assert "\n" not in str(said.value)


def test_figures_of_numbers_name_the_row_that_is_missing(runs):
    measured("stgan", 0.7)
    for name in ("fig6", "fig7"):
        with pytest.raises(MagganError, match=f"{name} needs row maggan: make row ROW=maggan PROFILE=smoke"):
            gallery.draw(name, Results(SMOKE))
    with pytest.raises(MagganError, match="make learning PROFILE=smoke"):
        gallery.draw("fig9", Results(SMOKE))


@pytest.fixture
def trained(runs):
    for row in ("stgan", "maggan", "maggan-deep", "maggan-multilevel"):
        train(row, "smoke", iterations=2)
    return runs


def test_figures_of_edits_are_written_as_png_and_pdf_the_same_twice(trained):
    curves = {"maggan": (0.1, 0.5), "maggan-deep": (0.1, 0.3), "maggan-multilevel": (0.2, 0.6)}
    for slug, accuracies in curves.items():
        points = [
            {
                "iteration": i,
                "metrics": {"accuracy_1.5": entry(a)},
                "per_attribute": {"Male": {"accuracy_1.5": entry(a)}},
            }
            for i, a in enumerate(accuracies, 1)
        ]
        paths.learning_file(slug, SMOKE).parent.mkdir(parents=True, exist_ok=True)
        paths.learning_file(slug, SMOKE).write_text(json.dumps({"iterations": 2, "points": points}))
    for name in ("fig1", "fig2", "fig8", "fig9", "peers"):
        file = gallery.draw(name, Results(SMOKE))
        first = file.read_bytes()
        assert first[:4] == b"\x89PNG" and file.with_suffix(".pdf").read_bytes()[:4] == b"%PDF"
        gallery.draw(name, Results(SMOKE))
        assert file.read_bytes() == first
    curve = gallery.figure("fig9", Results(SMOKE)).axes[0].lines
    assert [list(line.get_ydata()) for line in curve] == [[10, 50], [10, 30], [20, 60]]


def test_figure_2_takes_the_largest_hats_and_most_cloth_that_the_edit_adds_to(trained):
    faces, shown = open_faces(SMOKE, "test"), []
    whole = faces.batch(range(len(faces)))
    for part, name in (("hat", "Blond_Hair"), ("cloth", "Pale_Skin")):
        share = whole.parts[:, PARTS.index(part)].mean(dim=(1, 2))
        assert torch.allclose(paperfigures.shares(SMOKE, part), share)
        share[whole.attributes[:, attribute_index(name)] > 0] = -1
        shown += [figures.pixels(whole.images[i]) for i in share.argsort(descending=True, stable=True)[:3]]
    sheet = gallery.figure("fig2", Results(SMOKE)).axes[0].images[0].get_array()
    for k, face in enumerate(shown):
        assert np.allclose(sheet[:32, 33 * k : 33 * k + 32], face, atol=1e-6)


def test_the_square_of_figure_1_holds_what_the_change_touches():
    parts = torch.zeros(len(PARTS), 30, 30)
    parts[PARTS.index("skin"), 5:28, 4:26] = 1
    parts[:, 8:10, 8:14] = 0
    parts[PARTS.index("l_brow"), 8:10, 8:14] = 1
    change = single_flips(torch.zeros(1, 13))[0]
    top, left, side = paperfigures.region_square(parts, change[attribute_index("Bushy_Eyebrows")])
    assert side == 10 and top <= 8 and top + side >= 10 and left <= 8 and left + side >= 14
    skin = paperfigures.region_square(parts, change[attribute_index("Pale_Skin")])
    assert skin[2] == 23 and skin[0] == 5
    assert paperfigures.region_square(parts, change[attribute_index("Blond_Hair")]) == (0, 0, 30)  # no hair at all
