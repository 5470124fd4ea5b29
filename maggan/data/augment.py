"""Faces changed in ways that leave their attributes alone, each its own way, for networks that read attributes.

images (B, 3, S, S) in [-1, 1]; `draw` is a CPU generator, so the draws are the same on any device.
"""

import torch
from torch.nn import functional as F

GRIDS = (4, 8, 16, 32, 64)  # cells a side


def moved(images, uniform):
    """Mirrored, moved by up to 1/16 of the side and scaled by up to 8 %, as `uniform` (B, 4) in [-1, 1] says."""
    mirror = torch.where(uniform[:, 0] > 0, 1.0, -1.0)
    scale = 1 + 0.08 * uniform[:, 1]
    return resampled(images, mirror * scale, scale, uniform[:, 2] / 8, uniform[:, 3] / 8)


def resampled(images, scale_x, scale_y, shift_x, shift_y):
    """Images of which each pixel is taken from elsewhere: scales and shifts (B,), in halves of the side."""
    zero = torch.zeros(len(images))
    moves = torch.stack([scale_x, zero, shift_x, zero, scale_y, shift_y], 1).view(-1, 2, 3)
    grid = F.affine_grid(moves.to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def augmented(images, draw):
    """For the judge: moved, and with noise, which keeps it from reading faint patterns that a generator could paint."""
    n = len(images)
    uniform = torch.rand(n, 5, generator=draw) * 2 - 1
    seen = moved(images, uniform)
    noise = torch.randn(images.shape, generator=draw) * (0.1 * uniform[:, 4].abs()).view(n, 1, 1, 1)
    return seen + noise.to(images.device)


def stained(images, draw, deviation=0.3):
    """For D_att: moved, and with coloured noise of every size, from pixels to a quarter of the face.

    The noise of each size has a deviation up to this.
    """
    n, side = len(images), images.shape[-1]
    images = moved(images, torch.rand(n, 4, generator=draw) * 2 - 1)
    for cells in (cells for cells in GRIDS if cells <= side):
        strength = deviation * torch.rand(n, 1, 1, 1, generator=draw).square()
        noise = strength * torch.randn(n, 3, cells, cells, generator=draw)
        images = images + F.interpolate(noise.to(images.device), (side, side), mode="bilinear")
    return images


def roughened(images, draw):
    """For the second judge: moved, scaled, lighter or darker, blurred, a patch cut out, and more noise.

    Nothing is mirrored. It shares no habit with `augmented`
    but moves and noise, so that a generator that pleases one judge by a quirk of its need not please the other.
    """
    n, size, device = len(images), images.shape[-1], images.device
    uniform = torch.rand(n, 8, generator=draw) * 2 - 1
    scale = 1 + 0.12 * uniform[:, 0]
    seen = resampled(images, scale, scale, uniform[:, 1] / 6, uniform[:, 2] / 6)
    share = uniform[:, 3].clamp(min=0.3).sub(0.3).view(n, 1, 1, 1).to(device)  # a third of the faces are blurred
    blurred = F.avg_pool2d(F.pad(seen, (1, 1, 1, 1), mode="replicate"), 3, 1)
    seen = seen.lerp(blurred, share)
    light = (1 + 0.1 * uniform[:, 4:5, None, None]).to(device), (0.05 * uniform[:, 5:6, None, None]).to(device)
    seen = seen * light[0] + light[1]
    noise = torch.randn(images.shape, generator=draw) * (0.15 * uniform[:, 6].abs()).view(n, 1, 1, 1)
    corner = torch.rand(n, 2, generator=draw) * (size - size // 6)
    axis = torch.arange(size)
    inside = [(axis >= start[:, None]) & (axis < start[:, None] + size // 6) for start in corner.unbind(1)]
    cut = (inside[0][:, None, :, None] & inside[1][:, None, None, :] & (uniform[:, 7] > 0).view(n, 1, 1, 1)).to(device)
    return (seen + noise.to(device)).masked_fill(cut, 0.0)
