"""AttGAN: STGAN's encoder, one plain shortcut, and a decoder that is told the target's attributes.

It learns as STGAN does, a critic with an attribute head against a generator.
Sizes in comments: B batch, C = 13 attributes.
"""

import torch
from torch import nn

from ..networks.discriminator import AttributeNetwork, discriminator
from ..networks.generator import EditingNetwork
from ..networks.layers import C, Encoder, last_layer, level_widths
from . import critic
from .system import WITH_CRITIC, System
from .told import known, on_grid


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
        self.last = last_layer(leaving[-1], config.last_layer, config.width)

    def encode(self, images, parts=None, attributes=None):
        self.check_size(images)
        features = self.encoder(images)
        source = known(attributes, self.config) - 0.5
        return {"images": images, "deep": features[-1], "shortcut": features[-2], "source": source}

    def decode(self, encoded, att_diff):
        target = encoded["source"] + att_diff
        x = encoded["deep"]
        first, second, *rest = self.ups
        x = first(torch.cat([x, on_grid(target, x)], 1))
        x = second(torch.cat([x, encoded["shortcut"], on_grid(target, x)], 1))
        for up in rest:
            x = up(x)
        return self.coloured(x, encoded["images"], target[:, :, None, None])


SYSTEM = System(
    name="attgan", title="AttGAN", year=2019, colour="#009e73",
    generator=AttGAN, discriminator=discriminator, d_att=AttributeNetwork, step=critic.step, **WITH_CRITIC,
)  # fmt: skip
