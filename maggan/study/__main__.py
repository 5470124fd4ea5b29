"""`python -m maggan.study PROFILE`: draw the user study's pairs."""

from maggan.arguments import arguments
from maggan.basics.errors import MagganError, cli
from maggan.study.pairs import draw_study


def main():
    parser = arguments("study", "Draw the user study's pairs.", "profile")
    parser.add_argument("--seed", type=int, nargs="?", default=0)  # `make study SEEDS=` names none
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="cpu gives the same bytes every time")
    args = parser.parse_args()
    name = args.profile.name
    if args.seed is None or args.seed < 0:
        raise MagganError(f"a study's seed is a whole number from 0 on: make study PROFILE={name} SEEDS=0")
    study = draw_study(args.profile, args.seed, args.device)
    print((study.folder / "notes.md").read_text(encoding="utf-8"), end="")
    print(f"{study.folder}\nrate it: make rate PROFILE={name}")


if __name__ == "__main__":
    cli(main)
