"""maggan: an open, runnable companion to MagGAN, mask-guided face attribute editing."""

from .attributes import ATTRIBUTES, PARTS

__version__ = "0.1.0"
__all__ = ["ATTRIBUTES", "PARTS", "Editor"]


def __getattr__(name):
    # The editor brings in the networks; whoever only wants the names should not wait for them.
    if name == "Editor":
        from .editor import Editor

        return Editor
    raise AttributeError(f"module 'maggan' has no attribute '{name}'")
