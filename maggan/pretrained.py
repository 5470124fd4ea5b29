"""Small networks of drawn faces that come with the package, so that a face can be edited before anything is trained.

    python -m maggan.pretrained drawn64

makes them from a finished run: the generators of rows stgan and maggan and the attribute classifier, halved to 16 bits
a weight, which together are below 8 MB.
"""

import argparse
from pathlib import Path

import torch

from .checkpoints import load_generator, run_folder
from .errors import MagganError, cli, nearest
from .judges import load_judges
from .profiles import profile as get_profile
from .weights import read_metadata, save_weights

FOLDER = Path(__file__).with_name("pretrained")
NETWORKS = ("stgan", "maggan", "classifier")
AT_MOST = 8_000_000  # bytes, of all of them


def path(name):
    """The weights file of "stgan", "maggan" or the "classifier"; MagganError if there is no such network."""
    if name not in NETWORKS:
        raise nearest(name, NETWORKS, "pretrained network")
    return FOLDER / f"{name}.safetensors"


def trained_by():
    """The name of the profile they were trained by."""
    return read_metadata(path("maggan"))["config"]["profile"]


def ship(profile, seed=0, folder=FOLDER):
    """Write the networks of a finished run into `folder`; MagganError if a row or the judges are missing.

    Returns their size in bytes. Weights are rounded to float16, which moves an edit by less than a fifth of one
    level of 255 (drawn64, 30 test faces, all 13 flips).
    """
    profile = get_profile(profile)
    if profile.world != "drawn":
        raise MagganError(f"{profile.name}: weights learnt from photos are not for shipping; take a drawn profile.")
    for row in ("stgan", "maggan"):
        weights = run_folder(profile, row, seed) / "weights.safetensors"
        generator, _ = load_generator(weights)
        save_weights(folder / f"{row}.safetensors", halved(generator), **read_metadata(weights))
    classifier = load_judges(profile).classifier
    save_weights(folder / "classifier.safetensors", halved(classifier), profile=profile.name)
    size = sum((folder / f"{name}.safetensors").stat().st_size for name in NETWORKS)
    if size > AT_MOST:
        raise MagganError(f"{folder}: {size / 1e6:.1f} MB, at most {AT_MOST / 1e6:.0f} are to be in the repository.")
    return size


def halved(network):
    """The network with float16 weights; loading them brings them back to float32."""
    return network.to(torch.float16)


def main():
    parser = argparse.ArgumentParser(prog="python -m maggan.pretrained", description=__doc__.split("\n")[0])
    parser.add_argument("profile")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(f"{FOLDER}: {ship(args.profile, args.seed) / 1e6:.2f} MB")


if __name__ == "__main__":
    cli(main)
