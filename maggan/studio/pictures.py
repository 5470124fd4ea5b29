"""Pictures of one edit for the studio: the true edit, differences, regions laid over a face, and a sheet of them."""

from typing import NamedTuple

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image

from ..attributes import PARTS, attribute_index
from ..basics.images import as_image
from ..drawnfaces import latents as drawnlatents
from ..drawnfaces import render
from ..regions import preserved_change
from ..report.figures import PART_COLOURS, sheet, styled
from ..variants import short_title

SHOWN_UP_TO = 0.5  # of a difference, in the pixel range [-1, 1]: what is larger has the last colour of the scale
TINT = np.array([213, 94, 0])  # of what an edit may change
KEPT = np.array([0, 114, 178])  # of what it is to leave alone


class Shown(NamedTuple):
    """One edit, as it is shown. Pictures are PIL images, squares of the model's size unless said otherwise."""

    source: Image.Image  # a drawn face, or a photo in its own size
    results: dict  # {row: the edited picture in the size of `source`}; for all rows see `Studio.result`
    face: Image.Image  # the (aligned) face that the models saw
    edits: dict  # {row: the edited face}
    true: Image.Image | None  # what the edit ought to be; of drawn faces only
    parts: torch.Tensor  # (19, S, S) soft masks of `face`
    att_diff: torch.Tensor  # (13,) what was changed, strength included
    preserved: torch.Tensor  # (S, S), M of eq. 5
    errors: dict  # {row: MRE of this edit}, see `edit_error`
    seconds: dict  # {row: how long the edit took}, of a photo only the first row's, with its parts and pasting
    said: tuple  # sentences on what was done otherwise than asked


def difference(face, edited, signed=False):
    """What an edit changed, as a PIL image: the mean over colours of edited - face, or of its size.

    With `signed`, blue where the edit is darker, red where it is lighter, white where nothing changed; without, from
    black to yellow. Both scales end at `SHOWN_UP_TO`, in the pixel range [-1, 1].
    """
    change = as_image(edited) - as_image(face)
    if signed:
        return coloured(change.mean(0) / (2 * SHOWN_UP_TO) + 0.5, "RdBu_r")
    return coloured(change.abs().mean(0) / SHOWN_UP_TO, "inferno")


def coloured(values, scale):
    """Values (S, S) in [0, 1] as a PIL image in one of matplotlib's colour scales."""
    return Image.fromarray(colormaps[scale](values.clamp(0, 1).numpy(), bytes=True)[..., :3].copy())


def overlay(face, mask, colour=TINT):
    """A soft mask (S, S) in [0, 1] laid over a PIL face in one colour."""
    weight = 0.65 * mask.numpy()[..., None]
    mixed = (1 - weight) * np.asarray(face.convert("RGB")) + weight * colour
    return Image.fromarray(mixed.round().astype(np.uint8))


def preserved_overlay(face, preserved):
    """The preserved mask (S, S) of eq. 5, laid over a PIL face."""
    return overlay(face, preserved, KEPT)


def parts_picture(parts):
    """The soft masks (19, S, S) as a PIL image in the colours of `figures.PART_COLOURS`."""
    colours = torch.tensor([[int(PART_COLOURS[name][i : i + 2], 16) for i in (1, 3, 5)] for name in PARTS])
    mixed = torch.einsum("pc,phw->hwc", colours.float(), parts).round().clamp(0, 255)
    return Image.fromarray(mixed.to(torch.uint8).numpy())


@styled
def edit_figure(shown):
    """One edit as a figure: the face, every row's edit and the true one, their differences, regions (`Shown`)."""
    first = [shown.face, *shown.edits.values(), *([shown.true] if shown.true else [])]
    names = ["source", *(f"{short_title(row)}, MRE {shown.errors[row]:.4f}" for row in shown.edits)]
    names += ["true edit"] * (shown.true is not None)
    second = [parts_picture(shown.parts), *(difference(shown.face, edited) for edited in first[1:])]
    third = [overlay(shown.face, 1 - shown.preserved), preserved_overlay(shown.face, shown.preserved)]
    third += [Image.new("RGB", shown.face.size, "white")] * (len(first) - 2)
    rows = np.stack([[np.asarray(picture) / 255 for picture in line] for line in (first, second, third)])
    lines = ("edits", f"parts; differences\n(up to {SHOWN_UP_TO:g})", "influence region;\npreserved mask")
    return sheet(rows, names, lines, width=1.6 * len(first) + 1)


def edit_error(face, edited, preserved):
    """MRE of one edit: eq. 2 without its mean over the 13 flips, for whatever was changed.

    face and edited are PIL images of one size, preserved (S, S) is M of eq. 5. Pixel range [-1, 1], mean over pixels
    and colours. For a single flip it is `metrics.mre_of_flips` of the pictures as they are saved, in 8 bits.
    """
    return preserved_change(as_image(edited), as_image(face), preserved).mean().item()


def true_edit(seed, changes, size):
    """The drawn face of `seed` with every change made in full: (image (3, S, S), attributes that could not be had).

    changes is {attribute: change}, of which the sign counts. Attributes are turned around in its order, each with the
    repairs it needs (`drawnlatents.REPAIRS`); one that is there already stays. Of two that exclude each other the
    later one wins.
    """
    attributes, latents = drawnlatents.sample(torch.tensor([seed]))
    wanted = {name: float(change > 0) for name, change in changes.items() if change}
    for name, value in wanted.items():
        if attributes[0, attribute_index(name)] != value:
            attributes = drawnlatents.flip(attributes, name)
    missing = [name for name, value in wanted.items() if attributes[0, attribute_index(name)] != value]
    return render(attributes, latents, size).images[0], missing
