"""Every world's source of faces. A file beside this one that has a `SOURCE` is a world's; it is found by itself."""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from ..basics.errors import nearest

SPLITS = ("train", "validation", "test")

_beside = [found.name for found in iter_modules([Path(__file__).parent]) if found.name not in ("faces", "sources")]
_modules = [import_module(f"{__package__}.{name}") for name in _beside if not name.startswith("_")]
SOURCES = {module.SOURCE.world: module.SOURCE for module in _modules if hasattr(module, "SOURCE")}


def source_of(profile):
    """The class of sources that a profile's faces come from; MagganError with the nearest one if there is none."""
    if profile.world not in SOURCES:
        raise nearest(profile.world, list(SOURCES), "world")
    return SOURCES[profile.world]


def source(profile, split):
    """What the faces of a split come from."""
    if split not in SPLITS:
        raise nearest(split, SPLITS, "split")
    return source_of(profile)(profile, split)
