"""What is handed to `maggan.Editor`, checked once: anything else is one line that says what is wanted."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image

from ..attributes import ATTRIBUTES, PARTS, attribute_index, relation_matrices
from ..basics.errors import MagganError
from .photo import upright

WANTED = {
    "image": "a PIL image: Image.open(file), or Image.fromarray(array)",
    "photo": "a PIL image: Image.open(file), or Image.fromarray(array)",
    "changes": "{attribute: finite number}, as in {'Blond_Hair': 1}",
    "strength": "a finite number from 0 on",
    "parts": "masks of shape (19, {size}, {size}) in [0, 1]",
    "attributes": "of shape (13,), each 0 or 1, in the order of maggan.ATTRIBUTES",
    "table": "a table's name, or a pair of matrices of shape (13, 19) in [0, 1]",
}


def checked(name, value, size=None):
    """The argument `name` of an edit as it is worked with; MagganError that names the wanted type and shape.

    size  of the row, for parts
    """
    if value is None and name in ("parts", "attributes"):
        return None
    try:
        return _taken(name, value, size)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        # whatever a library says of it, what is wanted says more
        wanted = WANTED[name].format(size=size) if name == "parts" else WANTED[name]
        raise MagganError(f"{name}: must be {wanted}; not {_described(value)}.") from None


def _taken(name, value, size):
    if name in ("image", "photo"):
        if not isinstance(value, Image.Image):
            raise TypeError
        try:
            return upright(value, name)
        except (OSError, SyntaxError, EOFError) as error:  # a file is read only now
            raise MagganError(f"{name}: cannot be read ({str(error)[:80]}).") from None
    if name == "changes":
        if not isinstance(value, Mapping):
            raise TypeError
        for attribute in value:
            attribute_index(attribute)
        return {attribute: _number(change) for attribute, change in value.items()}
    if name == "strength":
        return _number(value, least=0)
    if name == "parts":
        return _numbers(value, (len(PARTS), size, size))
    if name == "attributes":
        attributes = _numbers(value, (len(ATTRIBUTES),))
        if not ((attributes == 0) | (attributes == 1)).all():  # CelebA's own files have -1 for 0
            raise ValueError
        return attributes
    if isinstance(value, str):
        relation_matrices(value)
        return value
    plus, minus = value
    return tuple(_numbers(matrix, (len(ATTRIBUTES), len(PARTS))) for matrix in (plus, minus))


def _number(value, least=-math.inf):
    if isinstance(value, (str, bytes)):
        raise TypeError
    number = float(value)
    if not (math.isfinite(number) and number >= least):
        raise ValueError
    return number


def _numbers(value, shape):
    """A tensor or array of numbers in [0, 1] of a shape, as a float tensor."""
    if not isinstance(value, (torch.Tensor, np.ndarray, list, tuple)):
        raise TypeError
    numbers = torch.as_tensor(value).detach().float()
    # resizing rounds, so a mask may be above 1 by next to nothing
    if tuple(numbers.shape) != shape or not ((numbers >= -1e-3) & (numbers <= 1 + 1e-3)).all():
        raise ValueError
    return numbers


def _described(value):
    """What something is, in a few words."""
    kind = type(value).__name__
    if not isinstance(value, (torch.Tensor, np.ndarray)) or not value.shape:
        return f"{' '.join(repr(value).split())[:60]} ({kind})"
    try:
        within = f" from {float(value.min()):g} to {float(value.max()):g}"
    except (TypeError, ValueError, RuntimeError):  # none in it, or no numbers
        within = ""
    return f"a {kind} of shape {tuple(value.shape)}{within}"
