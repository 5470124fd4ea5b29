"""Multi-level patch-wise discriminators (section 3.4, eq. 14): the coarsest sees the whole, finer ones see patches.

P of one architecture without shared weights (readings 18 and 19). At 1024 px and P = 3 the base is 256 px: the first
sees the face reduced to 256, the others a patch of 256 x 256 of the face at 512 and at 1024 px.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from .errors import MagganError
from .networks import C, Discriminator, head


def discriminator(config):
    """The discriminator of a Config: `critic_levels` of them, or a single one of the whole face."""
    return MultiLevelDiscriminator(config) if config.critic_levels > 1 else Discriminator(config)


class MultiLevelDiscriminator(nn.Module):
    """P discriminators; `places` says where the finer ones look: P - 1 times B times (y, x) in [0, 1) of the room."""

    def __init__(self, config):
        super().__init__()
        self.size, self.base = config.size, config.size >> (config.critic_levels - 1)
        if self.base < 2**config.levels:
            raise MagganError(
                f"critic_levels {config.critic_levels} leave a base of {self.base} px at {config.size} px; "
                f"the discriminators need {2**config.levels}: take fewer."
            )
        own = replace(config, size=self.base)
        self.levels = nn.ModuleList(
            [Discriminator(own), *(PatchDiscriminator(own) for _ in range(config.critic_levels - 1))]
        )
        self.places = None

    def views(self, images):
        """What each discriminator sees of images (B, 3, S, S): P times (B, 3, base, base), coarse to fine."""
        seen = [F.adaptive_avg_pool2d(images, self.base)]
        for level, corners in enumerate(self.places, 1):
            side = self.base << level
            at_level = F.adaptive_avg_pool2d(images, side) if side < self.size else images
            seen.append(torch.stack([
                self.cut(image, *(int(at * (side - self.base + 1)) for at in corner))
                for image, corner in zip(at_level, corners, strict=True)
            ]))  # fmt: skip
        return seen

    def cut(self, image, y, x):
        """A patch of a face (3, side, side)."""
        return image[:, y : y + self.base, x : x + self.base]

    def forward(self, images, noise=None):
        """images (B, 3, S, S) -> the mean of the critics' values (B,) and all attribute logits (P, B, 13)."""
        noise = None if noise is None else noise[:, :, : self.base, : self.base]
        values, logits = zip(
            *(D(seen, noise) for D, seen in zip(self.levels, self.views(images), strict=True)), strict=True
        )
        return torch.stack(values).mean(0), torch.stack(logits)

    def critic(self, images):
        """The mean of the critics' values: (B, 3, S, S) -> (B,)."""
        return torch.stack([D.critic(seen) for D, seen in zip(self.levels, self.views(images), strict=True)]).mean(0)

    def penalty(self, real, fake, alpha):
        """The mean of the critics' penalties, each of what it sees."""
        sides = zip(self.levels, self.views(real), self.views(fake), strict=True)
        return torch.stack([D.penalty(a, b, alpha) for D, a, b in sides]).mean()


class PatchDiscriminator(Discriminator):
    """A discriminator of patches: where in the face a patch lies is unknown, and so neither head looks at places.

    The critic's value is the mean of a patch map of values (reading 19), the classifier sees averaged features. Fully
    connected heads on the whole map would be five sixths of a finer level's parameters at 1024 px.
    """

    def heads(self, channels, side, hidden):
        adv = nn.Sequential(
            nn.Unflatten(1, (channels, side, side)),
            nn.Conv2d(channels, hidden, 1), nn.LeakyReLU(0.2), nn.Conv2d(hidden, 1, 1),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        att = nn.Sequential(
            nn.Unflatten(1, (channels, side, side)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), *head(channels, hidden, C)
        )
        return adv, att
