"""The discriminators: D_adv and D_att on one trunk, and several of them on patches (section 3.4, eq. 14).

Of P discriminators of one architecture without shared weights the coarsest sees the whole face, finer ones see patches.
At 1024 px and P = 3 the base is 256 px: the first sees the face reduced to 256, the others a patch of 256 x 256 of the
face at 512 and at 1024 px.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from ..basics.errors import MagganError
from ..losses import gradient_penalty
from .layers import C, ChannelNorm, ImageNorm, level_widths

PATCH_WEIGHT = 4.0  # of the mean value of a face's patches


def discriminator(config):
    """The discriminator of a Config: `critic_levels` of them, or a single one of the whole face."""
    return MultiLevelDiscriminator(config) if config.critic_levels > 1 else Discriminator(config)


class Discriminator(nn.Module):
    """D_adv and D_att: one convolutional trunk, two heads (STGAN's; 44,718,990 parameters at 128 px).

    `critic_depth` more stride-2 layers make it the "deep" single discriminator of section 3.4. D_att may have a trunk
    of its own, or be no part of this: trained ahead, an `AttributeNetwork`. With `critic_patches` D_adv's value is that
    of patches too, by which a pattern on a cheek is noticed sooner than by the whole face.
    """

    def __init__(self, config):
        super().__init__()
        widths, side = shape(config)
        self.noise = config.attribute_noise
        self.trunk = trunk(widths, CRITIC_NORMS[config.critic_norm])
        self.own_trunk = trunk(widths, nn.BatchNorm2d) if config.attribute_trunk == "own" else None
        self.adv, self.att = self.heads(widths[-1], side, config.head_width)
        if config.attribute_trunk == "ahead":
            self.att = None
        self.patches = nn.ModuleDict({str(3 * i + 2): nn.Conv2d(d, 1, 1) for i, d in list(enumerate(widths))[1:3]}
                                     if config.critic_patches else {})  # fmt: skip

    def heads(self, channels, side, hidden):
        """The heads of D_adv and D_att on flattened features of `channels` x side x side."""
        return head(channels * side**2, hidden, 1), head(channels * side**2, hidden, C)

    def forward(self, images, noise=None, places=None):
        """images (B, 3, S, S) -> the critic's value (B,) and 13 attribute logits (B, 13); it sees all places.

        `noise` (B, 3, S, S), standard normal, blurs what D_att sees where the recipe asks for it.
        """
        features, of_patches = self.look(images)
        critic = self.adv(features).squeeze(1) + of_patches
        if self.own_trunk is None and not self.noise:
            return critic, self.att(features)
        seen = images if noise is None else images + self.noise * noise
        return critic, self.att((self.own_trunk or self.trunk)(seen).flatten(1))

    def look(self, images):
        """The trunk's features, flattened, and what patches of two sizes add to the critic's value, (B,) or 0."""
        if not self.patches:
            return self.trunk(images).flatten(1), 0
        features, kept = self.trunk(images, self.patches)
        values = [PATCH_WEIGHT * patch(kept[name]).mean(dim=(1, 2, 3)) for name, patch in self.patches.items()]
        return features.flatten(1), torch.stack(values).sum(0)

    def critic(self, images, places=None):
        """D_adv alone: (B, 3, S, S) -> (B,)."""
        features, of_patches = self.look(images)
        return self.adv(features).squeeze(1) + of_patches

    def penalty(self, real, fake, alpha, places=None):
        """Eq. 7's penalty of D_adv between real and fake; alpha (B, 1, 1, 1)."""
        return gradient_penalty(self.critic, real, fake, alpha)


def shape(config):
    """Channels of each level of a single discriminator, and the side of what its trunk leaves."""
    levels = config.levels + config.critic_depth
    return level_widths(config.critic_width, levels, config.max_width), config.size >> levels


# Instance norm, STGAN's, hides from the critic how strong a colour is; layer norm does not.
CRITIC_NORMS = {"instance": lambda d: ChannelNorm(d, affine=True), "layer": ImageNorm}


def trunk(widths, norm):
    """Stride-2 convolutions, normalised, leaky."""
    layers = []
    for a, b in zip([3, *widths], widths, strict=False):
        layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), norm(b), nn.LeakyReLU(0.2)]
    return Trunk(*layers)


class Trunk(nn.Sequential):
    """Layers one after another, of which some can be looked into."""

    def forward(self, images, keep=()):
        """The last layer's features; with `keep`, names of layers, also theirs: (features, {name: features})."""
        kept = {}
        for name, layer in self.named_children():
            images = layer(images)
            if name in keep:
                kept[name] = images
        return (images, kept) if keep else images


def head(flat, hidden, out):
    """Two fully connected layers."""
    return nn.Sequential(nn.Linear(flat, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, out))


class Views:
    """What each of P discriminators sees: the whole face reduced to the base, then finer and finer patches of its side.

    Raises MagganError where the base is too small for the discriminators' levels.
    """

    def __init__(self, config):
        self.size, self.base = config.size, config.size >> (config.critic_levels - 1)
        if self.base < 2**config.levels:
            raise MagganError(
                f"critic_levels {config.critic_levels} leave a base of {self.base} px at {config.size} px; "
                f"the discriminators need {2**config.levels}: take fewer."
            )

    def __call__(self, images, places):
        """images (B, 3, S, S) -> P times (B, 3, base, base), coarse to fine; P - 1 `places` (`Piece.places`)."""
        seen = [F.adaptive_avg_pool2d(images, self.base) if self.base < self.size else images]
        for level, corners in enumerate(places or (), 1):
            side = self.base << level
            seen.append(self.cut(F.adaptive_avg_pool2d(images, side) if side < self.size else images, corners))
        return seen

    def cut(self, images, corners):
        """A patch of each face (B, 3, side, side), at corners (B, 2)."""
        base, room = self.base, images.shape[-1] - self.base + 1
        if images.device.type == "cpu":
            corners = corners.tolist() if torch.is_tensor(corners) else corners
            places = ((int(y * room), int(x * room)) for y, x in corners)
            patches = zip(images, places, strict=True)
            return torch.stack([image[:, y : y + base, x : x + base] for image, (y, x) in patches])
        # without numbers that Python would have to know
        first = (torch.as_tensor(corners, device=images.device) * room).long()  # (B, 2)
        y, x = (first[:, i, None] + torch.arange(base, device=images.device) for i in (0, 1))  # (B, base)
        rows = images.gather(2, y[:, None, :, None].expand(-1, images.shape[1], -1, images.shape[3]))
        return rows.gather(3, x[:, None, None].expand(-1, *rows.shape[1:3], -1))


class MultiLevelDiscriminator(nn.Module):
    """P discriminators. `places` say where the finer ones look: P - 1 times B times (y, x) in [0, 1) of the room."""

    def __init__(self, config):
        super().__init__()
        self.views = Views(config)
        own = replace(config, size=self.views.base)
        self.levels = nn.ModuleList(
            [Discriminator(own), *(PatchDiscriminator(own) for _ in range(config.critic_levels - 1))]
        )

    def forward(self, images, noise=None, places=None):
        """images (B, 3, S, S) -> the mean of the critics' values (B,) and all attribute logits (P, B, 13)."""
        noise = None if noise is None else noise[:, :, : self.views.base, : self.views.base]
        values, logits = zip(
            *(D(seen, noise) for D, seen in zip(self.levels, self.views(images, places), strict=True)), strict=True
        )
        return torch.stack(values).mean(0), torch.stack(logits)

    def critic(self, images, places):
        """The mean of the critics' values: (B, 3, S, S) -> (B,)."""
        seen = self.views(images, places)
        return torch.stack([D.critic(view) for D, view in zip(self.levels, seen, strict=True)]).mean(0)

    def penalty(self, real, fake, alpha, places):
        """The mean of the critics' penalties, each of what it sees."""
        sides = zip(self.levels, self.views(real, places), self.views(fake, places), strict=True)
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


class AttributeNetwork(nn.Module):
    """D_att apart from D_adv, trained ahead of the rows: P classifiers that see what the P discriminators see."""

    def __init__(self, config):
        super().__init__()
        self.noise, self.views = config.attribute_noise, Views(config)
        widths, side = shape(replace(config, size=self.views.base))
        hidden = config.head_width

        def classifier(whole):
            features = nn.Flatten() if whole else nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
            return nn.Sequential(
                trunk(widths, nn.BatchNorm2d), features, head(widths[-1] * (side**2 if whole else 1), hidden, C)
            )

        self.levels = nn.ModuleList(classifier(level == 0) for level in range(config.critic_levels))

    def forward(self, images, noise=None, places=None):
        """images (B, 3, S, S) -> logits (B, 13), or (P, B, 13) of several levels; `noise` as a `Discriminator`'s."""
        seen = images if noise is None else images + self.noise * noise
        logits = [level(view) for level, view in zip(self.levels, self.views(seen, places), strict=True)]
        return logits[0] if len(logits) == 1 else torch.stack(logits)
