"""Other styles: the source face keeps its look, the edit gets another where it has the choice."""

import pytest
import torch

from maggan.attributes import ATTRIBUTES
from maggan.drawnfaces import draw_flipped, render
from maggan.drawnfaces.latents import flip, sample
from maggan.drawnfaces.styles import draw_restyled, has_choice, restyled, shown

SEEDS = torch.arange(20_000_000, 20_000_060)


@pytest.mark.parametrize("decorrelated", [False, True])
def test_what_is_drawn_again_does_not_show_on_the_source(decorrelated):
    attributes, latents = sample(SEEDS, decorrelated)
    before = render(attributes, latents, 32)
    for style in (1, 2):
        other = restyled(SEEDS, attributes, latents, style)
        after = render(attributes, other, 32)
        for old, new in zip(before[:2], after[:2], strict=True):  # a mixture of nothing but itself may round
            torch.testing.assert_close(new, old, atol=1e-6, rtol=0)
    assert any(not torch.equal(latents[name], other[name]) for name in latents)


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_edit_differs_just_where_it_has_the_choice(attribute):
    attributes, latents = sample(SEEDS)
    choice = has_choice(attributes, latents, attribute)
    one = draw_flipped(SEEDS, 32, attribute)
    styles = torch.stack([draw_restyled(SEEDS, 32, attribute, style).images for style in (1, 2, 3)])
    differs = ((styles - one.images).abs() > 1e-5).flatten(2).any(2).any(0)
    assert not (differs & ~choice).any()
    assert (differs == choice).float().mean() > 0.9  # bangs or a hat may hide what was chosen
    assert torch.equal(draw_restyled(SEEDS, 32, attribute, 0).images, one.images)


def test_who_has_a_choice():
    attributes, latents = sample(SEEDS)
    column = {name: attributes[:, i] > 0.5 for i, name in enumerate(ATTRIBUTES)}
    assert torch.equal(has_choice(attributes, latents, "Eyeglasses"), ~column["Eyeglasses"])
    assert torch.equal(has_choice(attributes, latents, "No_Beard"), column["No_Beard"])
    assert torch.equal(has_choice(attributes, latents, "Mustache"), column["No_Beard"])  # else the beard says how
    assert torch.equal(has_choice(attributes, latents, "Bald"), column["Bald"])
    for name in ("Pale_Skin", "Mouth_Slightly_Open", "Bushy_Eyebrows"):
        assert not has_choice(attributes, latents, name).any()
    assert set(shown(attributes, latents)) <= set(latents)


def test_long_hair_is_as_frequent_as_at_first():
    seeds = torch.arange(4000)
    attributes, latents = sample(seeds)
    bald = flip(attributes, "Bald")  # then no hair shows, and all of it is drawn again
    bald[:, 0] = 1
    again = restyled(seeds, bald, latents, 1)["long"]
    for male in (0, 1):
        some = attributes[:, ATTRIBUTES.index("Male")] == male
        assert again[some].mean().item() == pytest.approx(latents["long"][some].mean().item(), abs=0.03)
