"""`python -m maggan.train ROW PROFILE`: train a row, or go on from its last checkpoint."""

import json

from maggan.arguments import arguments
from maggan.basics.errors import cli
from maggan.train import train


def main():
    parser = arguments("train", "Train one row.", "row", "profile", "--seed", "--device", "--devices", "--nodes")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any other setting")
    args = parser.parse_args()
    overrides = {}
    for setting in args.set:
        name, _, value = setting.partition("=")
        try:
            overrides[name] = json.loads(value)
        except ValueError:
            overrides[name] = value
    print(train(args.row, args.profile, args.seed, args.device, args.devices, args.nodes, **overrides))


if __name__ == "__main__":
    cli(main)
