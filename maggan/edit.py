"""Edit a face from the command line.

    python -m maggan.edit photo.jpg --set Blond_Hair=1 --set Bangs=-1 --out edited.png
    python -m maggan.edit --drawn 7 --set Eyeglasses=1 --out edited.png

A photo takes a model of photos: the largest of this checkout's CelebA runs and its parser, or those named. A drawn face
takes the small model that comes with the package.
"""

import argparse
from pathlib import Path

from PIL import Image

from . import paths, pretrained
from .editor import Editor
from .errors import MagganError, cli
from .photo import read_upload
from .pixels import as_picture


def photo_model():
    """The run folder of row maggan at the largest CelebA size trained here; MagganError if there is none."""
    found = paths.runs().glob("celeba*/maggan-seed0/weights.safetensors")
    runs = sorted((file.parent for file in found), key=lambda run: int(run.parent.name.removeprefix("celeba")))
    if not runs:
        raise MagganError(
            f"no model of photos in {paths.runs()}: train one (make row ROW=maggan PROFILE=celeba256 CELEBA=folder) "
            "or name one: --model FOLDER --parser FILE"
        )
    return runs[-1]


def photo_parser():
    """The parser trained here, or None."""
    file = paths.runs() / "parser" / "parser.safetensors"
    return file if file.exists() else None


def edit_file(photo, changes, out, model=None, parser=None, strength=1.0, eyes=None, blending=False, device="cpu"):
    """Edit the face in the photo file and write `out`; returns what was done beside what was asked, as sentences."""
    try:
        data = Path(photo).read_bytes()
    except OSError as error:
        raise MagganError(f"{photo}: cannot be read ({error.strerror}).") from None
    picture = read_upload(data, photo)
    editor = Editor.load(model or photo_model(), parser or photo_parser(), device)
    edit = editor.edit_photo(picture, changes, strength, eyes, blending)
    write(edit.result, out)
    return edit.said


def edit_drawn(seed, changes, out, model=None, strength=1.0, blending=False, device="cpu"):
    """Edit the drawn face `seed` and write `out`; returns what was done beside what was asked, as sentences."""
    from .drawnfaces import draw

    editor = Editor.load(model or pretrained.path("maggan"), device=device)
    if editor.world != "drawn":
        raise MagganError(f"{model}: was trained on photos; leave --model out for a drawn face.")
    face = draw([seed], editor.config.size)
    write(editor.edit(as_picture(face.images[0]), changes, strength, face.parts[0], face.attributes[0], blending), out)
    return editor.resolved(changes, face.attributes[0])[1]


def write(picture, out):
    """Write a picture in the format its name says; MagganError if there is none."""
    kind = Image.registered_extensions().get(Path(out).suffix.lower())
    if kind not in ("PNG", "JPEG", "WEBP"):
        raise MagganError(f"{out}: name a .png, .jpg or .webp file.")
    with paths.replacing(out) as partial:
        picture.save(partial, kind, **({} if kind == "PNG" else {"quality": 95}))


def changes_of(texts):
    """["Blond_Hair=1", ...] -> {"Blond_Hair": 1.0}; MagganError for what is not so written."""
    changes = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            changes[name] = float(value)
        except ValueError:
            raise MagganError(f"--set {text}: write an attribute and a number, as in --set Blond_Hair=1.") from None
    return changes


def eyes_of(text):
    """Four numbers, X,Y,X,Y, as ((x, y), (x, y)), or None for None; MagganError for what is not so written."""
    if text is None:
        return None
    try:
        a, b, c, d = map(float, text.split(","))
    except ValueError:
        raise MagganError(f"--eyes {text}: write four numbers, X,Y,X,Y, the eye on the left first.") from None
    return (a, b), (c, d)


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
    parser.add_argument("--eyes", metavar="X,Y,X,Y", help="where the eyes are in the photo, the left one first")
    parser.add_argument("--blend", action="store_true", help="keep the photo where it is to be preserved (eq. 13)")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args(arguments)
    if (args.photo is None) == (args.drawn is None):
        raise MagganError("name a photo, or a drawn face: --drawn SEED.")
    options = {"model": args.model, "strength": args.strength, "blending": args.blend, "device": args.device}
    changes = changes_of(args.set)
    if args.photo is None:
        said = edit_drawn(args.drawn, changes, args.out, **options)
    else:
        said = edit_file(args.photo, changes, args.out, parser=args.parser, eyes=eyes_of(args.eyes), **options)
    print("\n".join([*said, f"written: {args.out}"]))


if __name__ == "__main__":
    cli(main)
