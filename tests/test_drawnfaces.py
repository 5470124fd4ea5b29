"""The drawn faces: rates, determinism, exact parts, true counterfactuals."""

import pytest
import torch

from maggan.attributes import ATTRIBUTES, PARTS, relation_matrices, single_flips
from maggan.basics.errors import MagganError
from maggan.drawnfaces import paint as drawnfaces
from maggan.drawnfaces.latents import REPAIRS, flip, sample, uniforms
from maggan.drawnfaces.paint import draw, draw_flipped

CELEBA = {
    "Bald": 0.0224, "Bangs": 0.1516, "Black_Hair": 0.2393, "Blond_Hair": 0.1480, "Brown_Hair": 0.2052,
    "Bushy_Eyebrows": 0.1422, "Eyeglasses": 0.0651, "Male": 0.4168, "Mouth_Slightly_Open": 0.4834,
    "Mustache": 0.0415, "No_Beard": 0.8349, "Pale_Skin": 0.0429, "Young": 0.7736,
}  # fmt: skip
COUNT = 32
HAIR_COLOURS = [ATTRIBUTES.index(name) for name in ("Black_Hair", "Blond_Hair", "Brown_Hair")]


def column(attributes, name):
    return attributes[:, ATTRIBUTES.index(name)]


@pytest.fixture(scope="module")
def faces():
    return draw(range(COUNT), 64)


@pytest.fixture(scope="module")
def flips():
    return {attribute: draw_flipped(range(COUNT), 64, attribute) for attribute in ATTRIBUTES}


@pytest.fixture(scope="module", params=[False, True], ids=["celeba", "decorrelated"])
def people(request):
    return request.param, *sample(torch.arange(30_000), request.param)


def check_possible(attributes):
    """No face may combine what excludes each other."""
    bald, colours = column(attributes, "Bald"), attributes[:, HAIR_COLOURS].sum(1)
    assert colours.max() <= 1
    assert not (bald * (colours + column(attributes, "Bangs"))).any()
    assert not (column(attributes, "Mustache") * column(attributes, "No_Beard")).any()


def test_hash_is_uniform_and_uncorrelated():
    u = uniforms(torch.arange(20_000), 40)
    assert 0 < u.min() and u.max() < 1
    torch.testing.assert_close(u.mean(0), torch.full((40,), 0.5), atol=0.01, rtol=0)
    torch.testing.assert_close(u.std(0), torch.full((40,), 12**-0.5), atol=0.01, rtol=0)
    assert torch.corrcoef(u.T).fill_diagonal_(0).abs().max() < 0.04
    assert torch.corrcoef(torch.stack([u[1:, 0], u[:-1, 0]]))[0, 1].abs() < 0.03


def test_rates(people):
    decorrelated, attributes, latents = people
    check_possible(attributes)
    for name, rate in CELEBA.items():
        drawn = column(attributes, name).mean().item()
        if decorrelated:
            assert 0.15 < drawn < 0.85, name
        else:
            assert abs(drawn - rate) < 0.03, name
    assert latents["hat"].mean().item() == pytest.approx(1 / 8, abs=0.02)
    assert latents["scarf"].mean().item() == pytest.approx(1 / 8, abs=0.02)


def test_correlations(people):
    decorrelated, attributes, latents = people
    male, young, hat = column(attributes, "Male"), column(attributes, "Young"), latents["hat"]

    def gap(name, by):
        values = column(attributes, name)
        return (values[by == 1].mean() - values[by == 0].mean()).item()

    if decorrelated:
        for name in ("Bald", "Bangs", "Blond_Hair", "Mustache", "No_Beard", "Eyeglasses", "Young"):
            assert abs(gap(name, male)) < 0.03, name
        return
    assert gap("No_Beard", male) < -0.3 and gap("Blond_Hair", male) < -0.1 and gap("Young", male) < -0.15
    assert column(attributes, "Bald")[male == 0].sum() == 0 and gap("Bald", young) < -0.03
    assert attributes[:, HAIR_COLOURS].sum(1)[hat == 1].mean() < 0.12


def test_a_face_depends_on_its_seed_alone(faces):
    again = draw(torch.tensor([30, 7, 7, 12]), 64)
    for ours, theirs in zip(faces, again, strict=True):
        torch.testing.assert_close(ours[[30, 7, 7, 12]], theirs, atol=1e-5, rtol=0)
    assert not torch.allclose(faces.images[0], faces.images[1], atol=0.1)
    huge = draw([30_000_000, 2**40], 16)
    assert torch.isfinite(huge.images).all()


def test_ranges_and_sums(faces):
    count = len(faces.images)
    assert faces.images.shape == (count, 3, 64, 64)
    assert faces.parts.shape == (count, len(PARTS), 64, 64)
    assert faces.images.min() >= -1 and faces.images.max() <= 1
    assert faces.parts.min() >= 0 and faces.parts.max() <= 1 + 1e-6
    torch.testing.assert_close(faces.parts.sum(1), torch.ones(count, 64, 64), atol=1e-6, rtol=0)
    assert set(faces.attributes.unique().tolist()) == {0.0, 1.0}
    assert faces.images.dtype == faces.parts.dtype == faces.attributes.dtype == torch.float32


def test_the_same_face_at_every_size(faces):
    large = draw(range(6), 256)
    images = torch.nn.functional.avg_pool2d(large.images, 4)
    parts = torch.nn.functional.avg_pool2d(large.parts, 4)
    assert (images - faces.images[:6]).abs().mean() < 0.03
    assert (parts - faces.parts[:6]).abs().sum(1).mean() < 0.03
    assert torch.equal(large.attributes, faces.attributes[:6])


def test_parts_follow_attributes_and_accessories():
    attributes, latents = sample(torch.arange(400), True)
    picked = torch.cat([latents["hat"][:400].nonzero()[:4, 0], torch.arange(24)])
    drawn = draw(picked, 64, decorrelate=True)
    area = dict(zip(PARTS, drawn.parts.mean((2, 3)).unbind(1), strict=True))
    for part, on in (("hat", latents["hat"][picked]), ("eye_g", column(drawn.attributes, "Eyeglasses")),
                     ("mouth", column(drawn.attributes, "Mouth_Slightly_Open"))):  # fmt: skip
        assert (area[part][on == 1] > 0.003).all() and (area[part][on == 0] == 0).all(), part
    assert (area["hair"][column(drawn.attributes, "Bald") == 1] == 0).all()
    assert (area["hat"][latents["hat"][picked] == 1] > 0.1).all()  # the hat subset's threshold
    assert (area["skin"] > 0.1).all()


def test_left_parts_are_on_the_viewers_left(faces):
    x = torch.linspace(-1, 1, 64)
    for left, right in (("l_brow", "r_brow"), ("l_eye", "r_eye"), ("l_ear", "r_ear")):
        l_part, r_part = (faces.parts[:, PARTS.index(name)] for name in (left, right))
        both = (l_part.sum((1, 2)) > 0.5) & (r_part.sum((1, 2)) > 0.5)
        assert both.any()
        assert ((l_part * x).sum((1, 2)) < (r_part * x).sum((1, 2)))[both].all()


def test_an_open_mouth_can_be_read_at_64_pixels(faces):
    mouths = faces.parts[:, PARTS.index("mouth")][column(faces.attributes, "Mouth_Slightly_Open") == 1]
    assert ((mouths.amax(1) > 0.5).sum(1) >= 9).all()  # columns; the lips add more
    assert ((mouths.amax(2) > 0.5).sum(1) >= 4).all()  # rows


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_repairs_are_exactly_the_documented_ones(attribute):
    attributes, _ = sample(torch.arange(2000), True)
    flipped = flip(attributes, attribute)
    check_possible(flipped)
    index = ATTRIBUTES.index(attribute)
    assert torch.equal(flipped[:, index], 1 - attributes[:, index])
    assert torch.equal(flipped, flip(attributes, index))
    for before, after in zip(attributes[:300], flipped[:300], strict=True):
        repairs = REPAIRS.get((attribute, "+" if after[index] else "-"), {})
        for j, name in enumerate(ATTRIBUTES):
            if j != index:
                assert after[j] == repairs.get(name, before[j])


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_a_flip_changes_the_face_where_it_should(faces, flips, attribute):
    flipped = flips[attribute]
    assert torch.equal(flipped.attributes, flip(faces.attributes, attribute))
    change = (flipped.images - faces.images).abs().mean(1)  # (B, S, S)
    assert (change.amax((1, 2)) > 0.05).all()  # nobody's flip is invisible
    # Whatever is flipped, hats, clothes and necklaces stay as they were wherever they stay in view.
    worn = [PARTS.index(name) for name in ("hat", "cloth", "neck_l")]
    kept = torch.minimum(faces.parts[:, worn], flipped.parts[:, worn]).sum(1) > 0.999
    assert change[kept].max() < 2e-3  # what shines through the last thousandth


def test_flipping_keeps_every_latent(monkeypatch):
    seen = []
    monkeypatch.setattr(drawnfaces, "render", lambda attributes, latents, size: seen.append(latents))
    draw(range(40), 64)
    for attribute in ATTRIBUTES:
        draw_flipped(range(40), 64, attribute)
    for latents in seen[1:]:
        assert latents.keys() == seen[0].keys()
        assert all(torch.equal(latents[name], seen[0][name]) for name in latents)


@pytest.mark.parametrize("attribute", ["Eyeglasses", "Pale_Skin", "Mouth_Slightly_Open", "Bushy_Eyebrows"])
def test_flipping_twice_draws_the_first_face(faces, attribute):
    """These four are never repaired, so their flip can be undone."""
    attributes, latents = sample(torch.arange(8))
    twice = drawnfaces.render(flip(flip(attributes, attribute), attribute), latents, 64)
    torch.testing.assert_close(twice.images, faces.images[:8], atol=1e-5, rtol=0)


def test_mre_of_the_true_edits(faces, flips):
    """What eq. 2 charges the true counterfactuals: hair and beards reach a little beyond their regions."""
    plus, minus = relation_matrices()
    att_diff = single_flips(faces.attributes)
    charged = []
    for index, attribute in enumerate(ATTRIBUTES):
        sign = att_diff[:, index, index, None]
        affected = plus[index] * (sign > 0) + minus[index] * (sign < 0)  # (B, 19)
        preserved = 1 - torch.einsum("bp,bphw->bhw", affected, faces.parts)
        change = (flips[attribute].images - faces.images).abs().mean(1)
        charged.append((preserved * change).mean())
    assert torch.stack(charged).mean() < 0.006
    assert max(charged) < 0.03


def test_unknown_attribute_names_the_nearest():
    with pytest.raises(MagganError, match="did you mean 'Eyeglasses'"):
        draw_flipped([0], 16, "Eyeglases")
    with pytest.raises(MagganError, match="unknown attribute '13'"):
        draw_flipped([0], 16, 13)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_same_faces_on_a_gpu(faces):
    on_gpu = draw(range(COUNT), 64, device="cuda")
    assert torch.equal(on_gpu.attributes.cpu(), faces.attributes)
    torch.testing.assert_close(on_gpu.images.cpu(), faces.images, atol=2e-3, rtol=0)
