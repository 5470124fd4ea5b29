"""Edit a photo's file, or a drawn face, into a file.

A photo takes a model of photos: the largest of this checkout's CelebA runs and its parser, or those named. A drawn face
takes the small model that comes with the package.
"""

import os
from pathlib import Path

from PIL import Image

from .. import pretrained
from ..basics import paths
from ..basics.errors import MagganError, no_room
from ..basics.images import as_picture
from ..drawnfaces import draw
from ..profiles import PROFILES
from .editor import Editor
from .photo import FIRST_EYE, read_upload

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
    file = paths.parser_file()
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
    check_out(out)
    if not isinstance(seed, int) or not 0 <= seed < 2**62:
        raise MagganError(f"--drawn {str(seed)[:40]}: a drawn face is a whole number from 0 to 2**62 - 1.")
    editor = Editor.load(model or pretrained.path("maggan"), device=device)
    if editor.of_photos:
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
