"""The peers that learn as STGAN does, a critic with an attribute head against a generator: AttGAN and StarGAN.

Both are told the target's attributes, not the change. att_diff reaches them like every system, and the target is the
source's attributes plus it, so a change of 1.5 overshoots the target, as in AttGAN's published test.
Sizes in comments: B batch, C = 13 attributes.
"""

import math

import torch
from torch import nn

from .errors import MagganError
from .losses import gradient_penalty
from .networks import C, EditingNetwork, Encoder, last_layer, level_widths


def known(attributes, config):
    """The source's attributes (B, 13); MagganError where nobody passed them."""
    if attributes is None:
        raise MagganError(f"row {config.variant} is told the target's attributes: pass those of the images.")
    return attributes


def on_grid(attributes, like):
    """Attributes (B, C) as constant planes (B, C, h, w) on the grid of `like`."""
    return attributes[:, :, None, None].expand(-1, -1, *like.shape[-2:])


class AttGAN(EditingNetwork):
    """AttGAN's generator: STGAN's encoder, one plain shortcut, target attributes of -0.5 and 0.5 at two grids.

    43,459,203 parameters at width 64, five levels and a cap of 1024 channels.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        widths = level_widths(config.width, config.levels, config.max_width)
        self.encoder = Encoder(widths)
        deep, shortcut = widths[-1], widths[-2]
        entering = [deep + C, deep + shortcut + C, *reversed(widths[1:-1])]
        leaving = [deep, *reversed(widths[1:-1])]
        self.ups = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in zip(entering, leaving, strict=False)
        )
        self.last = last_layer(leaving[-1], config.last_layer)

    def encode(self, images, parts=None, attributes=None):
        self.check_size(images)
        features = self.encoder(images)
        source = known(attributes, self.config) - 0.5
        return {"deep": features[-1], "shortcut": features[-2], "source": source}

    def decode(self, encoded, att_diff):
        target = encoded["source"] + att_diff
        x = encoded["deep"]
        first, second, *rest = self.ups
        x = first(torch.cat([x, on_grid(target, x)], 1))
        x = second(torch.cat([x, encoded["shortcut"], on_grid(target, x)], 1))
        for up in rest:
            x = up(x)
        return torch.tanh(self.last(x))


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

    def forward(self, images, noise=None):
        """images (B, 3, S, S) -> the critic's value (B,), a mean over patches, and 13 attribute logits (B, 13)."""
        features = self.trunk(images)
        return self.adv(features).mean(dim=(1, 2, 3)), self.att(features).flatten(1)

    def critic(self, images):
        """D_adv alone: (B, 3, S, S) -> (B,)."""
        return self.adv(self.trunk(images)).mean(dim=(1, 2, 3))

    def penalty(self, real, fake, alpha):
        """The gradient penalty, of the sum over patches."""
        return gradient_penalty(lambda x: self.adv(self.trunk(x)).sum(dim=(1, 2, 3)), real, fake, alpha)
