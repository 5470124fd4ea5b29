"""Soft 19-part masks of photos, at 256 x 256, in a store: a folder of ordinary zip files of lossless WebP pictures.

    python -m maggan.masks build --parser parser.safetensors --photos FOLDER --out STORE
    python -m maggan.masks verify --store STORE

`benchmarks/mask_formats.py` measures this format against others. Each face is one picture: the 19 maps in its three
channels, seven below each other in each. A shard's name is the hash of its bytes, and it appears only once it is whole,
so a build may be killed at any time, and `verify()` finds any changed byte.
"""

import argparse
import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .attributes import PARTS
from .celeba import warn
from .errors import MagganError, cli
from .paths import replacing
from .progress import progress
from .zips import read_entry

MASK_SIZE = 256  # as in section 4 of the paper
FORMAT = "maggan masks 1"
TILES = 7  # maps below each other in each of the three channels: 21 places for 19 maps
SHARD_FACES = 256  # about 10 MB a shard; at most these are lost when a build is killed


def quantise(parts):
    """Probabilities to levels of 2/255: parts (..., 19, H, W) in [0, 1] -> uint8, 0 to 128.

    Level k stands for min(2k/255, 1), so no probability is off by more than 1/255, what is certain stays certain, and
    what is below 1/255 becomes an exact 0.
    """
    levels = (parts * 127.5).round()
    return torch.where(parts > 254.5 / 255, 128, levels).to(torch.uint8)


def compress(levels):
    """Levels (19, 256, 256) uint8 as one lossless WebP picture of 256 x 1792, in bytes."""
    places = np.zeros((3 * TILES, MASK_SIZE, MASK_SIZE), np.uint8)
    places[: len(PARTS)] = levels
    picture = places.reshape(3, TILES * MASK_SIZE, MASK_SIZE).transpose(1, 2, 0)
    data = io.BytesIO()
    # For lossless pictures quality is effort. On a vague parser's masks, method 2 at 20 took half the time for 22 %
    # more bytes, method 4 at 50 a quarter more time for 1 % less.
    Image.fromarray(np.ascontiguousarray(picture)).save(data, "WEBP", lossless=True, quality=30, method=3)
    return data.getvalue()


def expand(data):
    """The inverse of `compress` and `quantise`: (19, 256, 256) float in [0, 1]."""
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))  # (7 * 256, 256, 3)
    levels = picture.transpose(2, 0, 1).reshape(3 * TILES, MASK_SIZE, MASK_SIZE)[: len(PARTS)]
    return (torch.from_numpy(levels.copy()) * (2 / 255)).clamp(max=1)


class MaskStore:
    """The masks of many photos by file name: `store["000001.jpg"]` -> (19, 256, 256) float in [0, 1].

    Every value is within 1/255 of what was stored; the sum over the parts is therefore 1 only to about 0.03, exactly 1
    where one part is certain. It is not normalised, which would break the bound; `sized` is.
    Reading is safe from several threads and processes; one process may write.
    """

    def __init__(self, path, notes):
        self.path, self.notes = Path(path), notes
        self._key = hashlib.sha256(json.dumps(notes, sort_keys=True).encode()).hexdigest()
        self._entries = {}  # photo's name -> (shard, its entry)
        self._waiting = {}  # photo's name -> picture, until there are enough for a shard
        damaged = [shard.name for shard in self._shards() if not self._index(shard)]
        if damaged:
            raise MagganError(
                f"{self.path}: damaged or foreign: {', '.join(damaged)}; delete this and build again to make it anew."
            )

    @classmethod
    def open(cls, path, **expected):
        """Open a store to read; MagganError in one line if it is none, is damaged, or not as expected (parser=hash)."""
        path = Path(path).expanduser()
        try:
            notes = json.loads((path / "store.json").read_text())
            known = notes["format"] == FORMAT and tuple(notes["parts"]) == PARTS and notes["size"] == MASK_SIZE
        except FileNotFoundError:
            raise MagganError(f"{path}: no masks here; build them: python -m maggan.masks build --out {path}") from None
        except (OSError, ValueError, KeyError, TypeError):
            raise MagganError(f"{path / 'store.json'}: damaged; delete {path} and build the masks again.") from None
        if not known:
            raise MagganError(f"{path}: not this version's masks (other format, size or parts); build them again.")
        for name, value in expected.items():
            if notes.get(name) != value:
                raise MagganError(f"{path}: its masks were made with another {name}; build them into another folder.")
        return cls(path, notes)

    @classmethod
    def create(cls, path, **notes):
        """Make a store, or go on with one begun with the same `notes` (parser's hash and input size, crop)."""
        path = Path(path).expanduser()
        if not (path / "store.json").exists():
            with replacing(path / "store.json") as partial:
                partial.write_text(_written({"format": FORMAT, "size": MASK_SIZE, "parts": PARTS} | notes))
        return cls.open(path, **notes)

    def _shards(self):
        return sorted(self.path.glob("masks-*.zip"))

    def _index(self, shard):
        """Take up the shard's entries; False if it is damaged or made for another store."""
        try:
            with zipfile.ZipFile(shard) as file:
                entries, comment = file.infolist(), file.comment
        except (zipfile.BadZipFile, OSError):
            return False
        self._entries |= {entry.filename.removesuffix(".webp"): (shard, entry) for entry in entries}
        return comment.decode(errors="replace") == self._key

    def names(self):
        """The photos' file names, sorted."""
        return sorted(self._entries.keys() | self._waiting.keys())

    def __len__(self):
        return len(self.names())

    def __contains__(self, name):
        return name in self._entries or name in self._waiting

    def __getitem__(self, name):
        if name in self._waiting:
            return expand(self._waiting[name])
        if name not in self._entries:
            raise MagganError(f"{self.path}: has no masks of {name}; build them: python -m maggan.masks build")
        return expand(read_entry(*self._entries[name]))

    def sized(self, name, size):
        """The masks at any size, summing to 1: (19, size, size) in [0, 1].

        Averaged over areas below 256, bilinear above (as the paper's 512 and 1024 px need).
        """
        parts = self[name][None]
        if size < MASK_SIZE:
            parts = torch.nn.functional.interpolate(parts, size=(size, size), mode="area")
        elif size > MASK_SIZE:
            parts = torch.nn.functional.interpolate(parts, size=(size, size), mode="bilinear")
        return (parts / parts.sum(1, keepdim=True))[0]

    def __setitem__(self, name, parts):
        """Store parts (19, 256, 256) in [0, 1]; on the disk once a shard is full or `flush` is called."""
        if tuple(parts.shape) != (len(PARTS), MASK_SIZE, MASK_SIZE):
            raise MagganError(f"{name}: masks must be 19 x 256 x 256, not {' x '.join(map(str, parts.shape))}.")
        self.put(name, compress(quantise(parts).cpu().numpy()))

    def put(self, name, data):
        """Store a compressed picture of `compress`."""
        self._waiting[name] = data
        if len(self._waiting) >= SHARD_FACES:
            self.flush()

    def flush(self):
        """Write what waits as one more shard, which takes its name only when it is whole on the disk."""
        if not self._waiting:
            return
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as file:
            file.comment = self._key.encode()
            for name, picture in self._waiting.items():
                file.writestr(zipfile.ZipInfo(f"{name}.webp"), picture)  # a fixed date: same masks, same bytes
        shard = self.path / f"masks-{_digest(data.getvalue())}.zip"
        with replacing(shard) as partial:
            partial.write_bytes(data.getvalue())
        self._index(shard)
        self._waiting = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.flush()

    def verify(self):
        """Read every byte: a list of what is damaged, one line each; empty if all is whole.

        What is so damaged that the store cannot even list it is told by `open`.
        """
        problems = []
        if (self.path / "store.json").read_text() != _written(self.notes):
            problems.append(f"{self.path / 'store.json'}: changed by hand or damaged; build the masks again.")
        shards = sorted({shard for shard, _ in self._entries.values()})
        for shard in progress(shards, desc="verifying"):
            if not shard.is_file():
                problems.append(f"{shard}: is gone; build again to make it anew.")
            elif shard.name != f"masks-{_digest(shard.read_bytes())}.zip":
                problems.append(f"{shard}: damaged; delete it and build again to make it anew.")
        return problems


def _written(notes):
    return json.dumps(notes, indent=1) + "\n"


def _digest(data):
    return hashlib.sha256(data).hexdigest()[:24]


def file_hash(path):
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m maggan.masks", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="parse photos and store their masks; goes on where it was")
    build.add_argument("--parser", required=True, help="our weights, or the published 79999_iter.pth")
    build.add_argument("--photos", required=True, help="aligned CelebA photos: a folder, or img_align_celeba.zip")
    build.add_argument("--out", required=True, help="the store's folder")
    build.add_argument("--device")
    build.add_argument("--batch", type=int, default=16)
    build.add_argument("--workers", type=int, help="threads that compress (default: one a core)")
    verify = commands.add_parser("verify", help="read every byte and tell what is damaged")
    verify.add_argument("--store", required=True)
    options = vars(parser.parse_args(arguments))
    if options.pop("command") == "build":
        from .maskbuild import build_masks  # which itself stands on this module

        store = build_masks(options.pop("parser"), **options)
    else:
        store = MaskStore.open(options["store"])
        problems = store.verify()
        for problem in problems:
            warn(problem)
        if problems:
            raise MagganError(f"{store.path}: {len(problems)} damaged.")
    size = sum(entry.compress_size for _, entry in store._entries.values())
    print(f"{store.path}: masks of {len(store)} faces, {size / max(1, len(store)) / 1000:.1f} KB a face, whole.")


if __name__ == "__main__":
    cli(main)
