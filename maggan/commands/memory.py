"""`python -m maggan.memory ROW PROFILE`: how much memory training a row takes."""

from maggan.arguments import arguments
from maggan.basics.errors import cli
from maggan.train.memory import GB, SPARE, needs, peak_bytes, remedy
from maggan.variants import resolve


def main():
    parser = arguments("memory", "What training a row needs.", "row", "profile")
    parser.add_argument("--gb", type=float, help="memory of a device: says what makes the run fit")
    args = parser.parse_args()
    config = resolve(args.row, args.profile)
    print(needs(config))
    if args.gb:
        fits = peak_bytes(config) <= SPARE * args.gb * GB
        print("it fits" if fits else f"take {remedy(config, args.gb * GB)}")


if __name__ == "__main__":
    cli(main)
