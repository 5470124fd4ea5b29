"""Small networks of drawn faces that come with the package, so that a face can be edited before anything is trained."""

from pathlib import Path

from ..basics.errors import nearest
from ..basics.weights import read_metadata

FOLDER = Path(__file__).parent
NETWORKS = ("stgan", "maggan", "classifier")


def path(name):
    """The weights file of "stgan", "maggan" or the "classifier"; MagganError if there is no such network."""
    if name not in NETWORKS:
        raise nearest(name, NETWORKS, "pretrained network")
    return FOLDER / f"{name}.safetensors"


def trained_by():
    """The name of the profile they were trained by."""
    return read_metadata(path("maggan"))["config"]["profile"]
