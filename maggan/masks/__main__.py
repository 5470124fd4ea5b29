"""Soft 19-part masks of photos in a store: builds it, and reads every byte of it.

    python -m maggan.masks build --parser parser.safetensors --photos FOLDER --out STORE
    python -m maggan.masks verify --store STORE
"""

import argparse
from pathlib import Path

from maggan.basics.errors import MagganError, cli
from maggan.basics.progress import warn
from maggan.masks import MaskStore
from maggan.masks.build import build_masks


def main(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m maggan.masks", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="parse photos and store their masks; goes on where it was")
    build.add_argument("--parser", required=True, help="our weights, or the published 79999_iter.pth")
    build.add_argument("--photos", required=True, help="aligned CelebA photos: a folder, or img_align_celeba.zip")
    build.add_argument("--out", required=True, help="the store's folder")
    build.add_argument("--device")
    build.add_argument("--batch", type=int, default=16)
    build.add_argument("--workers", type=int, help="threads that compress (default: one a core)")
    build.add_argument("--strict", action="store_true", help="stop at the first photo that cannot be read")
    build.add_argument("--devices", type=int, default=1, help="processes that share the photos, on each machine")
    build.add_argument("--nodes", type=int, default=1, help="machines, under torchrun or SLURM")
    verify = commands.add_parser("verify", help="read every byte and tell what is damaged")
    verify.add_argument("--store", required=True)
    options = vars(parser.parse_args(arguments))
    if options.pop("command") == "build":
        if not Path(options["parser"]).expanduser().exists() and (Path(options["out"]) / "store.json").exists():
            print(f"masks: those in {options['out']} are taken as they are, for there is no parser; "
                  "photos without masks are left out")  # fmt: skip
            return
        store, whole = build_masks(options.pop("parser"), **options), ""
        if store is None:  # not the first process, which tells
            return
    else:
        store = MaskStore.open(options["store"])
        problems = store.verify()
        for problem in problems:
            warn(problem)
        if problems:
            raise MagganError(f"{store.path}: {len(problems)} files are damaged or gone, as told above.")
        whole = "; every byte is whole"
    print(
        f"{store.path}: masks of {len(store)} faces, {store.bytes / max(1, len(store)) / 1000:.1f} KB a face; "
        f"{len(store.left_out)} photos left out{whole}."
    )


if __name__ == "__main__":
    cli(main)
