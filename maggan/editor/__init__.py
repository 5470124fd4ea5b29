"""`maggan.Editor`: a trained row applied to your own pictures."""

from .editor import Editor

__all__ = ["Editor"]
