"""The networks of rows (i) to (vii): STGAN's generator, MagGAN's, and one discriminator with two heads.

Widths come from the config. Sizes in comments: B batch, C = 13 attributes, P = 19 parts, d channels of a level.
"""

from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from .attributes import ATTRIBUTES, PARTS
from .errors import MagganError
from .losses import gradient_penalty
from .regions import spatial_condition

C = len(ATTRIBUTES)
PIXELS_AT_ONCE = 16 * 13 * 128**2  # of edits that are decoded together: a few GB of activations at STGAN's widths


def level_widths(width, levels, max_width):
    """Channels of each encoder level, doubling up to the cap."""
    return [min(width * 2**i, max_width) for i in range(levels)]


def to_grid(maps, like):
    """Area-average condition maps (B, C, H, W) to the grid of `like` (reading 9), in its precision."""
    return F.adaptive_avg_pool2d(maps, like.shape[-2:]).to(like.dtype)


class Encoder(nn.Module):
    """Stride-2 convolutions with batch norm: (B, 3, S, S) -> features at S/2, S/4, ... (shallow to deep)."""

    def __init__(self, widths, recompute=False):
        super().__init__()
        self.recompute = recompute
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2))
            for a, b in zip([3, *widths], widths, strict=False)
        )

    def forward(self, x):
        features = []
        for layer in self.layers:
            x = recomputed(layer, layer, x) if self.recompute else layer(x)
            features.append(x)
        return features


def recomputed(function, network, *inputs):
    """function(*inputs), part of `network`, keeping its inputs alone: its activations are computed again backwards."""
    again = {"use_reentrant": False, "preserve_rng_state": False}
    return checkpoint(function, *inputs, **again, context_fn=lambda: (nullcontext(), statistics_kept(network)))


@contextmanager
def statistics_kept(network):
    """Leave the running statistics of batch norms as they are: these faces have been counted."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, counted) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(counted)


class STU(nn.Module):
    """STGAN's Selective Transfer Unit: lets the change pick what of an encoder feature goes to the decoder.

    A convolution over concatenated inputs is a sum of two, so the encoder feature's share of the three gates
    (`prepare`) is computed once for every edit of an image.
    """

    def __init__(self, state, d):
        super().__init__()
        self.upsample = nn.ConvTranspose2d(state + C, d, 4, 2, 1)
        self.of_feature = nn.Conv2d(d, 3 * d, 3, 1, 1)  # r, z and h
        self.of_state = nn.Conv2d(d, 2 * d, 3, 1, 1, bias=False)  # r and z
        self.of_reset = nn.Conv2d(d, d, 3, 1, 1, bias=False)  # h

    def prepare(self, feature):
        return self.of_feature(feature)  # (B, d, h, w) -> (B, 3d, h, w)

    def forward(self, prepared, state, condition):
        """prepared (B, 3d, h, w), state (B, s, h/2, w/2), condition (B, C, h/2, w/2) -> output, new state."""
        state = self.upsample(torch.cat([state, condition], 1))  # (B, d, h, w)
        of_r, of_z, of_h = prepared.chunk(3, 1)
        state_r, state_z = self.of_state(state).chunk(2, 1)
        reset = torch.sigmoid(of_r + state_r) * state
        update = torch.sigmoid(of_z + state_z)
        candidate = torch.tanh(of_h + self.of_reset(reset))
        return torch.lerp(state, candidate, update), reset


class SPADE(nn.Module):
    """De-normalise a layer-normalised feature with gamma and beta computed from a condition (reading 8)."""

    def __init__(self, d, condition, hidden):
        super().__init__()
        self.norm = nn.GroupNorm(1, d, affine=False)
        self.shared = nn.Conv2d(condition, hidden, 3, 1, 1)
        self.modulate = nn.Conv2d(hidden, 2 * d, 3, 1, 1)

    def forward(self, x, condition):
        gamma, beta = self.modulate(F.relu(self.shared(condition))).chunk(2, 1)
        with own_precision(x):
            normalised = self.norm(x)
        return normalised * (1 + gamma) + beta


def own_precision(x):
    """No autocast: on a GPU that makes a group norm's output float32, and all after it twice as large in memory.

    Its statistics are float32 in any case.
    """
    if not torch.amp.is_autocast_available(x.device.type):
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)


class SegmentationBranch(nn.Module):
    """Row (vii): an FCN head that reads the 19 parts off the encoder's features, deep to shallow."""

    def __init__(self, widths):
        super().__init__()
        self.scores = nn.ModuleList(nn.Conv2d(d, len(PARTS), 1) for d in widths)

    def forward(self, features, size):
        """features shallow to deep -> logits (B, 19, size, size)."""
        logits = 0
        for feature, score in zip(reversed(features), reversed(self.scores), strict=True):
            if torch.is_tensor(logits):
                logits = F.interpolate(logits, feature.shape[-2:], mode="bilinear", align_corners=False)
            logits = logits + score(feature)
        return F.interpolate(logits, (size, size), mode="bilinear", align_corners=False)


class EditingNetwork(nn.Module):
    """What every generator can do, from its own `encode(images, parts, attributes)` and `decode(encoded, att_diff)`.

    images (B, 3, S, S) in [-1, 1], att_diff (B, 13). What is known of the images comes along: parts (B, 19, S, S) and
    attributes (B, 13) in {0, 1}; either may be None for a system that does not look at it.
    """

    def forward(self, images, att_diff, parts=None, attributes=None):
        """Edit images -> (B, 3, S, S)."""
        return self.decode(self.encode(images, parts, attributes), att_diff)

    def edit_and_reconstruct(self, images, att_diff, parts=None, attributes=None, reconstruct=True):
        """G(x, att_diff), G(x, 0) (or None) and a branch's logits (or None), encoding x once."""
        encoded = self.encode(images, parts, attributes)
        edited = self.decode(encoded, att_diff)
        reconstructed = self.decode(encoded, torch.zeros_like(att_diff)) if reconstruct else None
        return edited, reconstructed, encoded.get("logits")

    def edits(self, images, att_diffs, parts=None, attributes=None):
        """K edits of each image: att_diffs (B, K, 13) -> (B, K, 3, S, S), encoding each image once.

        Large ones are decoded a few at a time, so that they need no more memory than training does.
        """
        encoded = self.encode(images, parts, attributes)
        at_once = max(1, PIXELS_AT_ONCE // (images.shape[0] * images.shape[-2] * images.shape[-1]))
        made = []
        for some in att_diffs.split(at_once, 1):
            k = some.shape[1]
            made.append(self.decode(repeated(encoded, k), some.flatten(0, 1)).unflatten(0, (-1, k)))
        return torch.cat(made, 1) if len(made) > 1 else made[0]

    @property
    def stride(self):
        """The side of the image must be a multiple of this."""
        return 2**self.config.levels

    def check_size(self, images):
        """MagganError unless the images fit."""
        if images.shape[-2] != images.shape[-1] or images.shape[-1] % self.stride:
            shape = "x".join(map(str, images.shape[-2:]))
            raise MagganError(f"images are {shape}; they must be square, with a side divisible by {self.stride}.")


def repeated(encoded, k):
    """What `encode` gave, k times for each image."""
    if torch.is_tensor(encoded):
        return encoded.repeat_interleave(k, 0)
    if isinstance(encoded, dict):
        return {key: repeated(value, k) for key, value in encoded.items() if key != "logits"}
    return encoded and [repeated(value, k) for value in encoded]


class Generator(EditingNetwork):
    """G(x, att_diff) of eq. 1 for every row of Table 3.

    With conditioning "uniform" and no SPADE it is STGAN's generator (74,998,771 parameters at width 64, five
    levels); with "mask", Att_diff is eq. 12's; with SPADE, each decoder level is layer-normalised and
    modulated by [STU output; Att_diff] instead of being concatenated with it.
    """

    def __init__(self, config):
        super().__init__()
        widths = level_widths(config.width, config.levels, config.max_width)
        deep, *skips = reversed(widths)
        self.config = config
        self.encoder = Encoder(widths, config.recompute)
        self.stus = nn.ModuleList(STU(s, d) for s, d in zip(list(reversed(widths)), skips, strict=False))
        self.segment = SegmentationBranch(widths) if config.masks == "branch" else None
        outputs = [deep, *skips[:-1]]  # the decoder's channels at each skip's grid
        self.ups, self.norms = nn.ModuleList(), nn.ModuleList()
        entering = deep + C
        for out, d in zip(outputs, skips, strict=True):
            self.ups.append(nn.ConvTranspose2d(entering, out, 4, 2, 1, bias=config.spade))
            condition = (d if config.spade_condition == "stu" else out) + C
            self.norms.append(SPADE(out, condition, 2 * config.width) if config.spade else nn.BatchNorm2d(out))
            entering = out if config.spade else out + d + C
            if config.spade and config.spade_condition == "decoder":
                entering += d  # gamma and beta do not see the STU then, so it is concatenated
        self.last = last_layer(entering, config.last_layer)

    def encode(self, images, parts=None, attributes=None):
        """All that does not depend on the change: deepest feature, the STUs' prepared gates, the parts."""
        size = images.shape[-1]
        self.check_size(images)
        features = self.encoder(images)
        logits = None
        if self.segment is not None:
            logits = self.segment(features, size)
            parts = logits.softmax(1)
        elif self.config.conditioning == "uniform":
            parts = None  # nobody looks at them
        elif parts is None:
            raise MagganError(f"row {self.config.variant} is guided by masks: pass the parts of the images.")
        gates = [stu.prepare(f) for stu, f in zip(self.stus, reversed(features[:-1]), strict=True)]
        return {"deep": features[-1], "gates": gates, "parts": parts, "logits": logits}

    def condition(self, att_diff, parts):
        """Att_diff: eq. 12 at full size, or att_diff on a grid of one pixel, to be expanded."""
        if self.config.conditioning == "mask":
            return spatial_condition(parts, att_diff, self.config.table)
        return att_diff[:, :, None, None]

    def decode(self, encoded, att_diff):
        """From what `encode` gave and the change (B, 13) to the edited image (B, 3, S, S)."""
        full = self.condition(att_diff, encoded["parts"])
        state = encoded["deep"]
        here = to_grid(full, state)
        x = torch.cat([state, here], 1)
        for i, gates in enumerate(encoded["gates"]):
            inputs = i, x, state, here, full, gates
            if self.config.recompute:
                x, state, here = recomputed(self.decode_level, self.norms[i], *inputs)
            else:
                x, state, here = self.decode_level(*inputs)
        return torch.tanh(self.last(x))

    def decode_level(self, i, x, state, here, full, gates):
        """One level up: the decoder's x, the STU's state and Att_diff on the grid below -> the same on the next."""
        norm = self.norms[i]
        skip, state = self.stus[i](gates, state, here)
        here = to_grid(full, skip)
        x = self.ups[i](x)
        if not self.config.spade:
            x = torch.cat([F.relu(norm(x)), skip, here], 1)
        elif self.config.spade_condition == "stu":
            x = F.relu(norm(x, torch.cat([skip, here], 1)))
        else:
            x = torch.cat([F.relu(norm(x, torch.cat([x, here], 1))), skip], 1)
        return x, state, here


def last_layer(channels, kind):
    """To colour at full size: STGAN's transposed convolution, or resize and convolve (no checkerboard)."""
    if kind == "deconv":
        return nn.ConvTranspose2d(channels, 3, 4, 2, 1)
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(channels, 3, 5, 1, 2))


class Discriminator(nn.Module):
    """D_adv and D_att: one convolutional trunk, two heads (STGAN's; 44,718,990 parameters at 128 px).

    `critic_depth` more stride-2 layers make it the "deep" single discriminator of section 3.4.
    """

    def __init__(self, config):
        super().__init__()
        levels = config.levels + config.critic_depth
        widths = level_widths(config.critic_width, levels, config.max_width)
        self.noise = config.attribute_noise
        self.trunk = trunk(widths, CRITIC_NORMS[config.critic_norm])
        self.own_trunk = trunk(widths, nn.BatchNorm2d) if config.attribute_trunk == "own" else None
        self.adv, self.att = self.heads(widths[-1], config.size >> levels, config.head_width)

    def heads(self, channels, side, hidden):
        """The heads of D_adv and D_att on flattened features of `channels` x side x side."""
        return head(channels * side**2, hidden, 1), head(channels * side**2, hidden, C)

    def forward(self, images, noise=None):
        """images (B, 3, S, S) -> the critic's value (B,) and 13 attribute logits (B, 13).

        `noise` (B, 3, S, S), standard normal, blurs what D_att sees where the recipe asks for it.
        """
        features = self.trunk(images).flatten(1)
        critic = self.adv(features).squeeze(1)
        if self.own_trunk is None and not self.noise:
            return critic, self.att(features)
        seen = images if noise is None else images + self.noise * noise
        return critic, self.att((self.own_trunk or self.trunk)(seen).flatten(1))

    def critic(self, images):
        """D_adv alone: (B, 3, S, S) -> (B,)."""
        return self.adv(self.trunk(images).flatten(1)).squeeze(1)

    def penalty(self, real, fake, alpha):
        """Eq. 7's penalty of D_adv between real and fake; alpha (B, 1, 1, 1)."""
        return gradient_penalty(self.critic, real, fake, alpha)


# Instance norm, STGAN's, hides from the critic how strong a colour is; layer norm does not.
CRITIC_NORMS = {"instance": lambda d: nn.InstanceNorm2d(d, affine=True), "layer": lambda d: nn.GroupNorm(1, d)}


def trunk(widths, norm):
    """Stride-2 convolutions, normalised, leaky."""
    layers = []
    for a, b in zip([3, *widths], widths, strict=False):
        layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), norm(b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers)


def head(flat, hidden, out):
    """Two fully connected layers."""
    return nn.Sequential(nn.Linear(flat, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, out))


def initialise(module):
    """STGAN's start: Xavier-uniform weights, zero biases."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
