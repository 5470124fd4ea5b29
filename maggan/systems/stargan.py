"""StarGAN: the target's attributes beside the image, residual blocks, and a critic of patches.

It learns as STGAN does, but through the cycle, and its attribute losses are sums over the 13.
Sizes in comments: B batch, C = 13 attributes.
"""

import math

import torch
from torch import nn

from ..losses import gradient_penalty
from ..networks.generator import EditingNetwork
from ..networks.layers import C
from . import critic
from .system import WITH_CRITIC, System, as_built
from .told import known, on_grid


class StarGAN(EditingNetwork):
    """StarGAN's generator: the target's attributes, 0 and 1, beside the image; six residual blocks at a quarter.

    8,455,616 parameters at width 64. Nothing can be kept from one edit of an image to the next.
    """

    stride = 4

    def __init__(self, config):
        super().__init__()
        self.config = config
        w = config.width
        layers = normalised(nn.Conv2d(3 + C, w, 7, 1, 3, bias=False))
        layers += normalised(nn.Conv2d(w, 2 * w, 4, 2, 1, bias=False))
        layers += normalised(nn.Conv2d(2 * w, 4 * w, 4, 2, 1, bias=False))
        layers += [Residual(4 * w) for _ in range(6)]
        layers += normalised(nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1, bias=False))
        layers += normalised(nn.ConvTranspose2d(2 * w, w, 4, 2, 1, bias=False))
        self.layers = nn.Sequential(*layers, nn.Conv2d(w, 3, 7, 1, 3, bias=False), nn.Tanh())

    def encode(self, images, parts=None, attributes=None):
        self.check_size(images)
        return {"images": images, "source": known(attributes, self.config)}

    def decode(self, encoded, att_diff):
        images, target = encoded["images"], encoded["source"] + att_diff
        return self.layers(torch.cat([images, on_grid(target, images)], 1))


def normalised(convolution):
    """A convolution, instance norm, relu.

    The norm is the image's own in training and in use: running statistics, which StarGAN keeps, are no instance's.
    """
    norm = nn.InstanceNorm2d(convolution.out_channels, affine=True)
    return [convolution, norm, nn.ReLU()]


class Residual(nn.Module):
    """x + two normalised convolutions."""

    def __init__(self, d):
        super().__init__()
        first, second = (normalised(nn.Conv2d(d, d, 3, 1, 1, bias=False)) for _ in range(2))
        self.layers = nn.Sequential(*first, *second[:-1])

    def forward(self, x):
        return x + self.layers(x)


class PatchCritic(nn.Module):
    """StarGAN's D: at most six strided convolutions without norm, a map of the critic's values, 13 logits.

    44,827,584 parameters at width 64 and 128 px.
    """

    def __init__(self, config):
        super().__init__()
        depth = min(6, int(math.log2(config.size)) - 1)
        widths = [3] + [config.critic_width * 2**i for i in range(depth)]
        layers = [(nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.01)) for a, b in zip(widths, widths[1:], strict=False)]
        self.trunk = nn.Sequential(*[layer for pair in layers for layer in pair])
        self.adv = nn.Conv2d(widths[-1], 1, 3, 1, 1, bias=False)
        self.att = nn.Conv2d(widths[-1], C, config.size >> depth, bias=False)

    def forward(self, images, noise=None, places=None):
        """images (B, 3, S, S) -> the critic's value (B,), a mean over patches, and 13 attribute logits (B, 13)."""
        features = self.trunk(images)
        return self.adv(features).mean(dim=(1, 2, 3)), self.att(features).flatten(1)

    def critic(self, images, places=None):
        """D_adv alone: (B, 3, S, S) -> (B,)."""
        return self.adv(self.trunk(images)).mean(dim=(1, 2, 3))

    def penalty(self, real, fake, alpha, places=None):
        """The gradient penalty, of the sum over patches."""
        return gradient_penalty(lambda x: self.adv(self.trunk(x)).sum(dim=(1, 2, 3)), real, fake, alpha)


SYSTEM = System(
    name="stargan", title="StarGAN", year=2018, colour="#56b4e9",
    generator=StarGAN, discriminator=PatchCritic, step=critic.step, initialise=as_built, **WITH_CRITIC,
    settings={"reconstruction": "cycle", "lambda_1": 10.0, "lambda_2": 13.0, "lambda_d_att": 13.0},
    recipes={"stgan": {"rate_g": 1e-4, "rate_d": 1e-4, "batch": 16, "decay": "linear"}},  # its authors'
)  # fmt: skip
