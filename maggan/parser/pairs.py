"""CelebAMask-HQ: pairs of faces and part labels, to train and to judge the parser on.

Two layouts are read: the official one (`CelebA-HQ-img/0.jpg`, `CelebAMask-HQ-mask-anno/0/00000_skin.png`, ...) and
label maps (`images/NAME.jpg`, `masks/NAME.png`, there or under `train/`). CelebAMask-HQ numbers its parts in an
order of its own, so parts always go by name; labels in memory are in the order of `PARTS`.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from ..attributes import PAIRS, PARTS
from ..basics.errors import MagganError, nearest
from ..basics.progress import progress, warn

CELEBAMASK_PARTS = (
    "background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear",
    "mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth",
)  # fmt: skip
ORDERS = {"celebamask": CELEBAMASK_PARTS, "parser": PARTS}
MOST_BYTES = 4 * 10**9  # of pairs in memory: 15,258 of CelebAMask-HQ's 30,000 at 256 px

# SWAPPED[p] is the part that p becomes in the mirror.
_MIRROR = {left: right for pair in PAIRS for left, right in (pair, pair[::-1])}
SWAPPED = tuple(PARTS.index(_MIRROR.get(name, name)) for name in PARTS)

# With both brows, eyes and ears merged, as the measures take them.
MERGED_PARTS = tuple(name for name in PARTS if not name.startswith("r_"))
MERGED = tuple(MERGED_PARTS.index(_MIRROR[name] if name.startswith("r_") else name) for name in PARTS)


class Pair(NamedTuple):
    """One face: its name, its photo's path, and its label map's path (or that of each part's mask, by part)."""

    name: str
    photo: Path
    labels: Path | dict


def find_pairs(folder):
    """All pairs in `folder`, in either layout, sorted by name; MagganError saying what to get if there are none."""
    folder = Path(folder).expanduser()
    for root in (folder, folder / "train", folder / "CelebAMask-HQ"):
        if (root / "images").is_dir() and (root / "masks").is_dir():
            masks = {path.stem: path for path in (root / "masks").glob("*.png")}
            photos = sorted((root / "images").glob("*.jpg"))
            pairs = [Pair(photo.stem, photo, masks[photo.stem]) for photo in photos if photo.stem in masks]
        elif (root / "CelebA-HQ-img").is_dir():
            pairs = _official_pairs(root)
        else:
            continue
        if pairs:
            return pairs
    raise MagganError(
        f"{folder}: no pairs of faces and masks here; get CelebAMask-HQ (CelebAMask-HQ.zip) and name the folder that "
        "holds CelebA-HQ-img and CelebAMask-HQ-mask-anno, or one with images/*.jpg and masks/*.png."
    )


def _official_pairs(root):
    """The pairs of the official layout: a part without a file is absent from the face."""
    parts = {}
    for path in (root / "CelebAMask-HQ-mask-anno").glob("*/*_*.png"):
        number, _, part = path.stem.partition("_")
        if part in PARTS:
            parts.setdefault(int(number), {})[part] = path
    photos = {int(path.stem): path for path in (root / "CelebA-HQ-img").glob("*.jpg")}
    return [Pair(f"{i:05d}", photos[i], parts[i]) for i in sorted(photos.keys() & parts.keys())]


def read_pair(pair, size, order="celebamask"):
    """The photo (3, S, S) and its labels (S, S) in the order of `PARTS`, both uint8.

    `order` says how a label map numbers its parts: "celebamask" or "parser". Raises MagganError naming the file.
    """
    photo = _open(pair.photo).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    if isinstance(pair.labels, dict):
        labels = np.zeros((size, size), np.uint8)
        # Later parts cover earlier ones: glasses the eyes, hair nearly all, the hat everything.
        for name in PARTS:
            if name in pair.labels:
                mask = _open(pair.labels[name]).convert("L").resize((size, size), Image.Resampling.BILINEAR)
                labels[np.asarray(mask) > 127] = PARTS.index(name)
    else:
        labels = _open(pair.labels)
        if labels.mode not in ("P", "L"):
            raise MagganError(f"{pair.labels}: not a label map (mode {labels.mode}); it must hold one number a pixel.")
        labels = np.asarray(labels.resize((size, size), Image.Resampling.NEAREST))
        if labels.max() >= len(PARTS):
            raise MagganError(f"{pair.labels}: holds label {labels.max()}; labels must be 0 to {len(PARTS) - 1}.")
        labels = from_order(order)[labels]
    return np.asarray(photo).transpose(2, 0, 1), labels


def from_order(order):
    """For each number in the named order, the part's index in `PARTS`: (19,) uint8."""
    if order not in ORDERS:
        raise nearest(order, ORDERS, "order of parts")
    return np.array([PARTS.index(name) for name in ORDERS[order]], np.uint8)


def _open(path):
    """A whole image, or MagganError naming the file."""
    try:
        image = Image.open(path)
        image.load()
        return image
    except (OSError, SyntaxError) as error:
        raise MagganError(f"{path}: cannot be read as an image ({error}); get the file again.") from None


def load_pairs(pairs, size, order="celebamask"):
    """All pairs at S = `size` in memory: photos (N, 3, S, S), labels (N, S, S), both uint8, and their names.

    Takes 4 S^2 bytes a pair, once: 0.26 MB at 256 px. A pair that cannot be read is left out with a warning. Left and
    right are made consistent (`mend_sides`).
    """
    from_order(order)  # raises for an unknown one, which is no fault of the pairs
    photos = torch.empty(len(pairs), 3, size, size, dtype=torch.uint8)
    labels = torch.empty(len(pairs), size, size, dtype=torch.uint8)
    names = []
    for pair in progress(pairs, desc="reading pairs"):
        try:
            photo, label = read_pair(pair, size, order)
        except MagganError as error:
            warn(f"{error} Left out.")
            continue
        photos[len(names)], labels[len(names)] = torch.tensor(photo), torch.tensor(label)
        names.append(pair.name)
    if not names:
        raise MagganError(f"none of the {len(pairs)} pairs could be read; see the warnings above.")
    return photos[: len(names)], mend_sides(labels[: len(names)]), names


def mend_sides(labels):
    """Labels (N, H, W) with left and right swapped, in place, in the faces that go against the majority.

    Some faces of CelebAMask-HQ are mirrored copies whose labels were not renamed.
    """
    votes = torch.tensor([_side(face) for face in labels])
    majority = 1 if votes.sum() >= 0 else -1
    swapped = torch.tensor(SWAPPED, dtype=labels.dtype)
    for i in torch.nonzero(votes * majority < 0).flatten().tolist():
        labels[i] = swapped[labels[i].long()]
    return labels


def _side(labels):
    """Positive if the left parts of labels (H, W) lie right in the image, negative if left, 0 if none shows.

    One vote a pair. A part that does not show stands in the middle of the face.
    """
    columns = torch.stack([(labels == p).sum(0) for p in range(len(PARTS))]).double()  # (19, W)
    count = columns.sum(1)
    centre = columns @ torch.arange(labels.shape[1]).double() / count.clamp(min=1)  # (19,)
    middle = centre[PARTS.index("nose" if count[PARTS.index("nose")] else "skin")]
    centre = torch.where(count > 0, centre, middle)
    return sum(int(torch.sign(centre[PARTS.index(left)] - centre[PARTS.index(right)])) for left, right in PAIRS)


def held_out(names, count):
    """Which names are held out: (N,) bool, `count` of them true, drawn by the names alone.

    Adding faces to the folder changes few of them; nothing else does.
    """
    if not 0 <= count < len(names):
        raise MagganError(f"cannot hold out {count} of {len(names)} pairs; hold out fewer.")
    return drawn_by_name(names, count)


def drawn_by_name(names, count):
    """`count` of the names, drawn by the names alone: (N,) bool."""
    ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    chosen = set(ranked[:count])
    return torch.tensor([name in chosen for name in names])


def pairs_to_learn(folder, hold_out, size):
    """The pairs in `folder` but those held out; told in a line, only as many as fit into 4 GB at this size.

    Which ones goes by their names alone. Raises MagganError if there are none, or too few to hold out so many.
    """
    pairs = find_pairs(folder)
    held = held_out([pair.name for pair in pairs], hold_out)
    learnt = [pair for pair, h in zip(pairs, held, strict=True) if not h]
    fit = MOST_BYTES // (4 * size * size)
    if len(learnt) > fit:
        print(f"{folder}: trains on {fit} of its {len(learnt)} pairs, as many as fit into {MOST_BYTES / 1e9:g} GB.")
        drawn = drawn_by_name([pair.name for pair in learnt], fit)
        learnt = [pair for pair, d in zip(learnt, drawn, strict=True) if d]
    return learnt
