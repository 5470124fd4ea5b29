"""A row's run on disk, and its trained generator."""

import json
from pathlib import Path

from . import paths
from .errors import MagganError
from .profiles import profile as get_profile
from .systems import build_generator
from .variants import Config
from .weights import load_weights, read_metadata


def run_folder(profile, variant, seed=0):
    """Where a row's run lives: runs/<profile>/<row>-seed<seed>."""
    return paths.runs() / get_profile(profile).name / f"{variant}-seed{seed}"


def load_generator(path, device="cpu"):
    """The generator of a weights file or a run folder, in eval mode, and its Config."""
    path = Path(path)
    file = path / "weights.safetensors" if path.is_dir() or not path.suffix else path
    metadata = read_metadata(file)
    if "config" not in metadata:
        raise MagganError(f"{file} has no config inside: it was not written by maggan.train.")
    config = Config.from_json(json.dumps(metadata["config"]))
    generator = load_weights(file, build_generator(config))
    return generator.to(device).eval().requires_grad_(False), config
