"""Fader Networks: an autoencoder whose latent a discriminator searches for attributes in vain.

The decoder alone is told the attributes, as a pair (1 - a, a) each at every layer; a change moves the pair, beyond 0
and 1 where it is larger than 1. One model for 13 attributes is known to blur: the published ones have one or a few.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .networks import C, EditingNetwork
from .peers import known, on_grid

RAMP = 1 / 3  # of the iterations: the weight of the latent's loss grows from 0 (500,000 of 1,500,000 steps)
CLIP = 5.0  # largest norm of the autoencoder's gradient


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
    """One step of the latent's discriminator on one batch, one of the autoencoder on the next; the loss parts."""
    config, (G, _), (D, _) = run.config, run.g, run.d
    batch = run.batch(0)
    with torch.no_grad():
        latent = G.encode(batch.images, None, batch.attributes)["latent"]
    d_parts = {"L_D_att": F.cross_entropy(D(latent), batch.attributes.long())}
    run.update("d", d_parts["L_D_att"], d_parts)

    batch = run.batch(1)
    encoded = G.encode(batch.images, None, batch.attributes)
    rebuilt = G.decode(encoded, torch.zeros_like(batch.attributes))
    D.requires_grad_(False)
    parts = {
        "L_G_rec": F.mse_loss(rebuilt, batch.images),
        "L_G_lat": F.cross_entropy(D(encoded["latent"]), 1 - batch.attributes.long()),
    }
    weight = config.lambda_lat * min(1.0, run.iteration / (RAMP * config.iterations))
    run.update("g", parts["L_G_rec"] + weight * parts["L_G_lat"], parts, clip=CLIP)
    D.requires_grad_(True)
    return {**d_parts, **parts}
