"""Faces of either world behind one door: images, soft part masks and attributes at the profile's size.

`prepare` draws or decodes each split once, into files of a few hundred faces under runs/<profile>/faces; what
is prepared is kept when interrupted. Faces of 256 px and more would fill a disk (0.7 TB at 1024), so those profiles
decode them, or draw them on the device, as they are needed.
"""

import argparse
import hashlib
import json
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from . import paths
from .attributes import ATTRIBUTES, PARTS
from .dependencies import fingerprint
from .errors import MagganError, cli, nearest
from .profiles import profile as get_profile
from .progress import progress

SPLITS = ("train", "validation", "test")
FIRST_SEED = {"train": 0, "validation": 10_000_000, "test": 20_000_000, "decorrelated": 30_000_000}
CHUNK = 256  # faces a file
LARGEST_KEPT = 128  # pixels
LARGEST_MASKS = 256  # pixels: masks of photos are stored at this size, and enlarged on the device (reading 13)


class Batch(NamedTuple):
    """images (B, 3, S, S) in [-1, 1]; parts (B, 19, S, S) in [0, 1], sum 1, or None; attributes (B, 13) in {0, 1}."""

    images: torch.Tensor
    parts: torch.Tensor | None
    attributes: torch.Tensor


class DrawnSource:
    """Drawn faces of one split, by seed.

    The training faces end in decorrelated ones. With CelebA's rates alone, the short runs of the small
    profiles would hardly meet Bald or Mustache, and a judge would read a beard off the man who wears it.
    """

    def __init__(self, profile, split):
        self.size = profile.size
        self.seeds = [FIRST_SEED[split] + i for i in range(getattr(profile, f"{split}_faces"))]
        if split == "train":
            self.seeds += [FIRST_SEED["decorrelated"] + i for i in range(profile.decorrelated_faces)]
        self.names = [f"drawn-{seed:08d}" for seed in self.seeds]

    def identity(self):
        return {"drawn": fingerprint("drawnfaces"), "faces": len(self.seeds), "size": self.size}

    def load(self, indices, device="cpu"):
        """These faces as uint8 images, uint8 parts and uint8 attributes, drawn on `device`."""
        from .drawnfaces import draw

        loaded, where = [], []
        for decorrelated in (False, True):
            some = [i for i in indices if (self.seeds[i] >= FIRST_SEED["decorrelated"]) == decorrelated]
            if some:
                drawn = draw([self.seeds[i] for i in some], self.size, decorrelated, device)
                images, parts = to_uint8(drawn.images * 0.5 + 0.5), to_uint8(drawn.parts)
                loaded.append((images, parts, drawn.attributes.to(torch.uint8)))
                where += some
        back = torch.tensor([where.index(i) for i in indices], device=device)
        return tuple(torch.cat(column)[back] for column in zip(*loaded, strict=True))

    def attributes(self):
        """The attributes of all faces: (N, 13) uint8."""
        from .drawnlatents import sample

        seeds = torch.tensor(self.seeds)
        each = [sample(some, decorrelated)[0] for decorrelated in (False, True)
                if len(some := seeds[(seeds >= FIRST_SEED["decorrelated"]) == decorrelated])]  # fmt: skip
        return torch.cat(each).to(torch.uint8)


class CelebASource:
    """CelebA photos of one split with their stored masks, by file name."""

    def __init__(self, profile, split):
        from .celeba import CelebA, crop_notes
        from .masks import MaskStore

        self.size = profile.size
        self.celeba = CelebA.open(paths.celeba_folder())
        self.store = MaskStore.open(mask_folder())
        crop = crop_notes(self.celeba.photo_size)
        if self.store.notes.get("crop", crop) != crop:  # the names are the same for photos of either kind
            raise MagganError(
                f"{mask_folder()}: its masks are of photos with another crop than those in {self.celeba.folder}; build "
                f"others: make masks CELEBA={self.celeba.folder} MASKS=another-folder"
            )
        with_masks = set(self.store.names())
        every = self.celeba.names(split)
        self.names = [name for name in every if name in with_masks]
        missing = set(every) - with_masks - set(self.store.left_out)
        if missing:
            raise MagganError(
                f"{mask_folder()}: {len(missing)} of {len(every)} {split} photos have no mask, {min(missing)} for one; "
                f"build the missing ones: rm -f {mask_folder()}/.ready, then make masks CELEBA={paths.celeba_folder()}"
            )

    def identity(self):
        labels = self.celeba.attributes(self.names).numpy().tobytes()
        faces = hashlib.sha256("\n".join(self.names).encode() + labels).hexdigest()
        return {"faces": faces, "size": self.size, "masks": self.store.notes, "code": fingerprint("celeba")}

    def load(self, indices, device="cpu"):
        """These photos as uint8 images, uint8 parts (at most 256 px) and uint8 attributes, on the CPU."""
        names = [self.names[i] for i in indices]
        images = torch.stack([self.celeba.face(name, self.size) for name in names])
        parts = torch.stack([self.store.sized(name, min(self.size, LARGEST_MASKS)) for name in names])
        return images, to_uint8(parts), self.celeba.attributes(names)

    def attributes(self):
        """The attributes of all photos: (N, 13) uint8."""
        return self.celeba.attributes(self.names)


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


def mask_folder():
    """Where the masks of CelebA are stored: MASKS, or runs/masks."""
    return os.environ.get("MASKS") or paths.runs() / "masks"


def to_uint8(values):
    """[0, 1] floats to the nearest of 256 levels."""
    return (values * 255).round().clamp(0, 255).to(torch.uint8)


def source(profile, split):
    """What the faces of a split come from."""
    if split not in SPLITS:
        raise nearest(split, SPLITS, "split")
    return (DrawnSource if profile.world == "drawn" else CelebASource)(profile, split)


def prepare(profile, split, workers=None):
    """Draw or decode a split once; a second call finds the files and returns. Returns their folder.

    `workers` processes of one thread each (default: one a core). Files are whole or absent, so an interrupted
    call goes on where it was; faces of an older version of the code are made anew.
    """
    profile = get_profile(profile)
    where = paths.runs() / profile.name / "faces" / split
    faces = source(profile, split)
    identity = {"split": split, **faces.identity()}
    made_by = where / "identity.json"
    if made_by.exists() and json.loads(made_by.read_text()) != identity:
        for file in where.glob("*.safetensors"):
            file.unlink()
        made_by.unlink()
    if not made_by.exists():
        with paths.replacing(made_by) as partial:
            partial.write_text(json.dumps(identity))
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
    profile = get_profile(profile)
    faces = source(profile, split)
    identity = hashlib.sha256(json.dumps(faces.identity(), sort_keys=True).encode()).hexdigest()
    if profile.size > LARGEST_KEPT:
        fetch = (_drawer if profile.world == "drawn" else _decoder)(faces)
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


def _drawer(faces):
    """Draw faces as they are needed, on the device that they are needed on."""

    def fetch(indices, keys, device):
        return dict(zip(("images", "parts", "attributes"), faces.load(indices, device), strict=True))

    return fetch


def main():
    parser = argparse.ArgumentParser(prog="python -m maggan.data", description="Prepare the faces of a profile.")
    parser.add_argument("profile")
    profile = get_profile(parser.parse_args().profile)
    counts = {split: len(source(profile, split).names) for split in SPLITS}  # an empty split is told before the work
    if profile.size > LARGEST_KEPT:
        how = "drawn" if profile.world == "drawn" else "decoded"
        print(f"{profile.name}: faces are {how} as they are needed, nothing to prepare")
        return
    for split, count in counts.items():
        prepare(profile, split)
        print(f"{split}: {count} faces of {len(ATTRIBUTES)} attributes, {len(PARTS)} parts")


if __name__ == "__main__":
    cli(main)
