"""The edit studio: everything one can set and see of an edit, and its page."""

from .studio import Studio

__all__ = ["Studio"]
