"""One iteration of eq. 7 to 11: STGAN's, MagGAN's and every system's that has a critic with an attribute head."""

from functools import partial
from typing import NamedTuple

import torch

from .. import losses
from ..basics.images import Batch
from ..regions import preserved_mask


class Piece(NamedTuple):
    """Faces that go through the networks together, the whole batch unless `accumulate` cuts it, and what is drawn."""

    batch: Batch
    target: torch.Tensor  # (B, 13) in {0, 1}
    noise: torch.Tensor | None  # (B, 3, S, S), for what D_att sees of real faces
    alpha: torch.Tensor | None  # (B, 1, 1, 1), where between real and fake the penalty is taken; None: it is not
    noise_of_g: torch.Tensor | None  # for what D_att sees of edits
    places: list | None  # P - 1 times (B, 2), y and x in [0, 1), where in the faces the patches lie
    reconstruct: bool  # whether eq. 6 is part of G's loss this time


def step(run):
    """`critic_steps` steps of D, each on a fresh batch, and one of G on the last; returns the loss parts.

    G's pass over the last batch serves both: D looks at the edits, and G learns from what D says of them. Where the
    batch is cut into pieces, that pass is made anew for G, so that the graph of one piece alone is ever kept.
    """
    config = run.config
    places = run.places() if config.critic_levels > 1 else None
    parts = {}
    for k in range(config.critic_steps):
        last = k == config.critic_steps - 1
        parts |= run.computed(updates, pieces_of(run, k, last, places), last)  # of a penalty in any of the steps
    return parts


def updates(run, pieces, last):
    """A step of D on the pieces of a batch, and on the last batch one of G: the loss parts."""
    D, _ = run.d
    passed = edit(run, pieces[0]) if last and len(pieces) == 1 else None
    d_parts = run.update("d", [partial(loss_of_d, run, piece, passed) for piece in pieces])
    if not last:
        return d_parts
    D.requires_grad_(False)
    parts = run.update("g", [partial(loss_of_g, run, piece, passed) for piece in pieces])
    D.requires_grad_(True)
    return {**d_parts, **parts}


def pieces_of(run, k, last, places):
    """The pieces of the k-th step's batch: what is drawn is drawn for the batches of all processes together."""
    config, batch, draw = run.config, run.batch(k), run.draw(k)
    target = run.targets(k, draw)  # reading 7
    noise = None if run.d_att else noise_for(run, draw)  # it has seen its real faces
    penalised = (run.iteration * config.critic_steps + k) % config.penalty_every == 0
    alpha = run.share(torch.rand(config.batch, 1, 1, 1, generator=draw)) if penalised else None
    noise_of_g = noise_for(run, draw) if last else None
    size = len(target) // config.accumulate
    pieces = []
    for rows in (slice(start, start + size) for start in range(0, len(target), size)):
        cut = [each if each is None else each[rows] for each in (*batch, target, noise, alpha, noise_of_g)]
        there = places and [level[rows] for level in places]
        pieces.append(Piece(Batch(*cut[:3]), *cut[3:], there, last and run.iteration % config.reconstruct_every == 0))
    return pieces


def noise_for(run, draw):
    """Standard normal noise for what D_att sees, or None."""
    config = run.config
    if not config.attribute_noise:
        return None
    return run.share(torch.randn(config.batch, 3, config.size, config.size, generator=draw))


def edit(run, piece):
    """G's pass over a piece: (edited, G(x, 0) or None, a branch's logits or None)."""
    images, parts, attributes = piece.batch
    # a cycle needs no G(x, 0), nor does D
    own = run.config.reconstruction == "self" and piece.reconstruct and torch.is_grad_enabled()
    with run.fabric.autocast():  # which fabric itself gives to `forward` alone
        made = run.g[0].edit_and_reconstruct(images, piece.target - attributes, parts, attributes, reconstruct=own)
    return tuple(each if each is None else each.float() for each in made)


def loss_of_d(run, piece, passed):
    """Eq. 7 and 9: (total, parts)."""
    config, (D, _), batch = run.config, run.d, piece.batch
    if passed is None:
        with torch.no_grad():
            passed = edit(run, piece)
    fake = passed[0].detach()
    if run.d_att:  # trained ahead: eq. 9 is behind us
        with run.fabric.autocast():
            of_real, logits = D.critic(batch.images, piece.places).float(), None
    else:
        of_real, logits = D(batch.images, piece.noise, piece.places)
    with run.fabric.autocast():
        of_fake = D.critic(fake, piece.places).float()
    penalty = None if piece.alpha is None else D.module.penalty(batch.images, fake, piece.alpha, piece.places)
    return losses.discriminator_loss(config, of_real, of_fake, logits, batch.attributes, penalty)


def loss_of_g(run, piece, passed):
    """Eq. 11: (total, parts)."""
    config, (G, _) = run.config, run.g
    images, parts, attributes = piece.batch
    att_diff = piece.target - attributes
    edited, reconstructed, logits = passed or edit(run, piece)
    preserved = preserved_mask(guide(parts, logits), att_diff, config.table)
    if config.reconstruction == "cycle" and piece.reconstruct:
        reconstructed = G(edited, -att_diff, parts, piece.target)
    of_fake, of_fake_att = run.judged(edited, piece.noise_of_g, piece.places)
    total, said = losses.generator_loss(
        config, images, edited, reconstructed, preserved, of_fake, of_fake_att, piece.target
    )
    if logits is not None:
        said["L_G_seg"] = losses.segmentation_loss(logits, parts)
        total = total + config.lambda_seg * said["L_G_seg"]
    return total, said


def guide(parts, logits):
    """The masks that guide the loss: the parser's, or row (vii)'s own, detached so that G can't widen them."""
    return parts if logits is None else logits.detach().softmax(1)
