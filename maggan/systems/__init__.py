"""The systems whose rows can be trained: STGAN (and MagGAN, which changes its settings alone), and the peers.

A file here that has a `SYSTEM` is one; it is found by itself.
"""

from importlib import import_module
from pkgutil import iter_modules

_modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
_found = [module.SYSTEM for module in _modules if hasattr(module, "SYSTEM")]
SYSTEMS = {system.name: system for system in sorted(_found, key=lambda each: (each.year, each.name))}


def build_generator(config):
    """The untrained generator of a Config."""
    return SYSTEMS[config.system].generator(config)
