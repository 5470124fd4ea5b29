"""Reads the face parser's weights and parses faces.

The published weights (`79999_iter.pth`) are read as they are; nothing is ever downloaded.
"""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torchvision.transforms import v2

from ..attributes import MASK_SIZE, PARTS
from ..basics.errors import MagganError, nearest
from .bisenet import BiSeNet
from .pairs import ORDERS

PUBLISHED_SIZE = 512


def load_parser(path, device="cpu", order=None):
    """The parser in eval mode, with its input size as `.size`, from our safetensors or the published .pth.

    The parts come out in the order of `PARTS` whatever order the weights were trained in: ours carry their names;
    for others `order` says it, "parser" (the default) or "celebamask". Raises MagganError naming the file.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise MagganError(f"{path}: no parser here; train one (python -m maggan.parser train) or name 79999_iter.pth.")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                notes = file.metadata() or {}
                weights = {name: file.get_tensor(name) for name in file.keys()}
        else:
            notes, weights = {}, torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).strip().split("\n")[0]
        raise MagganError(f"{path}: not the weights of a parser ({reason}); get or train it again.") from None
    if order not in (None, *ORDERS):
        raise nearest(order, ORDERS, "order of parts")
    names = notes["parts"].split() if "parts" in notes else ORDERS[order or "parser"]
    model = BiSeNet()
    model.load_state_dict(_checked_weights(path, weights, model, names))
    model.size = int(notes.get("size", PUBLISHED_SIZE))
    return model.to(device).eval().requires_grad_(False)


def _checked_weights(path, weights, model, names):
    """The weights with all 191 entries and the parts in the order of `PARTS`, or MagganError."""
    wanted = model.state_dict()
    # Files written by very old versions of PyTorch lack the batch norms' counters, which inference never reads.
    counters = {name: wanted[name] for name in wanted if name.endswith("num_batches_tracked")}
    weights = counters | weights
    odd = sorted(weights.keys() ^ wanted.keys())
    odd += [name for name in wanted if name in weights and weights[name].shape != wanted[name].shape]
    if odd:
        raise MagganError(f"{path}: not the weights of this BiSeNet ({len(odd)} entries differ, {odd[0]} for one).")
    rows = [list(names).index(name) for name in PARTS]
    return {name: value[rows] if name.endswith("conv_out.weight") else value for name, value in weights.items()}


def normalise(photos):
    """Photos (B, 3, H, W), uint8 or float in [0, 1], as BiSeNet takes them: ImageNet's mean and deviation."""
    photos = v2.functional.to_dtype(photos, torch.float32, scale=True)
    return v2.functional.normalize(photos, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@torch.inference_mode()
def parse(parser, images, size=MASK_SIZE):
    """Soft masks (section 4): the 19 parts' probabilities.

    images (B, 3, H, W), uint8 or float in [-1, 1]; returns (B, 19, size, size) float in [0, 1], sum 1 over the parts.
    """
    photos = images if images.dtype == torch.uint8 else (images + 1) / 2
    photos = v2.functional.resize(photos, [parser.size] * 2, antialias=True)
    parts = parser(normalise(photos))[0].float().softmax(1)
    return v2.functional.resize(parts, [size] * 2, antialias=True)
