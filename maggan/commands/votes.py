"""`python -m maggan.votes PROFILE`: what people prefer; with --simulated what simulated raters said, so titled."""

from maggan.arguments import arguments
from maggan.basics import paths
from maggan.basics.errors import MagganError, cli
from maggan.study.folder import Study
from maggan.study.votes import as_markdown, outcome, simulated_table


def main():
    parser = arguments("votes", "What raters prefer.", "profile")
    parser.add_argument("--simulated", action="store_true", help="simulated raters instead of people")
    args = parser.parse_args()
    if args.simulated:
        print(simulated_table(args.profile).read_text(encoding="utf-8"))
        return
    found, folder = outcome(args.profile), paths.study_folder(args.profile)
    if found is None:
        Study.open(folder)  # says what to do where there is none
        raise MagganError(f"{folder} has no votes yet: make rate PROFILE={args.profile.name}")
    print(as_markdown(*found))


if __name__ == "__main__":
    cli(main)
