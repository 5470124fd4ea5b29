"""`python -m maggan.report PROFILE`: everything of a profile on one page that needs no network."""

from maggan.arguments import arguments
from maggan.basics.errors import cli
from maggan.evaluate import Results
from maggan.report.page import write_report


def main():
    args = arguments("report", "Everything of a profile on one page.", "profile").parse_args()
    print(write_report(Results(args.profile)))


if __name__ == "__main__":
    cli(main)
