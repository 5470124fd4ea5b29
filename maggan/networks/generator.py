"""The generators of rows (i) to (vii): STGAN's and MagGAN's, and what every generator can do.

Sizes in comments: B batch, C = 13 attributes, P = 19 parts.
"""

import torch
import torch.nn.functional as F
from torch import nn

from ..basics.errors import MagganError
from ..regions import spatial_condition
from .layers import (
    SPADE,
    STU,
    BesideSource,
    C,
    Encoder,
    SegmentationBranch,
    last_layer,
    level_widths,
    recomputed,
    to_grid,
)

LAYOUTS = {True: torch.channels_last, False: torch.contiguous_format}
PIXELS_AT_ONCE = 16 * 13 * 128**2  # of edits that are decoded together: a few GB of activations at STGAN's widths


class EditingNetwork(nn.Module):
    """What every generator can do, from its own `encode(images, parts, attributes)` and `decode(encoded, att_diff)`.

    images (B, 3, S, S) in [-1, 1], att_diff (B, 13). What is known of the images comes along: parts (B, 19, S, S) and
    attributes (B, 13) in {0, 1}; either may be None for a system that does not look at it.
    """

    # what comes with its weights, or None: the relation's matrices (else those of the config's table), and the world of
    # the faces that it was trained on
    relation = world = None

    @property
    def table(self):
        """The relation between attributes and parts that it was trained with: a table's name or two (13, 19)."""
        return self.relation or self.config.table

    def forward(self, images, att_diff, parts=None, attributes=None, table=None):
        """Edit images -> (B, 3, S, S), by another relation than its own where `table` is given."""
        encoded = self.encode(images, parts, attributes)
        return self.decode(encoded if table is None else {**encoded, "table": table}, att_diff)

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

    def coloured(self, x, images, condition):
        """The last layer, from the decoder's x and, where it looks at them, the source images and what was asked."""
        inputs = (images, condition) if isinstance(self.last, BesideSource) else ()
        return torch.tanh(self.last(x, *inputs))

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
        return {key: repeated(value, k) for key, value in encoded.items() if key not in ("logits", "table")}
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
        self.last = last_layer(entering, config.last_layer, config.width)

    def encode(self, images, parts=None, attributes=None):
        """All that does not depend on the change: the images, deepest feature, the STUs' prepared gates, the parts."""
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
        return {"images": images, "deep": features[-1], "gates": gates, "parts": parts, "logits": logits}

    def condition(self, att_diff, parts, table=None):
        """Att_diff: eq. 12 at full size, or att_diff on a grid of one pixel, to be expanded."""
        if self.config.conditioning == "mask":
            condition = spatial_condition(parts, att_diff, table or self.table)
            # in the layout of the features that it is put beside, or every level would copy all of them
            return condition.contiguous(memory_format=LAYOUTS[self.config.channels_last])
        return att_diff[:, :, None, None]

    def decode(self, encoded, att_diff):
        """From what `encode` gave and the change (B, 13) to the edited image (B, 3, S, S)."""
        full = self.condition(att_diff, encoded["parts"], encoded.get("table"))
        state = encoded["deep"]
        here = to_grid(full, state)
        x = torch.cat([state, here], 1)
        for i, gates in enumerate(encoded["gates"]):
            inputs = i, x, state, here, full, gates
            if self.config.recompute:
                x, state, here = recomputed(self.decode_level, self.norms[i], *inputs)
            else:
                x, state, here = self.decode_level(*inputs)
        return self.coloured(x, encoded["images"], full)

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
