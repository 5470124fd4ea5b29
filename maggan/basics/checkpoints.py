"""Checkpoints of something that is trained: whole or absent, read without running any code."""

import pickle

import torch

from .errors import MagganError
from .paths import replacing


def save_checkpoint(file, state):
    """Write a checkpoint; the old one stays until the new one is whole."""
    with replacing(file) as partial:
        torch.save(state, partial)


def load_checkpoint(file, what):
    """What `save_checkpoint` wrote, on the CPU; None where there is none.

    what  what starts again where the file is damaged, for the MagganError
    """
    if not file.exists():
        return None
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError):
        raise damaged(file, what) from None


def damaged(file, what):
    """The error for a checkpoint that does not hold what it should."""
    return MagganError(f"{file} is damaged; delete it, and {what} starts again.")
