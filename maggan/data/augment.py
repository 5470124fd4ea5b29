"""Faces changed in ways that leave their attributes alone, for networks that read attributes; each face its own way.

images (B, 3, S, S) in [-1, 1]; `draw` is a CPU generator, so the draws are the same on any device.
"""

import torch
from torch.nn import functional as F

GRIDS = (4, 8, 16, 32, 64)  # cells a side


def moved(images, draw):
    """Mirrored, moved by up to 1/16 of the side and scaled by up to 8 %."""
    n = len(images)
    uniform = torch.rand(n, 4, generator=draw) * 2 - 1
    mirror = torch.where(uniform[:, 0] > 0, 1.0, -1.0)
    scale, zero = 1 + 0.08 * uniform[:, 1], torch.zeros(n)
    moves = torch.stack([mirror * scale, zero, uniform[:, 2] / 8, zero, scale, uniform[:, 3] / 8], 1).view(n, 2, 3)
    grid = F.affine_grid(moves.to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def stained(images, draw, deviation=0.3):
    """With coloured noise of every size, from pixels to a quarter of the face, each of a deviation up to this."""
    n, side = len(images), images.shape[-1]
    for cells in (cells for cells in GRIDS if cells <= side):
        strength = deviation * torch.rand(n, 1, 1, 1, generator=draw).square()
        noise = strength * torch.randn(n, 3, cells, cells, generator=draw)
        images = images + F.interpolate(noise.to(images.device), (side, side), mode="bilinear")
    return images
