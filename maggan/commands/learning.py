"""`python -m maggan.learning ROW PROFILE`: how a row learns, from the snapshots of its training."""

from maggan.arguments import arguments
from maggan.basics.errors import cli
from maggan.evaluate.learning import learning


def main():
    args = arguments("learning", "How a row learns.", "row", "profile", "--seed", "--device").parse_args()
    for point in learning(args.row, args.profile, args.seed, args.device)["points"]:
        values = {name: entry["value"] for name, entry in point["metrics"].items()}
        print(f"{point['iteration']}: " + ", ".join(f"{name} {value:.4g}" for name, value in values.items()))


if __name__ == "__main__":
    cli(main)
