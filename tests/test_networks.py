"""Shapes, published parameter counts, and that masks reach where they should and nowhere else."""

import pytest
import torch

from maggan.basics.errors import MagganError
from maggan.networks import generator as networks
from maggan.networks.discriminator import Discriminator
from maggan.networks.generator import Generator
from maggan.networks.layers import xavier
from maggan.profiles import profile
from maggan.variants import VARIANTS, resolve

SMOKE = profile("smoke")
PUBLISHED = dict(
    size=128, width=64, levels=5, max_width=1024, critic_width=64, head_width=1024, last_layer="deconv",
    attribute_trunk="shared", critic_norm="instance",
)  # fmt: skip


def count(module):
    return sum(p.numel() for p in module.parameters())


def generator(row, **changes):
    torch.manual_seed(0)
    return Generator(resolve(row, SMOKE, **changes)).apply(xavier).eval()


def faces(n=2, size=32):
    draw = torch.Generator().manual_seed(1)
    images = torch.rand(n, 3, size, size, generator=draw) * 2 - 1
    parts = torch.rand(n, 19, size, size, generator=draw).mul(4).softmax(1)
    return images, parts, torch.randint(-1, 2, (n, 13), generator=draw).float()


def test_published_sizes():
    config = resolve("stgan", profile("celeba128"), **PUBLISHED)
    with torch.device("meta"):
        assert count(Generator(config)) == 74_998_771  # STGAN's
        assert count(Discriminator(config)) == 44_718_990


def test_maggan_without_spade_is_stgans_size():
    with torch.device("meta"):
        assert count(Generator(resolve("maggan-no-spade", profile("celeba128"), **PUBLISHED))) == 74_998_771


@pytest.mark.parametrize("row", VARIANTS)
def test_edits_are_images_and_encoding_once_changes_nothing(row):
    G, (images, parts, att_diff) = generator(row), faces()
    with torch.no_grad():
        one = G(images, att_diff, parts)
        many = G.edits(images, torch.stack([att_diff, -att_diff], 1), parts)
        edited, reconstructed, logits = G.edit_and_reconstruct(images, att_diff, parts)
    assert one.shape == images.shape and one.abs().max() <= 1
    assert many.shape == (2, 2, 3, 32, 32)
    torch.testing.assert_close(many[:, 0], one)
    torch.testing.assert_close(edited, one)
    torch.testing.assert_close(reconstructed, G(images, torch.zeros_like(att_diff), parts))
    assert (logits is not None) == (row == "maggan-seg")


def test_edits_that_are_decoded_a_few_at_a_time_are_the_same(monkeypatch):
    torch.manual_seed(0)
    G, (images, parts, _) = generator("maggan"), faces()
    flips = torch.randn(2, 13, 13)
    with torch.no_grad():
        together = G.edits(images, flips, parts)
        monkeypatch.setattr(networks, "PIXELS_AT_ONCE", 5 * 2 * 32**2)
        apart = G.edits(images, flips, parts)
    assert apart.shape == (2, 13, 3, 32, 32)
    assert (together - together.roll(1, 1)).abs().amax((0, 2, 3, 4)).min() > 1e-3  # of one another they differ
    torch.testing.assert_close(apart, together, rtol=0, atol=1e-5)


@pytest.mark.parametrize("row", VARIANTS)
def test_only_rows_with_given_masks_look_at_them(row):
    G, (images, parts, att_diff) = generator(row), faces()
    with torch.no_grad():
        differs = not torch.equal(G(images, att_diff, parts), G(images, att_diff, parts.flip(1)))
    assert differs == (row in ("maggan-no-mre", "maggan-no-spade", "maggan"))


def test_a_guided_row_asks_for_masks():
    G, (images, _, att_diff) = generator("maggan"), faces()
    with pytest.raises(MagganError, match="guided by masks"):
        G(images, att_diff)


def test_no_change_means_no_condition_whatever_the_masks():
    G, (images, parts, att_diff) = generator("maggan"), faces()
    with torch.no_grad():
        zero = torch.zeros_like(att_diff)
        torch.testing.assert_close(G(images, zero, parts), G(images, zero, parts.flip(1)))


@pytest.mark.parametrize("spade_condition", ["stu", "decoder"])
def test_both_readings_of_the_spade_block(spade_condition):
    G, (images, parts, att_diff) = generator("maggan", spade_condition=spade_condition), faces()
    edited = G(images, att_diff, parts)
    assert edited.shape == images.shape
    assert not torch.equal(edited, G(images, torch.zeros_like(att_diff), parts))


@pytest.mark.parametrize("shape", [(2, 3, 36, 36), (2, 3, 32, 64)])
def test_a_size_that_does_not_fit_is_named(shape):
    with pytest.raises(MagganError, match="divisible by 8"):
        generator("stgan")(torch.zeros(shape), torch.zeros(2, 13))


@pytest.mark.parametrize("trunk", ["shared", "own"])
def test_discriminator_has_two_heads(trunk):
    D = Discriminator(resolve("stgan", SMOKE, attribute_trunk=trunk, attribute_noise=0.5)).eval()
    images, _, _ = faces(4)
    critic, logits = D(images)
    assert critic.shape == (4,) and logits.shape == (4, 13)
    torch.testing.assert_close(D.critic(images), critic)
    noisy_critic, noisy_logits = D(images, torch.ones_like(images))
    torch.testing.assert_close(noisy_critic, critic)  # the noise is D_att's alone
    assert not torch.equal(noisy_logits, logits)


@pytest.mark.parametrize("row", ["stgan", "maggan"])
def test_the_last_layer_copies_a_pixel_of_the_source_where_the_recipe_asks_for_it(row):
    images, parts, change = faces(1)
    for kind, near in (("source", True), ("resize", False)):
        G = generator(row, last_layer=kind)
        encoded = G.encode(images, parts)
        other = {**encoded, "images": images.index_fill(3, torch.tensor([20]), 1.0)}
        seen = (G.decode(encoded, change) - G.decode(other, change)).abs().amax(dim=(0, 1, 2)).nonzero().flatten()
        assert seen.tolist() == ([18, 19, 20, 21, 22] if near else [])


def test_patches_have_their_say_in_the_critic():
    torch.manual_seed(0)
    D = Discriminator(resolve("stgan", SMOKE, critic_patches=True, attribute_trunk="own")).eval()
    images, _, _ = faces(2)
    whole = D.adv(D.trunk(images).flatten(1)).squeeze(1)
    assert len(D.patches) == 2 and not torch.allclose(D.critic(images), whole)
    for patch in D.patches.values():
        torch.nn.init.zeros_(patch.weight), torch.nn.init.zeros_(patch.bias)
    torch.testing.assert_close(D.critic(images), whole)
