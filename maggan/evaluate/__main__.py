"""`python -m maggan.evaluate ROW PROFILE`: measure a row on all test faces."""

from maggan.arguments import arguments
from maggan.basics import paths
from maggan.basics.errors import cli
from maggan.evaluate import evaluate


def main():
    about = "Evaluate one row: a row that was trained, no-edit or true-edit."
    args = arguments("evaluate", about, "row", "profile", "--seed", "--device", "--devices", "--nodes").parse_args()
    result = evaluate(args.row, args.profile, args.seed, args.device, devices=args.devices, nodes=args.nodes)
    if result is None:  # not the first process
        return
    shown = ("mre", "accuracy_1.0", "accuracy_1.5", "psnr", "ssim", "fid")
    values = {name: result["metrics"].get(name, {}).get("value") for name in shown}
    print(f"{args.row}: " + ", ".join(f"{name} {v:.4g}" for name, v in values.items() if v is not None))
    print(paths.metrics_file(args.row, args.profile, args.seed))


if __name__ == "__main__":
    cli(main)
