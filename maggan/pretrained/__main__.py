"""`python -m maggan.pretrained PROFILE`: make the networks that come with the package, from a finished run."""

from maggan.arguments import arguments
from maggan.basics.errors import cli
from maggan.pretrained import FOLDER
from maggan.pretrained.shipping import ship


def main():
    args = arguments("pretrained", "Small networks of drawn faces for the package.", "profile", "--seed").parse_args()
    print(f"{FOLDER}: {ship(args.profile, args.seed) / 1e6:.2f} MB")


if __name__ == "__main__":
    cli(main)
