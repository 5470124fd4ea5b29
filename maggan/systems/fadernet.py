"""Fader Networks: an autoencoder whose latent a discriminator searches for attributes in vain.

The decoder alone is told the attributes, as a pair (1 - a, a) each at every layer; a change moves the pair, beyond 0
and 1 where it is larger than 1. One model for 13 attributes is known to blur: the published ones have one or a few.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..networks.generator import EditingNetwork
from ..networks.layers import C
from .system import System, as_built
from .told import known, on_grid

RAMP = 1 / 3  # of the iterations: the weight of the latent's loss grows from 0 (500,000 of 1,500,000 steps)
CLIP = 5.0  # largest norm of a gradient


def fader_widths(config):
    """Channels of the encoder's layers, down to 4 x 4: 32 to 512 at 256 px and the paper's width 64."""
    return [min(config.width // 2 * 2**i, config.max_width // 2) for i in range(int(math.log2(config.size)) - 2)]


class FaderNet(EditingNetwork):
    """The autoencoder: stride-2 convolutions down to 4 x 4 and back, no shortcuts."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        widths = fader_widths(config)
        down, up = [], []
        for a, b in zip([3, *widths], widths, strict=False):
            norm = [nn.BatchNorm2d(b)] if a > 3 else []
            down += [nn.Conv2d(a, b, 4, 2, 1), *norm, nn.LeakyReLU(0.2)]
        for a, b in zip(reversed(widths), [*reversed(widths[:-1]), 3], strict=True):
            last = b == 3
            after = [nn.Tanh()] if last else [nn.BatchNorm2d(b), nn.ReLU()]
            up.append(nn.Sequential(nn.ConvTranspose2d(a + 2 * C, b, 4, 2, 1, bias=last), *after))
        self.encoder, self.ups = nn.Sequential(*down), nn.ModuleList(up)

    @property
    def stride(self):
        return self.config.size  # the latent's discriminator fits one size

    def encode(self, images, parts=None, attributes=None):
        self.check_size(images)
        return {"latent": self.encoder(images), "source": known(attributes, self.config)}

    def decode(self, encoded, att_diff):
        present = encoded["source"] + att_diff
        pairs = torch.cat([1 - present, present], 1)
        x = encoded["latent"]
        for up in self.ups:
            x = up(torch.cat([x, on_grid(pairs, x)], 1))
        return x


class LatentDiscriminator(nn.Module):
    """Reads the attributes off a latent: (B, d, 4, 4) -> logits (B, 2, C) of absent and present."""

    def __init__(self, config):
        super().__init__()
        d, hidden = fader_widths(config)[-1], config.max_width // 2
        layers = []
        for a in (d, hidden):
            layers += [nn.Conv2d(a, hidden, 4, 2, 1), nn.BatchNorm2d(hidden), nn.LeakyReLU(0.2), nn.Dropout(0.3)]
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 2 * C)
        )

    def forward(self, latent):
        return self.layers(latent).unflatten(1, (2, C))


def step(run):
    """One step of the latent's discriminator on one batch, one of the autoencoder on the next; the loss parts.

    Whoever does not learn stays still: no dropout, and batch norm with its running statistics.
    """
    config, (G, _), (D, _) = run.config, run.g, run.d
    batch = run.batch(0)
    G.eval()
    with torch.no_grad(), run.fabric.autocast():  # which fabric itself gives to `forward` alone
        latent = G.encode(batch.images, None, batch.attributes)["latent"]
    G.train()
    d_parts = {"L_D_att": reading_loss(D(latent), batch.attributes)}
    run.update("d", [lambda: (d_parts["L_D_att"], d_parts)], clip=CLIP)

    batch = run.batch(1)
    with run.fabric.autocast():
        encoded = G.encode(batch.images, None, batch.attributes)
        rebuilt = G.decode(encoded, torch.zeros_like(batch.attributes)).float()
    D.requires_grad_(False).eval()
    parts = {
        "L_G_rec": F.mse_loss(rebuilt, batch.images),
        "L_G_lat": reading_loss(D(encoded["latent"]), 1 - batch.attributes),
    }
    weight = config.lambda_lat * min(1.0, run.iteration / (RAMP * config.iterations))
    run.update("g", [lambda: (parts["L_G_rec"] + weight * parts["L_G_lat"], parts)], clip=CLIP)
    D.requires_grad_(True).train()
    return {**d_parts, **parts}


def reading_loss(logits, attributes):
    """Cross-entropy of logits (B, 2, C), a mean over faces of the sum over attributes (B, C)."""
    return C * F.cross_entropy(logits, attributes.long())


# In the small recipe two thousand steps instead of a million are to drive the attributes out of the latent, hence the
# larger weight.
SYSTEM = System(
    name="fadernet", title="FaderNet", year=2017, colour="#e69f00",
    generator=FaderNet, discriminator=LatentDiscriminator, step=step, initialise=as_built,
    g_methods=("encode", "decode"), batches=2,
    recipes={"stgan": {"decay_from": 1.0}, "small": {"lambda_lat": 0.01}},
)  # fmt: skip
