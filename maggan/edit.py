"""Edit a face from the command line.

    python -m maggan.edit photo.jpg --set Blond_Hair=1 --set Bangs=-1 --out edited.png
    python -m maggan.edit --drawn 7 --set Eyeglasses=1 --out edited.png

A photo takes a model of photos: the largest of this checkout's CelebA runs and its parser, or those named. A drawn face
takes the small model that comes with the package.
"""

import argparse
import os
from pathlib import Path

from PIL import Image

from . import paths, pretrained
from .editor import Editor
from .errors import MagganError, cli, no_room
from .photo import FIRST_EYE, read_upload
from .pixels import as_picture
from .profiles import PROFILES

# How each kind of file is written; the last two change every pixel a little, these as little as they can.
KINDS = {"PNG": {}, "JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"quality": 95}}


def photo_model():
    """The run folder of row maggan at the largest CelebA size trained here; MagganError if there is none."""
    found = [file.parent for file in paths.runs().glob("celeba*/maggan-seed0/weights.safetensors")]
    runs = [run for run in found if run.parent.name in PROFILES]  # no folder that somebody put aside
    if not runs:
        raise MagganError(
            f"no model of photos in {paths.runs()}: train one (make row ROW=maggan PROFILE=celeba256 CELEBA=folder) "
            "or name one: --model FOLDER --parser FILE"
        )
    return max(runs, key=lambda run: PROFILES[run.parent.name].size)


def photo_parser():
    """The parser trained here, or None."""
    file = paths.runs() / "parser" / "parser.safetensors"
    return file if file.exists() else None


def edit_file(photo, changes, out, model=None, parser=None, strength=1.0, eyes=None, blending=False, device="cpu"):
    """Edit the face in the photo file and write `out`; returns what was done beside what was asked, as sentences."""
    photo = Path(photo).expanduser()
    check_out(out, photo)
    try:
        data = photo.read_bytes()
    except OSError as error:
        raise MagganError(f"{photo}: cannot be read ({error.strerror}).") from None
    picture = read_upload(data, photo)
    found = None if parser else photo_parser()
    editor = Editor.load(model or photo_model(), parser or found, device)
    edit = editor.edit_photo(picture, changes, strength, eyes, blending)
    taken = [f"The face was parsed by {found}, for no parser was named."] if model and found else []
    return [*edit.said, *taken, *write(edit.result, out)]


def edit_drawn(seed, changes, out, model=None, strength=1.0, blending=False, device="cpu"):
    """Edit the drawn face `seed` and write `out`; returns what was done beside what was asked, as sentences."""
    from .drawnfaces import draw

    check_out(out)
    if not isinstance(seed, int) or not 0 <= seed < 2**62:
        raise MagganError(f"--drawn {str(seed)[:40]}: a drawn face is a whole number from 0 to 2**62 - 1.")
    editor = Editor.load(model or pretrained.path("maggan"), device=device)
    if editor.world != "drawn":
        raise MagganError(f"{model}: was trained on photos; leave --model out for a drawn face.")
    face = draw([seed], editor.config.size)
    had = face.attributes[0]
    edited = editor.edit(as_picture(face.images[0]), changes, strength, face.parts[0], had, blending)
    return [*editor.resolved(changes, had, strength)[1], *write(edited, out)]


def check_out(out, photo=None):
    """The kind of picture that `out` names; MagganError where it names none, cannot be written, or is the photo."""
    out = Path(out)
    kind = Image.registered_extensions().get(out.suffix.lower())
    if kind not in KINDS:
        raise MagganError(f"{out}: name a .png, .jpg or .webp file.")
    if os.path.isdir(out):  # which, unlike Path's, takes names that no file can have
        raise MagganError(f"{out}: is a folder; name a file.")
    folder = next(folder for folder in out.absolute().parents if os.path.lexists(folder))
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise MagganError(f"{out}: cannot be written, {folder} is no folder to write to; name another.")
    if photo is not None and os.path.exists(out) and os.path.exists(photo) and os.path.samefile(out, photo):
        raise MagganError(f"{out}: is the photo itself; name another file, so that the photo is kept.")
    return kind


def write(picture, out):
    """Write a picture in the format its name says, with its colour profile; MagganError if that cannot be.

    Returns what is to be said of the format, as sentences.
    """
    kind = check_out(out)
    try:
        with paths.replacing(out) as partial:
            picture.save(partial, kind, icc_profile=picture.info.get("icc_profile"), **KINDS[kind])
    except (OSError, ValueError) as error:
        if no_room(error):
            raise
        reason = str(error).split("\n")[0][:100]
        raise MagganError(f"{out}: cannot be written ({reason}); name another file.") from None
    if kind == "PNG":
        return []
    return [f"{'WebP' if kind == 'WEBP' else kind} changes every pixel a little; a .png keeps those outside the edit."]


def changes_of(texts):
    """["Blond_Hair=1", ...] -> {"Blond_Hair": 1.0}, the last named last; MagganError for what is not so written."""
    changes = {}
    for text in texts:
        name, _, value = text.partition("=")
        changes.pop(name, None)  # of two that exclude each other, the one named last is done
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
        raise MagganError(f"--eyes {text}: write four numbers, X,Y,X,Y, first {FIRST_EYE}.") from None
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
