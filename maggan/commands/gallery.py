"""`python -m maggan.gallery FIGURE PROFILE`: draw a figure from what is on the disk."""

from maggan.arguments import ARGUMENTS, arguments
from maggan.basics.errors import cli
from maggan.evaluate import Results
from maggan.report.gallery import FIGURES, draw


def main():
    parser = arguments("gallery", "Draw a figure.")
    parser.add_argument("figure", help=", ".join(FIGURES))
    parser.add_argument("profile", **ARGUMENTS["profile"])
    args = parser.parse_args()
    print(draw(args.figure, Results(args.profile)))


if __name__ == "__main__":
    cli(main)
