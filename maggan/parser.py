"""The face parser: reads its weights and parses faces; its command line trains and judges it.

    python -m maggan.parser train --pairs FOLDER --out parser.safetensors
    python -m maggan.parser evaluate --pairs FOLDER --parser parser.safetensors

The published weights (`79999_iter.pth`) are read as they are; nothing is ever downloaded.
"""

import argparse
import json
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torchvision.transforms import v2

from .attributes import PARTS
from .bisenet import BiSeNet
from .celebamask import ORDERS
from .errors import MagganError, cli, nearest
from .masks import MASK_SIZE

PUBLISHED_SIZE = 512

__all__ = ["BiSeNet", "load_parser", "normalise", "parse"]


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


def main(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m maggan.parser", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train the parser on CelebAMask-HQ pairs")
    judge = commands.add_parser("evaluate", help="print pixel accuracy and mean IoU on the held-out pairs")
    for command in (train, judge):
        command.add_argument("--pairs", required=True, help="folder of CelebAMask-HQ, or of images/ and masks/")
        command.add_argument("--hold-out", type=int, default=100, help="pairs kept for the evaluation")
        command.add_argument("--order", default="celebamask", help="label maps' order: 'celebamask' or 'parser'")
    train.add_argument("--out", required=True, help="the weights to write (.safetensors)")
    train.add_argument("--size", type=int, default=256, help="the photos' side in pixels; saved with the weights")
    train.add_argument("--crop", type=int, default=224, help="the side of the random crops trained on")
    train.add_argument("--iterations", type=int, default=4000)
    train.add_argument("--batch", type=int, default=8)
    train.add_argument("--peak", type=float, default=1e-3, help="the highest learning rate")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--device")
    train.add_argument("--bfloat16", action="store_true", help="mixed precision, where the processor has bfloat16")
    judge.add_argument("--parser", required=True, help="our weights, or the published 79999_iter.pth")
    options = vars(parser.parse_args(arguments))
    from .parsertraining import evaluate_parser, train_parser  # which itself stands on this module

    command, folder = options.pop("command"), options.pop("pairs")
    if command == "train":
        print(train_parser(folder, **options))
    else:
        print(json.dumps(evaluate_parser(load_parser(options.pop("parser")), folder, **options), indent=1))


if __name__ == "__main__":
    cli(main)
