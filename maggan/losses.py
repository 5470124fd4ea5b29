"""The losses of section 3.2, each tagged with its equation; all norms are means over elements (reading 3).

x, edited, reconstructed (B, 3, H, W) in [-1, 1]; logits (B, 13); attributes (B, 13) in {0, 1}; values of the
critic (B,). The names of the parts are the names in the log.
"""

import torch
import torch.nn.functional as F

from .regions import preserved_change


def mask_guided_reconstruction_loss(x, edited, preserved):
    """Eq. 3: what changed where nothing should; preserved (B, 1, H, W) in [0, 1]."""
    return preserved_change(x, edited, preserved).mean()


def reconstruction_loss(x, reconstructed):
    """Eq. 6: G(x, 0) against x; for the cycle variant, G(G(x, att_diff), -att_diff) against x."""
    return F.l1_loss(reconstructed, x)


def critic_loss(of_fake, of_real):
    """Eq. 7 without its penalty."""
    return of_fake.mean() - of_real.mean()


def gradient_penalty(critic, real, fake, alpha):
    """Eq. 7's penalty at points between real and fake in pixel space (reading 6); alpha (B, 1, 1, 1) in [0, 1]."""
    between = torch.lerp(real.float(), fake.float(), alpha).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norm = (gradient.float().flatten(1).square().sum(1) + 1e-12).sqrt()  # the root of 0 has no gradient
    return (norm - 1).square().mean()


def adversarial_loss(of_fake):
    """Eq. 8."""
    return -of_fake.mean()


def attribute_loss(logits, attributes):
    """Eq. 9 on real faces with their own attributes, eq. 10 on edits with the target's (reading 2).

    logits (B, 13), or (P, B, 13) where P classifiers judge the same faces (eq. 14's mean over P).
    """
    return F.binary_cross_entropy_with_logits(logits, attributes.expand_as(logits))


def segmentation_loss(logits, parts):
    """Row (vii): cross-entropy of the branch's logits (B, 19, H, W) to the parser's soft masks."""
    return F.cross_entropy(logits, parts)


def discriminator_loss(config, of_real, of_fake, logits, attributes, penalty=None):
    """Eq. 7 + eq. 9: (total, parts). `logits` None: D_att was trained ahead, and eq. 9 is no part of this."""
    parts = {"L_D_adv": critic_loss(of_fake, of_real)}
    total = parts["L_D_adv"]
    if logits is not None:
        parts["L_D_att"] = attribute_loss(logits, attributes)
        total = total + config.lambda_d_att * parts["L_D_att"]
    if penalty is not None:
        parts["L_D_gp"] = penalty
        # a penalty taken every n-th step counts n times, so that its strength does not depend on n
        total = total + config.lambda_gp * config.penalty_every * penalty
    return total, parts


def generator_loss(config, x, edited, reconstructed, preserved, of_fake, logits, target):
    """Eq. 11: (total, parts). L_mre is part of the log of every row, and of the loss where lambda_3 > 0.

    `reconstructed` None: eq. 6 is no part of it this time, and counts the more when it is (`reconstruct_every`).
    """
    parts = {"L_G_gan": adversarial_loss(of_fake)}
    total = parts["L_G_gan"]
    if reconstructed is not None:
        parts["L_G_rec"] = reconstruction_loss(x, reconstructed)
        total = total + config.lambda_1 * config.reconstruct_every * parts["L_G_rec"]
    parts["L_G_cls"] = attribute_loss(logits, target)
    parts["L_G_mre"] = mask_guided_reconstruction_loss(x, edited, preserved)
    total = total + config.lambda_2 * parts["L_G_cls"]
    if config.lambda_3:
        total = total + config.lambda_3 * parts["L_G_mre"]
    return total, parts
