"""`python -m maggan.rating PROFILE --simulate 3`: votes by chance, to try the tool. People rate in the page."""

from maggan.arguments import arguments
from maggan.basics import paths
from maggan.basics.errors import MagganError, cli
from maggan.study.folder import Study
from maggan.study.rating import simulate


def main():
    parser = arguments("rating", "Simulated raters, to try the tool.", "profile", "--seed")
    parser.add_argument("--simulate", type=int, metavar="N", help="how many simulated raters")
    args = parser.parse_args()
    name = args.profile.name
    if not args.simulate or args.simulate < 1:
        raise MagganError(f"people rate in the page: make rate PROFILE={name}; to try it out: --simulate 3")
    study = Study.open(paths.study_folder(args.profile))
    simulate(study, args.simulate, args.seed)
    print(f"{study.folder / 'votes' / 'simulated'}\nits table: python -m maggan.votes {name} --simulated")


if __name__ == "__main__":
    cli(main)
