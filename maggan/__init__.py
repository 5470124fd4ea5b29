"""maggan: an open, runnable companion to MagGAN, mask-guided face attribute editing."""

from importlib import import_module
from pathlib import Path

__version__ = "0.1.0"
__all__ = ["ATTRIBUTES", "PARTS", "Editor", "load"]

# `python -m maggan.tables` runs commands/tables.py: the commands that no package is called after lie there.
__path__.append(str(Path(__file__).with_name("commands")))

# Looked up when they are asked for: make and the fingerprints want neither PyTorch nor the networks.
_HOMES = {"ATTRIBUTES": "attributes", "PARTS": "attributes", "Editor": "editor", "load": "weights"}


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'maggan' has no attribute '{name}'")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
