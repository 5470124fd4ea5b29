"""Edit a face from the command line.

    python -m maggan.edit photo.jpg --set Blond_Hair=1 --set Bangs=-1 --out edited.png
    python -m maggan.edit --drawn 7 --set Eyeglasses=1 --out edited.png

A photo takes a model of photos: the largest of this checkout's CelebA runs and its parser, or those named. A drawn face
takes the small model that comes with the package.
"""

import argparse

from maggan.basics.errors import MagganError, cli
from maggan.editor.files import changes_of, check_out, edit_drawn, edit_file, eyes_of
from maggan.editor.photo import FIRST_EYE


def main(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m maggan.edit", description=__doc__.split("\n")[0])
    parser.add_argument("photo", nargs="?", help="a JPEG or PNG photo of a face")
    parser.add_argument("--drawn", type=int, metavar="SEED", help="the drawn face of this seed instead of a photo")
    parser.add_argument("--set", action="append", default=[], metavar="ATTRIBUTE=CHANGE", help="1 more, -1 less of it")
    parser.add_argument("--out", required=True, help="the file to write (.png, .jpg, .webp)")
    parser.add_argument("--model", help="a run folder or weights file")
    parser.add_argument("--parser", help="a face parser's weights, for photos")
    parser.add_argument("--strength", type=float, default=1.0, help="multiplies the changes (default: 1)")
    parser.add_argument("--eyes", metavar="X,Y,X,Y", help=f"where the eyes are in the photo, first {FIRST_EYE}")
    parser.add_argument("--blend", action="store_true", help="keep the photo where it is to be preserved (eq. 13)")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args(arguments)
    if (args.photo is None) == (args.drawn is None):
        raise MagganError("name a photo, or a drawn face: --drawn SEED.")
    if args.drawn is not None and (args.eyes or args.parser):
        raise MagganError(f"{'--eyes' if args.eyes else '--parser'} is for photos; leave it out for a drawn face.")
    check_out(args.out)
    if not args.set:
        raise MagganError("say what to change: --set ATTRIBUTE=CHANGE, as in --set Blond_Hair=1.")
    options = {"model": args.model, "strength": args.strength, "blending": args.blend, "device": args.device}
    changes = changes_of(args.set)
    if args.photo is None:
        said = edit_drawn(args.drawn, changes, args.out, **options)
    else:
        said = edit_file(args.photo, changes, args.out, parser=args.parser, eyes=eyes_of(args.eyes), **options)
    print("\n".join([*said, f"written: {args.out}"]))


if __name__ == "__main__":
    cli(main)
