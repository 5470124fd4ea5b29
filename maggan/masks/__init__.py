"""Soft 19-part masks of photos on the disk."""

from .store import MASK_SIZE, MaskStore

__all__ = ["MASK_SIZE", "MaskStore"]
