"""Soft masks of one face as few bytes, and back: 19 maps of 256 x 256, each value at most 1/255 off."""

import zlib

import numpy as np
import torch

from ..attributes import MASK_SIZE, PARTS

VALUES = len(PARTS) * MASK_SIZE * MASK_SIZE


def quantise(parts):
    """Probabilities to levels of 2/255: parts (..., 19, H, W) in [0, 1] -> uint8, 0 to 128.

    Level k stands for min(2k/255, 1), so no probability is off by more than 1/255, what is certain stays certain, and
    what is below 1/255 becomes an exact 0.
    """
    levels = (parts * 127.5).round()
    return torch.where(parts > 254.5 / 255, 128, levels).to(torch.uint8)


def compress(levels):
    """Levels (19, 256, 256) uint8 as bytes: one bit a value, whether it is above 0; then, of those that are, the
    difference to the value above it. Row by row of all parts, so that `decompress` undoes a row in one go."""
    rows = np.ascontiguousarray(levels.transpose(1, 0, 2)).reshape(MASK_SIZE, -1)
    there, differences = rows > 0, rows.copy()
    differences[1:] -= rows[:-1]  # modulo 256
    return zlib.compress(np.packbits(there).tobytes() + differences[there].tobytes(), level=9)


def decompress(data):
    """The inverse of `compress`: levels (19, 256, 256) uint8."""
    data = np.frombuffer(zlib.decompress(data), np.uint8)
    there = np.unpackbits(data[: VALUES // 8])
    rows = np.zeros(VALUES, np.uint8)
    rows[there.view(bool)] = data[VALUES // 8 :]
    rows, there = rows.reshape(MASK_SIZE, -1), there.reshape(MASK_SIZE, -1)
    for above, row, kept in zip(rows, rows[1:], there[1:], strict=False):
        row += above
        row *= kept
    return rows.reshape(MASK_SIZE, len(PARTS), MASK_SIZE).transpose(1, 0, 2)


def expand(data):
    """The inverse of `compress` and `quantise`: (19, 256, 256) float in [0, 1]."""
    levels = torch.from_numpy(decompress(data))
    return torch.empty(levels.shape).copy_(levels).mul_(2 / 255).clamp_(max=1)
