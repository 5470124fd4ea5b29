"""Training: one row on one profile, exactly resumable."""

from .disk import read_log
from .loop import train

__all__ = ["read_log", "train"]
