"""`python -m maggan.reference PROFILE`: make your finished run the reference that later tables are compared with."""

from maggan.arguments import arguments
from maggan.basics.errors import cli
from maggan.evaluate import Results
from maggan.report.reference import promote
from maggan.variants import VARIANTS


def main():
    parser = arguments("reference", "Promote a finished run.", "profile")
    parser.add_argument("rows", nargs="*", help="the rows that must be finished (default: Table 3's)")
    args = parser.parse_args()
    print(promote(Results(args.profile), tuple(args.rows) or tuple(VARIANTS)))


if __name__ == "__main__":
    cli(main)
