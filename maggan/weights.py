"""Weights that rebuild themselves: a generator or a judge from its file alone, whatever today's profiles say.

`maggan.load(path)` gives it back. Inside the file is all that decides its shape and what it means: the config or the
judge's sizes, the world, the attributes and parts by name, and the relation between them.
"""

from dataclasses import asdict
from pathlib import Path

import torch

from .attributes import ATTRIBUTES, PARTS, relation_matrices
from .basics.errors import MagganError
from .basics.weights import load_weights, read_metadata, save_weights
from .config import Config
from .networks.generator import EditingNetwork
from .networks.judges import JUDGES, judge_of
from .profiles import PROFILES
from .systems import build_generator


def save(path, network, **notes):
    """Write the weights of a generator or a judge, with all that rebuilds it and `notes` (JSON values) inside."""
    save_weights(path, network, **about(network), **notes)


def about(network):
    """All that rebuilds a network, as JSON values."""
    named = {"attributes": list(ATTRIBUTES)}
    if not isinstance(network, EditingNetwork):
        return {**named, "network": type(network).__name__, "built": network.built}
    config = network.config
    plus, minus = relation_matrices(network.table)
    relation = {sign: [[PARTS[p] for p in row.nonzero().flatten()] for row in matrix]
                for sign, matrix in (("+", plus), ("-", minus))}  # fmt: skip
    return {**named, "parts": list(PARTS), "relation": relation, "world": world_of(network), "config": asdict(config)}


def world_of(generator):
    """The world of the faces that a generator was trained on; None where only its unknown profile would tell."""
    profile = PROFILES.get(generator.config.profile)
    return generator.world or (profile and profile.world)


def load(path, device="cpu"):
    """The network of a weights file or a run folder, in eval mode and frozen.

    A generator has its `.config` and goes by the relation of its `.table`; a judge, which is an attribute classifier or
    a feature network, gives logits of the attributes. Raises MagganError naming the file where it is missing, damaged,
    or made for other attributes than this version's.
    """
    path = Path(path)
    file = path / "weights.safetensors" if path.is_dir() or not path.suffix else path
    metadata = read_metadata(file)
    for name, known in (("attributes", ATTRIBUTES), ("parts", PARTS)):
        if tuple(metadata.get(name, known)) != known:
            raise MagganError(f"{file} was trained for other {name} ({', '.join(metadata[name])}) than this version's.")
    try:
        network = rebuilt(metadata)
    except (MagganError, KeyError, TypeError) as error:
        raise MagganError(f"{file} is not of this version's maggan.train or maggan.judges ({error}).") from None
    return load_weights(file, network).to(device).eval().requires_grad_(False)


def rebuilt(metadata):
    """The untrained network that a file's metadata describe."""
    if "config" in metadata:
        network = build_generator(Config.of(metadata["config"]))
        network.world = metadata.get("world")
        if "relation" in metadata:
            network.relation = tuple(matrix_of(metadata["relation"][sign]) for sign in "+-")
        return network
    if "network" in metadata:
        return JUDGES[metadata["network"]](**metadata["built"])
    if metadata.get("profile") not in PROFILES:  # which a judge of an earlier version names, and no more
        raise MagganError("it does not say what it is of")
    return judge_of(metadata.get("judge", "classifier"), PROFILES[metadata["profile"]])


def matrix_of(rows):
    """A relation matrix (13, 19) from the names of each attribute's parts."""
    return torch.tensor([[float(part in row) for part in PARTS] for row in rows])
