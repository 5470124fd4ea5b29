"""`python -m maggan.claims PROFILE`: the paper's claims, judged by your results."""

from maggan.arguments import arguments
from maggan.basics.errors import cli
from maggan.evaluate import Results
from maggan.report.claims import write_claims


def main():
    args = arguments("claims", "The paper's claims, judged.", "profile").parse_args()
    print(write_claims(Results(args.profile)).read_text(encoding="utf-8"))


if __name__ == "__main__":
    cli(main)
