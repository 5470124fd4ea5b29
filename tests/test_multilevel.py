"""Multi-level discriminators: what each sees, what is averaged, and that they train and go on exactly."""

import pytest
import torch

from maggan import losses
from maggan.basics.errors import MagganError
from maggan.networks.discriminator import Discriminator, MultiLevelDiscriminator, discriminator
from maggan.profiles import PROFILES, profile
from maggan.train import read_log, train
from maggan.variants import DISCRIMINATORS, discriminator_rows, resolve

SMOKE, DRAWN = profile("smoke"), profile("drawn64")
PLACES = torch.rand(2, 2, 2, generator=torch.Generator().manual_seed(1)).tolist()  # of two finer levels, two faces


@pytest.fixture
def D():
    torch.manual_seed(0)
    config = resolve("maggan-multilevel", DRAWN, critic_levels=3, levels=3, attribute_trunk="own")
    return MultiLevelDiscriminator(config).eval()


def test_the_coarsest_sees_the_whole_and_finer_ones_a_patch_at_their_level(D):
    ramp = torch.arange(64.0).expand(2, 3, 64, 64) + 100 * torch.arange(64.0)[:, None]
    whole, middle, fine = D.views(ramp, PLACES)
    assert whole.shape == middle.shape == fine.shape == (2, 3, 16, 16)
    assert torch.allclose(whole, torch.nn.functional.avg_pool2d(ramp, 4))
    for view, step in ((middle, 2), (fine, 1)):  # neighbours are as far apart as at that level
        assert torch.allclose(view[..., 1:] - view[..., :-1], torch.tensor(float(step)))
        assert torch.allclose(view[:, :, 1:] - view[:, :, :-1], torch.tensor(100.0 * step))
    assert not torch.equal(fine[0], fine[1])  # a place for each face


def test_patches_reach_every_border_and_stay_inside():
    D = MultiLevelDiscriminator(resolve("maggan-multilevel", DRAWN))
    image = torch.arange(64.0 * 64).view(1, 1, 64, 64).expand(1, 3, 64, 64)
    corners = {}
    for name, fraction in (("first", 0.0), ("last", 1 - 1e-7)):
        corners[name] = D.views(image, [[(fraction, fraction)]])[1][0, 0]
    assert corners["first"][0, 0] == 0 and corners["last"][-1, -1] == 64 * 64 - 1


def test_losses_are_means_over_the_levels(D):
    images, attributes = torch.rand(2, 3, 64, 64) * 2 - 1, torch.randint(2, (2, 13)).float()
    value, logits = D(images, places=PLACES)
    each = [level(seen) for level, seen in zip(D.levels, D.views(images, PLACES), strict=True)]
    assert torch.allclose(value, sum(v for v, _ in each) / 3) and logits.shape == (3, 2, 13)
    assert torch.allclose(D.critic(images, PLACES), value)
    mean = sum(losses.attribute_loss(own, attributes) for _, own in each) / 3
    assert torch.allclose(losses.attribute_loss(logits, attributes), mean)


def test_a_finer_level_does_not_know_where_in_the_patch_something_is(D):
    fine = D.levels[1]
    config = resolve("maggan-multilevel", DRAWN, critic_levels=3, levels=3)
    assert config.critic_width * 2 ** (config.levels - 1) == 128  # channels of the last level
    features = torch.rand(1, 128, 2, 2)
    turned = features.flip(2, 3)
    for name in ("adv", "att"):
        finer, coarsest = getattr(fine, name), getattr(D.levels[0], name)
        assert torch.allclose(finer(features.flatten(1)), finer(turned.flatten(1)), atol=1e-6)
        assert not torch.allclose(coarsest(features.flatten(1)), coarsest(turned.flatten(1)))


def test_a_finer_critic_is_the_mean_of_its_patches(D):
    """Reading 19: of a map of values, each of its own features, the penalty's gradient is that of the mean."""
    features = torch.rand(2, 128, 2, 2)
    one_by_one = [D.levels[1].adv[1:](features[:, :, [i]][:, :, :, [j]]) for i in (0, 1) for j in (0, 1)]
    assert torch.allclose(D.levels[1].adv(features.flatten(1)), sum(one_by_one) / 4, atol=1e-6)


def test_at_1024_px_they_are_a_tenth_of_the_single_one():
    """Section 3.4's reason: one discriminator of the whole has heads of a billion parameters each."""
    millions = {}
    for row in ("maggan", "maggan-single", "maggan-deep"):
        with torch.device("meta"):
            built = discriminator(resolve(row, profile("celeba1024")))
        millions[row] = sum(parameter.numel() for parameter in built.parameters()) / 1e6
    assert millions["maggan"] < 200 and round(millions["maggan-single"]) == 2159
    assert round(millions["maggan-deep"]) == 179


def test_a_deep_discriminator_ends_at_the_grid_of_the_base():
    config = resolve("maggan-deep", profile("drawn1024"))
    with torch.device("meta"):
        D = discriminator(config)
    assert config.critic_depth == 2 and len(D.trunk) == 3 * (config.levels + 2)
    assert D.trunk(torch.empty(1, 3, 1024, 1024, device="meta")).shape[-2:] == (256 // 2**config.levels,) * 2


@pytest.mark.parametrize("name", [name for name in PROFILES if not name.endswith("32")])
@pytest.mark.parametrize("row", DISCRIMINATORS)
def test_no_profile_makes_one_too_deep_for_its_norm(row, name):
    """Instance norm needs more than one place."""
    config = resolve(row, profile(name))
    with torch.device("meta"):
        D = discriminator(config)
    places = [[(0.5, 0.5)]] * (config.critic_levels - 1)
    assert D.critic(torch.empty(1, 3, config.size, config.size, device="meta"), places).shape == (1,)


def test_rows_with_the_three_ways_to_discriminate_name_no_row_twice():
    assert discriminator_rows(DRAWN) == {
        "single": "maggan", "deep": "maggan-deep", "multilevel": "maggan-multilevel"
    }  # fmt: skip
    assert discriminator_rows(profile("celeba1024")) == {
        "single": "maggan-single", "deep": "maggan-deep", "multilevel": "maggan"
    }  # fmt: skip
    assert set(discriminator_rows(profile("celeba256")).values()) == {"maggan"}  # reading 18: P = 1
    levels = [resolve("maggan", profile(f"drawn{size}")).critic_levels for size in (128, 256, 512, 1024)]
    assert levels == [1, 1, 2, 3] and resolve("maggan-multilevel", profile("drawn128")).critic_levels == 2


def test_one_level_is_the_plain_discriminator():
    torch.manual_seed(0)
    D = MultiLevelDiscriminator(resolve("maggan-multilevel", SMOKE, critic_levels=1))
    plain = Discriminator(resolve("maggan", SMOKE))
    plain.load_state_dict(D.levels[0].state_dict())
    images, alpha = torch.rand(2, 3, 32, 32), torch.full((2, 1, 1, 1), 0.3)
    assert torch.allclose(D.critic(images, []), plain.critic(images))
    assert torch.allclose(D.penalty(images, -images, alpha, []), plain.penalty(images, -images, alpha))


def test_too_many_levels_are_refused():
    with pytest.raises(MagganError, match="critic_levels 4 leave a base of 4 px at 32 px; the discriminators need 8"):
        MultiLevelDiscriminator(resolve("maggan-multilevel", SMOKE, critic_levels=4))


def test_the_row_trains_and_all_its_discriminators_learn(runs):
    folder = train("maggan-multilevel", "smoke", iterations=2)
    assert read_log(folder)[["L_D_adv", "L_G_cls", "L_G_gan"]].notna().all(axis=None)
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    moments = [state["d_optimiser"]["state"][i]["exp_avg"] for i in range(len(state["d_optimiser"]["state"]))]
    names = [name for name, _ in MultiLevelDiscriminator(resolve("maggan-multilevel", SMOKE)).named_parameters()]
    still = {name for name, moment in zip(names, moments, strict=True) if not moment.abs().sum()}
    # a critic's last bias, of the whole or of its patches, cancels in eq. 7
    assert {name.split(".", 2)[2] for name in still} <= {"adv.2.bias", "adv.3.bias", "patches.5.bias", "patches.8.bias"}
