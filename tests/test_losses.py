"""Each loss against a case worked by hand."""

import pytest
import torch

from maggan import losses
from maggan.profiles import profile
from maggan.variants import resolve

SMOKE = profile("smoke")


def test_mask_guided_reconstruction_counts_only_what_is_preserved():
    x, edited = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    preserved = torch.tensor([[[[1.0, 0.5], [0.0, 0.0]]]])
    assert losses.mask_guided_reconstruction_loss(x, edited, preserved).item() == pytest.approx(1.5 / 4)
    assert losses.mask_guided_reconstruction_loss(x, x, torch.ones_like(preserved)) == 0


def test_critic_and_adversarial_signs():
    fake, real = torch.tensor([1.0, 3.0]), torch.tensor([5.0])
    assert losses.critic_loss(fake, real) == -3
    assert losses.adversarial_loss(fake) == -2


def test_gradient_penalty_of_a_linear_critic():
    real, fake = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    alpha = torch.rand(2, 1, 1, 1)
    # the gradient of 2 x[0, 0, 0] has norm 2 everywhere, so the penalty is (2 - 1)^2
    assert losses.gradient_penalty(lambda x: 2 * x[:, 0, 0, 0], real, fake, alpha).item() == pytest.approx(1)


def test_gradient_penalty_has_a_finite_gradient_where_the_norm_is_zero():
    weight = torch.zeros(1, requires_grad=True)
    flat = torch.zeros(2, 3, 4, 4)
    penalty = losses.gradient_penalty(lambda x: weight * x.sum((1, 2, 3)), flat, flat, torch.zeros(2, 1, 1, 1))
    penalty.backward()
    assert torch.isfinite(weight.grad).all()


def test_attribute_loss_pulls_towards_the_target():
    target = torch.tensor([[1.0] * 13])
    assert losses.attribute_loss(torch.full((1, 13), 5.0), target) < losses.attribute_loss(torch.zeros(1, 13), target)
    assert losses.attribute_loss(torch.zeros(1, 13), target).item() == pytest.approx(0.6931472)


def test_segmentation_loss_takes_soft_targets():
    parts = torch.full((1, 19, 2, 2), 1 / 19)
    assert losses.segmentation_loss(torch.zeros(1, 19, 2, 2), parts).item() == pytest.approx(2.944439)


def test_generator_loss_is_eq_11():
    config = resolve("maggan", SMOKE, lambda_1=2.0, lambda_2=3.0, lambda_3=5.0, reconstruct_every=1)
    x, edited = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    total, parts = losses.generator_loss(
        config, x, edited, edited / 2, torch.ones(1, 1, 2, 2),
        torch.tensor([4.0]), torch.zeros(1, 13), torch.ones(1, 13),
    )  # fmt: skip
    assert list(parts) == ["L_G_gan", "L_G_rec", "L_G_cls", "L_G_mre"]
    assert total.item() == pytest.approx(-4 + 2 * 0.5 + 3 * 0.6931472 + 5 * 1)


def test_a_rare_reconstruction_counts_by_its_rarity():
    config = resolve("stgan", SMOKE, lambda_1=2.0, reconstruct_every=3)
    x, nothing = torch.zeros(1, 3, 2, 2), torch.zeros(1)
    inputs = torch.ones(1, 1, 2, 2), nothing, torch.zeros(1, 13), torch.ones(1, 13)
    without, parts = losses.generator_loss(config, x, x, None, *inputs)
    assert "L_G_rec" not in parts
    total, _ = losses.generator_loss(config, x, x, x + 0.5, *inputs)
    assert (total - without).item() == pytest.approx(3 * 2.0 * 0.5)


def test_a_row_without_l_mre_logs_it_and_does_not_minimise_it():
    config = resolve("stgan", SMOKE)
    edited = torch.ones(1, 3, 2, 2, requires_grad=True)
    total, parts = losses.generator_loss(
        config, torch.zeros(1, 3, 2, 2), edited, torch.zeros(1, 3, 2, 2), torch.ones(1, 1, 2, 2),
        torch.zeros(1), torch.zeros(1, 13), torch.ones(1, 13),
    )  # fmt: skip
    assert parts["L_G_mre"] == 1 and total.item() == pytest.approx(config.lambda_2 * 0.6931472)


def test_discriminator_loss_weighs_a_rare_penalty_by_its_rarity():
    config = resolve("stgan", SMOKE, penalty_every=4, lambda_gp=10.0)
    ones = torch.ones(2)
    logits, labels = torch.zeros(2, 13), torch.ones(2, 13)
    total, parts = losses.discriminator_loss(config, ones, ones, logits, labels, torch.tensor(0.5))
    assert parts["L_D_adv"] == 0 and total.item() == pytest.approx(0.6931472 + 40 * 0.5)
