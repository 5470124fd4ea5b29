"""Paints faces of given attributes and latents, back to front."""

from types import SimpleNamespace
from typing import NamedTuple

import torch

from ..attributes import ATTRIBUTES
from . import clothes, features, hair, head
from .latents import flip, sample
from .shapes import Canvas, Layers

# Pixels drawn at a time on a CPU: small enough for the intermediate planes to stay in the cache.
CHUNK = 2**16


class DrawnFaces(NamedTuple):
    """Images (B, 3, S, S) in [-1, 1], soft parts (B, 19, S, S) summing to 1, attributes (B, 13) in {0, 1}."""

    images: torch.Tensor
    parts: torch.Tensor
    attributes: torch.Tensor


def draw(seeds, size, decorrelate=False, device="cpu"):
    """The drawn faces of `seeds`, `size` pixels square.

    A face depends on its seed alone, not on the batch; at another size it is the same face. Attributes come
    at CelebA's rates and go together as CelebA's do; with `decorrelate` they come independently, and rare
    ones often. Of a pair of parts, l_ is the one on the viewer's left. Returns DrawnFaces.
    """
    seeds = torch.as_tensor(seeds, dtype=torch.int64, device=device).reshape(-1)
    attributes, latents = sample(seeds, decorrelate)
    return render(attributes, latents, size)


def draw_flipped(seeds, size, attribute, decorrelate=False, device="cpu"):
    """The faces of `seeds` with just `attribute` (name or index) flipped: their true counterfactuals.

    Every latent stays as it is; attributes that cannot stay are repaired (`latents.REPAIRS`).
    Returns DrawnFaces. Raises MagganError with the nearest right name for an unknown attribute.
    """
    seeds = torch.as_tensor(seeds, dtype=torch.int64, device=device).reshape(-1)
    attributes, latents = sample(seeds, decorrelate)
    return render(flip(attributes, attribute), latents, size)


@torch.no_grad()
def render(attributes, latents, size):
    """Draw faces of given attributes (B, 13) and latents {name: (B,)}; returns DrawnFaces."""
    device, count = attributes.device, len(attributes)
    images = torch.empty(count, 3, size, size, device=device)
    parts = torch.empty(count, 19, size, size, device=device)
    step = max(1, CHUNK // size**2) if device.type == "cpu" else max(1, 2**22 // size**2)
    for start in range(0, count, step):
        rows = slice(start, start + step)
        values = {name: value[rows].view(-1, 1, 1, 1) for name, value in latents.items()}
        values |= {name: attributes[rows, i].view(-1, 1, 1, 1) for i, name in enumerate(ATTRIBUTES)}
        images[rows], parts[rows] = _paint(SimpleNamespace(**values), size)
    return DrawnFaces(images, parts, attributes)


def _paint(face, size):
    """The image (B, 3, S, S) in [-1, 1] and the parts (B, 19, S, S) of a few faces, painted back to front."""
    canvas = Canvas(
        size,
        tilt=0.10 * (face.tilt - 0.5),
        scale=1.03 + 0.08 * (face.scale - 0.5),
        shift_x=0.06 * (face.shift_x - 0.5),
        shift_y=0.0 + 0.05 * (face.shift_y - 0.5),
    )
    layers = Layers()
    skin, far_skin = head.skin_colour(face)
    hairdo = hair.HairShape(face, canvas)
    skull = head.head_shape(face, canvas)
    at = features.Features(face, canvas)

    hair.hair_behind(face, canvas, layers, hairdo)
    head.neck(face, canvas, layers, far_skin)
    clothes.clothes(face, canvas, layers)
    clothes.necklace(face, canvas, layers)
    clothes.scarf(face, canvas, layers)
    ear, lobe = head.ears(face, canvas, layers, far_skin)
    paint = head.head(face, canvas, layers, skin, skull)
    head.beard(face, canvas, layers, skull)
    features.nose(face, canvas, layers, at, skin, paint)
    features.eyes(face, canvas, layers, at, skin)
    features.mouth(face, canvas, layers, at, skin)
    head.mustache(face, canvas, layers)
    features.brows(face, canvas, layers, at)
    hair.hair_before(face, canvas, layers, hairdo)
    clothes.earrings(face, canvas, layers, ear, lobe)
    features.glasses(face, canvas, layers, at)
    clothes.hat(face, canvas, layers)
    image, parts = layers.flatten(head.backdrop(face, canvas))
    # The camera's white balance, from cold to warm.
    image *= 1 + 0.08 * (face.warmth - 0.5) * image.new_tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1)
    return image.clamp_(0, 1) * 2 - 1, parts
