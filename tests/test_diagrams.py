"""Fig. 3 to 5: what they print and outline is what the networks, the losses and the views do."""

from itertools import combinations

import numpy as np
import pytest
import torch

from maggan import losses
from maggan.attributes import ATTRIBUTES, attribute_index, read_relations, relation_matrices
from maggan.basics.errors import MagganError
from maggan.evaluate import Results
from maggan.evaluate.protocol import HAT_SHARE, load_row
from maggan.profiles import profile
from maggan.regions import preserved_mask
from maggan.report import architecture, diagrams
from maggan.report.figures import pixels
from maggan.systems import build_generator
from maggan.train import train
from maggan.variants import resolve

SMOKE = profile("smoke")


def texts(figure):
    """All that a figure says."""
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def boxes(figure, kind):
    """The boxes of a kind."""
    return [patch for patch in figure.axes[0].patches if patch.get_gid() == kind]


def images(figure):
    """{gid: image} of the named pictures."""
    return {image.get_gid(): image for image in figure.axes[0].images}


@pytest.mark.parametrize("condition", ["stu", "decoder"])
@pytest.mark.parametrize(("levels", "width"), [(2, 6), (4, 10)])
def test_fig3_prints_the_shapes_of_the_network_that_runs(levels, width, condition):
    settings = {"levels": levels, "width": width, "spade_condition": condition}
    figure = architecture.fig3(Results(SMOKE), **settings)
    said = texts(figure)
    G = build_generator(resolve("maggan", SMOKE, **settings)).eval()
    encoded = G.encode(torch.zeros(1, 3, 32, 32), torch.full((1, 19, 32, 32), 1 / 19))
    for i, feature in enumerate(G.encoder(torch.zeros(1, 3, 32, 32)), 1):
        assert f"$E_{i}$\n{'×'.join(map(str, feature.shape[1:]))}" in said
    assert len(boxes(figure, "STU")) == len(encoded["gates"]) == levels - 1
    for gates in encoded["gates"]:
        side = gates.shape[-1]
        assert f"{gates.shape[1]}×{side}×{side}" in said and f"STU\n{gates.shape[1] // 3}×{side}×{side}" in said
    for k, (up, spade) in enumerate(zip(G.ups, G.norms, strict=True)):
        side = 32 >> (levels - 1 - k)
        assert {f"{name} {up.out_channels}×{side}×{side}" for name in ("up", "SPADE")} <= set(said)
        joined = G.ups[k + 1].in_channels if k + 2 < levels else G.last.of_features.in_channels
        assert (f"concat {joined}×{side}×{side}" in said) == (condition == "decoder")
        sees = f"{diagrams.ATT}] {spade.shared.in_channels}×{side}×{side}"
        assert any(sees in text for text in said) == (k == 0)  # the inset is of the deepest
    assert any(f"{sum(p.numel() for p in G.parameters()):,} parameters" in text for text in said)


def test_fig3_of_a_large_profile_allocates_nothing_and_keeps_the_relation_table():
    read_relations.cache_clear()
    figure = architecture.fig3(Results(profile("celeba1024")))
    assert "$E_5$\n1024×32×32" in texts(figure) and len(boxes(figure, "STU")) == 4
    assert relation_matrices()[0].sum() > 0  # "meta" has no numbers to read


@pytest.mark.parametrize("settings", [{}, {"spade_condition": "stu"}, {"levels": 2}, {"variant": "stgan"}])
@pytest.mark.parametrize("name", ["smoke", "celeba256"])
def test_fig3_has_no_text_over_another_or_out_of_its_box(name, settings):
    figure = architecture.fig3(Results(profile(name)), **settings)
    page = figure.bbox
    shown = [(text, text.get_window_extent()) for text in figure.axes[0].texts]
    for text, extent in shown:
        assert page.x0 <= extent.x0 and extent.x1 <= page.x1 and page.y0 <= extent.y0 and extent.y1 <= page.y1
        assert text.get_fontsize() >= 7
    for (one, a), (other, b) in combinations(shown, 2):
        assert not a.overlaps(b), (one.get_text(), other.get_text())
    frames = [patch.get_window_extent() for patch in figure.axes[0].patches if patch.get_gid()]
    for text, extent in shown:
        around = [frame for frame in frames if frame.overlaps(extent)]
        assert len(around) <= 1, text.get_text()
        assert all(frame.x0 <= extent.x0 and extent.x1 <= frame.x1 for frame in around), text.get_text()


def test_fig4_names_the_command_where_the_row_is_not_trained(runs):
    with pytest.raises(MagganError, match="python -m maggan.train maggan smoke") as error:
        diagrams.fig4(Results(SMOKE))
    assert "\n" not in str(error.value)


def test_fig4_writes_the_losses_of_the_face_it_shows(runs):
    train("maggan", "smoke", iterations=2)
    changes = ("Bald", "Pale_Skin")
    figure = diagrams.fig4(Results(SMOKE), changes)
    said, shown = texts(figure), [np.asarray(image.get_array()) for image in figure.axes[0].images]
    assert len(shown) == 6 * len(changes) + 3
    _, (x, parts, attributes) = diagrams.face_with_hat(SMOKE)
    G, _ = load_row("maggan", SMOKE, 0, "cpu")
    for i, name in enumerate(changes):
        att_diff = torch.zeros(1, len(ATTRIBUTES))
        att_diff[0, attribute_index(name)] = 1 - 2 * attributes[0, attribute_index(name)]
        edited, kept = G(x, att_diff, parts), preserved_mask(parts, att_diff)
        source, edit, mask, before, after, _ = shown[6 * i : 6 * i + 6]
        assert np.allclose(edit, pixels(edited)[0], atol=1e-5) and np.allclose(mask, kept[0, 0])
        whole, gone = mask > 1 - 1e-6, mask < 1e-6
        assert np.allclose(before[whole], source[whole], atol=1e-5) and np.allclose(before[gone], 0.6, atol=1e-5)
        assert np.allclose(after[whole], edit[whole], atol=1e-5)
        loss = losses.mask_guided_reconstruction_loss(x, edited, kept)
        assert any(f"= {loss:.3f}" in text and name.split("_")[0] in text for text in said)
    loss = losses.reconstruction_loss(x, G(x, torch.zeros(1, len(ATTRIBUTES)), parts))
    assert any(f"= {loss:.3f}" in text and "no change" in text for text in said)


def test_the_face_of_fig4_is_the_first_with_a_hat_else_the_first(runs, monkeypatch):
    faces = diagrams.open_faces(SMOKE, "test")
    shares = faces.batch(range(len(faces))).parts[:, -1].mean((1, 2))
    first = next((i for i, share in enumerate(shares) if share > HAT_SHARE), 0)
    assert diagrams.face_with_hat(SMOKE)[0] == first
    monkeypatch.setattr(diagrams, "HAT_SHARE", 1.0)
    assert diagrams.face_with_hat(SMOKE)[0] == 0


@pytest.mark.parametrize(("levels", "seed"), [(None, 0), (None, 1), (1, 0)])
def test_fig5_outlines_the_patch_that_the_view_shows(runs, levels, seed):
    figure = diagrams.fig5(Results(SMOKE), levels, face=1, seed=seed)
    shown, count = images(figure), levels or 2
    for number in range(1, count + 1):
        face, view = (np.asarray(shown[f"{name} {number}"].get_array()) for name in ("face", "view"))
        left, right, _, up = shown[f"face {number}"].get_extent()
        (outline,) = boxes(figure, f"patch {number}")
        pixel = (right - left) / len(face)
        x, y, side = (round(v / pixel) for v in (outline.get_x() - left, outline.get_y() - up, outline.get_width()))
        assert len(face) == 32 >> (count - number) and side == len(view) == 32 >> (count - 1)
        assert np.array_equal(face[y : y + side, x : x + side], view)
    assert shown.keys() == {f"{name} {i}" for name in ("face", "view") for i in range(1, count + 1)}
    assert any("averaged" in text for text in texts(figure)) == (count > 1)


def test_fig5_refuses_levels_that_leave_too_little(runs):
    with pytest.raises(MagganError, match="critic_levels 4"):
        diagrams.fig5(Results(SMOKE), levels=4)
