"""One iteration of eq. 7 to 11: STGAN's, MagGAN's and every system's that has a critic with an attribute head."""

import torch

from . import losses
from .regions import preserved_mask

PATCHES = 61  # the stream of the patches' places


def step(run):
    """`critic_steps` steps of D, each on a fresh batch, and one of G on the last; returns the loss parts."""
    config, (G, _), (D, _) = run.config, run.g, run.d
    own = config.reconstruction == "self"  # eq. 6 decodes G(x, 0); a cycle does not need it
    if config.critic_levels > 1:  # every face has its patches, the same throughout an iteration
        D.module.place(config.batch, run.draw(PATCHES), run.fabric.global_rank, run.fabric.world_size)
    for k in range(config.critic_steps):
        last = k == config.critic_steps - 1
        draw, batch = run.draw(k), run.batch(k)
        target = batch.attributes[torch.randperm(len(batch.attributes), generator=draw)]  # reading 7
        att_diff = target - batch.attributes
        with torch.set_grad_enabled(last):
            edited, reconstructed, logits = G.edit_and_reconstruct(
                batch.images, att_diff, batch.parts, batch.attributes, reconstruct=own and last
            )
        d_parts = step_d(run, batch, edited.detach(), draw, run.iteration * config.critic_steps + k)
    preserved = preserved_mask(guide(batch.parts, logits), att_diff, config.table)
    if not own:
        reconstructed = G(edited, -att_diff, batch.parts, target)
    D.requires_grad_(False)
    # D.module: several processes must not wait for gradients of D here
    of_fake, of_fake_att = D.module(edited, noise(config, draw, edited))
    total, parts = losses.generator_loss(
        config, batch.images, edited, reconstructed, preserved, of_fake, of_fake_att, target
    )
    if logits is not None:
        parts["L_G_seg"] = losses.segmentation_loss(logits, batch.parts)
        total = total + config.lambda_seg * parts["L_G_seg"]
    run.update("g", total, parts)
    D.requires_grad_(True)
    return {**d_parts, **parts}


def step_d(run, batch, fake, draw, count):
    """One step of D (eq. 7 and 9); returns its loss parts."""
    config, (D, _) = run.config, run.d
    of_real, logits = D(batch.images, noise(config, draw, fake))
    of_fake = D.critic(fake)
    penalty = None
    if count % config.penalty_every == 0:
        alpha = torch.rand(len(fake), 1, 1, 1, generator=draw).to(fake.device)
        penalty = D.module.penalty(batch.images, fake, alpha)
    total, parts = losses.discriminator_loss(config, of_real, of_fake, logits, batch.attributes, penalty)
    run.update("d", total, parts)
    return parts


def guide(parts, logits):
    """The masks that guide the loss: the parser's, or row (vii)'s own, detached so that G can't widen them."""
    return parts if logits is None else logits.detach().softmax(1)


def noise(config, draw, like):
    """Standard normal noise for what D_att sees, or None."""
    if not config.attribute_noise:
        return None
    return torch.randn(like.shape, generator=draw).to(like)
