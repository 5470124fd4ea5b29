"""Weights on disk: safetensors with what made them inside."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from . import paths
from .errors import MagganError


def save_weights(path, module, **metadata):
    """Write a module's weights with `metadata` (JSON values) inside."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    with paths.replacing(path) as partial:
        # one entry: safetensors writes several in an order of its own, and equal runs should give equal files
        save_file(state, partial, metadata={"maggan": json.dumps(metadata, sort_keys=True)})


def read_metadata(path):
    """The metadata of a weights file; MagganError if it is absent, damaged or no weights file."""
    try:
        with safe_open(path, "pt") as file:
            return json.loads((file.metadata() or {}).get("maggan", "{}"))
    except FileNotFoundError:
        raise MagganError(f"{path} is not there: train the row first (make row ROW=... PROFILE=...).") from None
    except (SafetensorError, OSError, ValueError) as error:
        if _made_here(path):
            raise MagganError(f"{path} is damaged ({error}); delete it and train the row again.") from None
        named = "name a run folder or its weights.safetensors"
        raise MagganError(f"{path} is not a weights file of maggan ({error}); {named}.") from None


def _made_here(path):
    """Whether a file is one of our runs', which can be made again; nobody is told to delete any other."""
    path = Path(path).absolute()
    return path.suffix == ".safetensors" and path.is_relative_to(paths.runs())


def load_weights(path, module):
    """Load a weights file into a module of the same shape; MagganError names the first difference."""
    read_metadata(path)
    state, wanted = load_file(path), module.state_dict()
    for name in sorted(wanted.keys() | state.keys()):
        if name not in state or name not in wanted:
            raise MagganError(f"{path} is of another network: {name} is in only one of the two; retrain it.")
        if state[name].shape != wanted[name].shape:
            shapes = f"{tuple(state[name].shape)}, not {tuple(wanted[name].shape)}"
            raise MagganError(f"{path} is of another width: {name} is {shapes}; retrain it or use its own profile.")
    module.load_state_dict(state)
    return module
