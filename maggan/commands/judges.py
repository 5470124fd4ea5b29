"""`python -m maggan.judges PROFILE`: train the networks that judge edits."""

from maggan.arguments import arguments
from maggan.basics.errors import cli
from maggan.evaluate.judges import Judges, train_judges


def main():
    args = arguments("judges", "Train the judges of a profile.", "profile", "--device").parse_args()
    report = train_judges(args.profile, args.device)
    for name in Judges._fields:
        means = {key: value["mean"] for key, value in report[name].items() if isinstance(value, dict)}
        print(f"{name}: " + ", ".join(f"{100 * mean:.1f} % on {where}" for where, mean in means.items()))


if __name__ == "__main__":
    cli(main)
