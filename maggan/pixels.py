"""Images as the networks know them, tensors in [-1, 1], and as PIL pictures."""

import torch
from PIL import Image
from torchvision.transforms.v2 import functional as transforms


def as_picture(image):
    """An image (3, H, W) in [-1, 1] as a PIL picture, rounded to the nearest of 256 levels."""
    levels = ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu()
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())


def as_image(picture):
    """A PIL picture as an image (3, H, W) in [-1, 1]."""
    return transforms.pil_to_tensor(picture.convert("RGB")).float() / 127.5 - 1
