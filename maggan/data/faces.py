"""The faces of a profile: prepared once, opened by split, gathered by number.

`prepare` draws or decodes each split once, into files of a few hundred faces under runs/<profile>/faces; what
is prepared is kept when interrupted. Faces of 256 px and more would fill a disk (0.7 TB at 1024), so those profiles
decode them, or draw them on the device, as they are needed.
"""

import hashlib
import json
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import lru_cache

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from ..basics import paths
from ..basics.images import Batch
from ..basics.progress import progress
from .sources import source

CHUNK = 256  # faces a file
LARGEST_KEPT = 128  # pixels


class Faces:
    """The faces of one split; `batch` gathers any of them by number."""

    def __init__(self, names, attributes, size, fetch, identity=""):
        self.names, self.attributes, self.size, self._fetch = names, attributes, size, fetch
        self.identity = identity  # changes with the faces, so that what was trained on others is noticed

    def __len__(self):
        return len(self.names)

    def batch(self, indices, device="cpu", parts=True):
        """The faces with these numbers as a Batch on `device`; without its parts if nobody looks at them."""
        keys = ("images", "attributes", "parts")[: 3 if parts else 2]
        fetched = self._fetch([int(i) for i in indices], keys, device)
        loaded = {key: value.to(device).float() for key, value in fetched.items()}
        images = (loaded["images"] / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        masks = loaded["parts"] if parts else None
        if masks is not None:
            if masks.shape[-1] < self.size:
                masks = F.interpolate(masks, images.shape[-2:], mode="bilinear")
            masks = masks / masks.sum(1, keepdim=True)
        return Batch(images, masks, loaded["attributes"])


def prepare(profile, split, workers=None):
    """Draw or decode a split once; a second call finds the files and returns. Returns their folder.

    `workers` processes of one thread each (default: one a core). Files are whole or absent, so an interrupted
    call goes on where it was; faces of an older version of the code are made anew.
    """
    where = paths.faces_folder(profile) / split
    faces = source(profile, split)
    identity = {"split": split, **faces.identity()}
    made_by = where / "identity.json"
    if made_by.exists() and json.loads(made_by.read_text()) != identity:
        for file in where.glob("*.safetensors"):
            file.unlink()
        made_by.unlink()
    if not made_by.exists():
        paths.write_text(made_by, json.dumps(identity))
    starts = [s for s in range(0, len(faces.names), CHUNK) if not chunk_file(where, s).exists()]
    workers = min(workers or os.cpu_count() or 1, len(starts))
    if workers > 1:
        with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            jobs = pool.map(_make_chunk, *zip(*[(profile, split, where, s) for s in starts], strict=True))
            list(progress(jobs, f"{profile.name} {split} faces", total=len(starts), unit="file"))
    else:
        for start in progress(starts, f"{profile.name} {split} faces", unit="file"):
            _make_chunk(profile, split, where, start, faces)
    return where


def chunk_file(where, start):
    return where / f"{start:08d}.safetensors"


_source_of_worker = lru_cache(source)  # a worker reads the label files once


def _make_chunk(profile, split, where, start, faces=None):
    faces = faces or _source_of_worker(profile, split)
    images, parts, attributes = faces.load(range(start, min(start + CHUNK, len(faces.names))))
    with paths.replacing(chunk_file(where, start)) as partial:
        tensors = {"images": images, "parts": parts, "attributes": attributes}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)


def open_faces(profile, split):
    """The faces of a split ("train", "validation" or "test"), prepared first if they are not.

    Returns Faces. MagganError if the profile needs photos or masks that are not there.
    """
    faces = source(profile, split)
    identity = hashlib.sha256(json.dumps(faces.identity(), sort_keys=True).encode()).hexdigest()
    if profile.size > LARGEST_KEPT:
        fetch = (_maker if faces.made_on_device else _decoder)(faces)
        return Faces(faces.names, faces.attributes(), faces.size, fetch, identity)
    where = prepare(profile, split)
    chunks = [load_file(chunk_file(where, s)) for s in range(0, len(faces.names), CHUNK)]  # memory-mapped

    def fetch(indices, keys, device):
        rows = [(chunks[i // CHUNK], i % CHUNK) for i in indices]
        return {key: torch.stack([chunk[key][j] for chunk, j in rows]) for key in keys}

    attributes = torch.cat([chunk["attributes"] for chunk in chunks])
    return Faces(faces.names, attributes, profile.size, fetch, identity)


def _decoder(faces):
    """Decode photos and masks as they are needed, side by side: the decoders let other threads run."""
    pool = ThreadPoolExecutor(os.cpu_count())

    def fetch(indices, keys, device):
        loaded = zip(*pool.map(lambda i: faces.load([i]), indices), strict=True)
        return {key: torch.cat(column) for key, column in zip(("images", "parts", "attributes"), loaded, strict=True)}

    return fetch


def _maker(faces):
    """Make faces as they are needed, on the device that they are needed on."""

    def fetch(indices, keys, device):
        return dict(zip(("images", "parts", "attributes"), faces.load(indices, device), strict=True))

    return fetch
