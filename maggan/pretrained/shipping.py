"""Makes the networks that come with the package, from a finished run: `python -m maggan.pretrained drawn64`.

They are the generators of rows stgan and maggan and the attribute classifier, halved to 16 bits a weight, which
together are below 8 MB.
"""

import torch

from .. import weights
from ..basics import paths
from ..basics.errors import MagganError
from ..basics.weights import read_metadata
from ..data import source_of
from ..evaluate.judges import load_judges
from . import FOLDER, NETWORKS

AT_MOST = 8_000_000  # bytes, of all of them


def ship(profile, seed=0, folder=FOLDER):
    """Write the networks of a finished run into `folder`; MagganError if a row or the judges are missing.

    Returns their size in bytes. Weights are rounded to float16, which moves an edit by less than a fifth of one
    level of 255 (drawn64, 30 test faces, all 13 flips).
    """
    if source_of(profile).people:
        raise MagganError(f"{profile.name}: weights learnt from photos are not for shipping; take a drawn profile.")
    for row in ("stgan", "maggan"):
        file = paths.weights_file(profile, row, seed)
        weights.save(folder / f"{row}.safetensors", halved(weights.load(file)),
                     iteration=read_metadata(file)["iteration"])  # fmt: skip
    weights.save(folder / "classifier.safetensors", halved(load_judges(profile).classifier), profile=profile.name)
    size = sum((folder / f"{name}.safetensors").stat().st_size for name in NETWORKS)
    if size > AT_MOST:
        raise MagganError(f"{folder}: {size / 1e6:.1f} MB, at most {AT_MOST / 1e6:.0f} are to be in the repository.")
    return size


def halved(network):
    """The network with float16 weights; loading them brings them back to float32."""
    return network.to(torch.float16)
