"""Faces as the networks know them, tensors in [-1, 1], and as pictures of 256 levels."""

from typing import NamedTuple

import torch
from PIL import Image
from torchvision.transforms.v2 import functional as transforms


class Batch(NamedTuple):
    """images (B, 3, S, S) in [-1, 1]; parts (B, 19, S, S) in [0, 1], sum 1, or None; attributes (B, 13) in {0, 1}."""

    images: torch.Tensor
    parts: torch.Tensor | None
    attributes: torch.Tensor


def to_levels(shares):
    """[0, 1] floats to the nearest of 256 levels, as uint8."""
    return (shares * 255).round().clamp(0, 255).to(torch.uint8)


def from_levels(levels):
    """Images of 256 levels as floats in [-1, 1]."""
    return levels.float() / 127.5 - 1


def as_picture(image):
    """An image (3, H, W) in [-1, 1] as a PIL picture, rounded to the nearest of 256 levels."""
    levels = ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu()
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())


def as_image(picture):
    """A PIL picture as an image (3, H, W) in [-1, 1]."""
    return from_levels(transforms.pil_to_tensor(picture.convert("RGB")))
