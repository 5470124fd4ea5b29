"""What the generators are built of: encoder, STU, SPADE, segmentation branch, last layer, and how they start.

Widths come from the config. Sizes in comments: B batch, C = 13 attributes, P = 19 parts, d channels of a level.
"""

from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from ..attributes import ATTRIBUTES, PARTS

C = len(ATTRIBUTES)


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


def normalised(x, dims, weight=None, bias=None, eps=1e-5):
    """x (B, d, H, W) with mean 0 and variance 1 over `dims`, scaled and shifted by channel; float32 statistics.

    Two stages, the statistics by a reduction that spreads a sample over the card, then one pass over the values. What
    group and instance norm call on a GPU has one block a sample, a third of an iteration's time at 1024 px.
    """
    variance, mean = torch.var_mean(x.float(), dims, correction=0, keepdim=True)
    scale = (variance + eps).rsqrt()
    if weight is not None:
        scale = scale * weight.view(-1, 1, 1)
    shift = -mean * scale if bias is None else bias.view(-1, 1, 1) - mean * scale
    return torch.addcmul(shift, x, scale).to(x.dtype)


class ImageNorm(nn.GroupNorm):
    """Over all of an image: group norm of one group."""

    def __init__(self, d, affine=True):
        super().__init__(1, d, affine=affine)

    def forward(self, x):
        if x.device.type == "cpu":  # whose own kernel is faster
            return super().forward(x)
        return normalised(x, (1, 2, 3), self.weight, self.bias, self.eps)


class ChannelNorm(nn.InstanceNorm2d):
    """Over each channel of an image: instance norm."""

    def forward(self, x):
        if x.device.type == "cpu":
            return super().forward(x)
        return normalised(x, (2, 3), self.weight, self.bias, self.eps)


class SPADE(nn.Module):
    """De-normalise a layer-normalised feature with gamma and beta computed from a condition (reading 8)."""

    def __init__(self, d, condition, hidden):
        super().__init__()
        self.norm = ImageNorm(d, affine=False)
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


class BesideSource(nn.Module):
    """To colour at full size, with the source image and Att_diff beside the resized features.

    What is to stay is copied from the source instead of being made again from features of half the size. The
    convolution over all of it is a sum of two, so that the many features are convolved before they are resized.
    """

    def __init__(self, channels, hidden):
        super().__init__()
        self.of_features = nn.Conv2d(channels, hidden, 3, 1, 1)
        self.of_source = nn.Conv2d(3 + C, hidden, 3, 1, 1, bias=False)
        self.colour = nn.Conv2d(hidden, 3, 3, 1, 1)

    def forward(self, x, images, condition):
        """x (B, d, S/2, S/2), images (B, 3, S, S), condition (B, C, h, w) -> (B, 3, S, S)."""
        x = F.interpolate(self.of_features(x), scale_factor=2, mode="bilinear")
        beside = torch.cat([images.to(x.dtype), to_grid(condition, x)], 1)
        return self.colour(F.leaky_relu(x + self.of_source(beside), 0.2))


def last_layer(channels, kind, hidden):
    """To colour at full size: STGAN's transposed convolution; resize and convolve (no checkerboard); or that with the
    source image beside it (`BesideSource`, with `hidden` channels)."""
    if kind == "source":
        return BesideSource(channels, hidden)
    if kind == "deconv":
        return nn.ConvTranspose2d(channels, 3, 4, 2, 1)
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(channels, 3, 5, 1, 2))


def xavier(module):
    """STGAN's start: Xavier-uniform weights, zero biases."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
