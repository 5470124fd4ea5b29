"""Trains the face parser on CelebAMask-HQ pairs, and judges it on the pairs held out.

    python -m maggan.parser train --pairs FOLDER --out parser.safetensors
    python -m maggan.parser evaluate --pairs FOLDER --parser parser.safetensors
"""

import argparse
import json

from maggan.basics.errors import MagganError, cli
from maggan.parser import load_parser
from maggan.parser.training import evaluate_parser, train_parser


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
    command, folder = options.pop("command"), options.pop("pairs")
    if not folder:  # as make passes it on where none was named
        raise MagganError("no parser yet: train one, PAIRS=folder of CelebAMask-HQ, or name one, PARSER=79999_iter.pth")
    if command == "train":
        print(train_parser(folder, **options))
    else:
        print(json.dumps(evaluate_parser(load_parser(options.pop("parser")), folder, **options), indent=1))


if __name__ == "__main__":
    cli(main)
