"""The 13 attributes, the 19 face parts, and which part each attribute's change may touch (section 3.2)."""

import csv
from functools import cache
from pathlib import Path

import torch

from .basics.errors import MagganError, nearest

ATTRIBUTES = (
    "Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Bushy_Eyebrows", "Eyeglasses",
    "Male", "Mouth_Slightly_Open", "Mustache", "No_Beard", "Pale_Skin", "Young",
)  # fmt: skip

# The parser's order. `ear_r` is the earring, `neck_l` the necklace, `u_lip` and `l_lip` the upper and lower lip.
# CelebAMask-HQ has an order of its own: always go by name.
PARTS = (
    "background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "ear_r",
    "nose", "mouth", "u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat",
)  # fmt: skip

MASK_SIZE = 256  # pixels of the side at which masks of photos are stored (section 4)

# The parser's left and right are unreliable, so a relation names both or neither.
PAIRS = (("l_brow", "r_brow"), ("l_eye", "r_eye"), ("l_ear", "r_ear"))
NEVER_EDITABLE = ("hat", "cloth", "neck_l")

TABLES = ("paper", "extended")
RELATIONS = Path(__file__).with_name("relations.csv")

# Switching the first on releases the others, as STGAN's test does; switching off releases nothing.
CONFLICTS = {
    "Bald": ("Bangs",),
    "Bangs": ("Bald",),
    "Black_Hair": ("Blond_Hair", "Brown_Hair"),
    "Blond_Hair": ("Black_Hair", "Brown_Hair"),
    "Brown_Hair": ("Black_Hair", "Blond_Hair"),
}


def attribute_index(name):
    """Index of the attribute `name`; MagganError with the nearest right name if there is none."""
    if name not in ATTRIBUTES:
        raise nearest(name, ATTRIBUTES, "attribute")
    return ATTRIBUTES.index(name)


def part_index(name):
    """Index of the part `name`; MagganError with the nearest right name if there is none."""
    if name not in PARTS:
        raise nearest(name, PARTS, "part")
    return PARTS.index(name)


def relation_matrices(table="paper"):
    """The attribute-part matrices AR+ and AR- of section 3.2, read from `relations.csv`.

    AR+[i, p] is 1 where part p of the source image may change when attribute i is strengthened, AR- when it
    is weakened. `table` is "paper" or "extended" (the paper's, with a wider row for Pale_Skin), or a pair of matrices
    of one's own, which is taken as it is.
    Returns two (13, 19) float tensors of 0 and 1. Raises MagganError for an unknown table or a bad row.
    """
    if not isinstance(table, str):
        return table
    if table not in TABLES:
        raise nearest(table, TABLES, "relation table")
    plus, minus = read_relations(RELATIONS, table)
    return plus.clone(), minus.clone()


@cache
def read_relations(path, table):
    """Read and check one table of a relations file: (AR+, AR-), each (13, 19)."""
    matrices = {"+": torch.zeros(len(ATTRIBUTES), len(PARTS)), "-": torch.zeros(len(ATTRIBUTES), len(PARTS))}
    seen = set()
    with open(path, newline="") as file:
        rows = list(enumerate(csv.DictReader(file), start=2))
    # A table other than "paper" lists only the rows in which it differs, so the paper's go first.
    for wanted in dict.fromkeys(("paper", table)):
        for line, row in rows:
            if row["table"] == wanted:
                attribute, sign, parts = _relation_row(path, line, row)
                matrices[sign][attribute] = parts
                seen.add((attribute, sign))
    missing = [f"{ATTRIBUTES[i]} {s}" for i in range(len(ATTRIBUTES)) for s in "+-" if (i, s) not in seen]
    if missing:
        raise MagganError(f"{path}: no row for {', '.join(missing)}; add one for each.")
    return matrices["+"], matrices["-"]


def _relation_row(path, line, row):
    """One row as (attribute index, sign, (19,) vector of 0 and 1); MagganError naming the line if it is bad."""
    names = (row["parts"] or "").split()
    try:
        attribute = attribute_index(row["attribute"])
        parts = [part_index(name) for name in names]
    except MagganError as error:
        raise MagganError(f"{path}, line {line}: {error}") from None
    if row["sign"] not in ("+", "-"):
        raise MagganError(f"{path}, line {line}: the sign must be + or -, not '{row['sign']}'.")
    for name in NEVER_EDITABLE:
        if name in names:
            raise MagganError(f"{path}, line {line}: {name} is never editable; take it out.")
    for left, right in PAIRS:
        if (left in names) != (right in names):
            raise MagganError(f"{path}, line {line}: name both {left} and {right}, or neither.")
    vector = torch.zeros(len(PARTS))
    vector[parts] = 1
    return attribute, row["sign"], vector


def single_flips(attributes, strength=1.0):
    """The 13 single flips of each face, as eq. 2 takes them: exactly one entry of att_diff is not 0.

    attributes (B, 13) in {0, 1}; returns att_diff (B, 13, 13), flip i in row i, +-strength on the diagonal.
    """
    return torch.diag_embed(strength * (1 - 2 * attributes))


def released_flips(attributes, strength=1.0):
    """The 13 flips of STGAN's test: one attribute reversed at `strength`, what conflicts with it released.

    Only switching an attribute on releases others (`CONFLICTS`), at strength 1, as in STGAN.
    attributes (B, 13) in {0, 1}; returns att_diff (B, 13, 13), flip i in row i.
    """
    flips = single_flips(attributes, strength)
    for name, released in CONFLICTS.items():
        i = ATTRIBUTES.index(name)
        switched_on = 1 - attributes[:, i]  # (B,)
        for other in released:
            j = ATTRIBUTES.index(other)
            flips[:, i, j] = -switched_on * attributes[:, j]
    return flips
