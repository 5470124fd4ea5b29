"""Faces of every world behind one door: images, soft part masks and attributes at a profile's size."""

from ..basics.images import Batch
from .faces import Faces, open_faces, prepare
from .sources import SOURCES, SPLITS, source, source_of

__all__ = ["SOURCES", "SPLITS", "Batch", "Faces", "open_faces", "prepare", "source", "source_of"]
