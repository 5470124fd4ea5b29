"""Soft 19-part masks of photos, at 256 x 256, in a store: a folder of ordinary zip files.

`coding.py` makes a face's entry (docs/celeba.md has it measured against other formats). A shard's name is
the hash of its bytes, and it appears only once it is whole, so a build may be killed at any time; `index.json` names
the shards, so that none can go unnoticed. `verify()` finds any changed byte and any file that is gone.
"""

import hashlib
import io
import json
import shlex
import zipfile
from pathlib import Path

import torch

from ..attributes import PARTS
from ..basics.errors import MagganError
from ..basics.paths import replacing
from ..basics.progress import progress
from ..basics.zips import read_entry
from .coding import MASK_SIZE, compress, expand, quantise

FORMAT = "maggan masks 2"
INDEX = "index.json"
SUFFIX = ".masks"  # of the entry of a photo, after its name
SHARD_FACES = 256  # about 14 MB a shard; at most these are lost when a build is killed


class MaskStore:
    """The masks of many photos by file name: `store["000001.jpg"]` -> (19, 256, 256) float in [0, 1].

    Every value is within 1/255 of what was stored; the sum over the parts is therefore 1 only to about 0.03, exactly 1
    where one part is certain. It is not normalised, which would break the bound; `sized` is.
    Reading is safe from several threads and processes; one process may write.
    """

    def __init__(self, path, notes, building=False):
        self.path, self.notes = Path(path), notes
        self._key = hashlib.sha256(json.dumps(notes, sort_keys=True).encode()).hexdigest()
        self._entries = {}  # photo's name -> (shard, its entry)
        self._waiting = {}  # photo's name -> compressed masks, until there are enough for a shard
        # The index first: a build that runs meanwhile adds a shard, then its name. So does a killed one, and a shard
        # without its name in the index is as good as any.
        named, self.left_out = self._read_index()  # left_out: names of photos that could not be read
        here = self._shards()
        damaged = [shard.name for shard in here if not self._take_up(shard)]
        self.left_out -= self._entries.keys()
        gone = [] if building else sorted(named - {shard.name for shard in here})  # a build makes them anew
        if damaged or gone:
            told = [f"damaged or foreign: {', '.join(damaged)}"] if damaged else []
            told += [f"gone: {gone[0]}" + (f" and {len(gone) - 1} more" if gone[1:] else "")] if gone else []
            raise MagganError(f"{self.path}: {'; '.join(told)}; {self._repair(damaged)}")

    @classmethod
    def open(cls, path, **expected):
        """Open a store to read; MagganError in one line if it is none, is damaged, or not as expected (parser=hash).

        Only `verify` reads the masks themselves; a damaged one is told by `store[name]` too.
        """
        return cls(*cls._notes(path, expected))

    @classmethod
    def _notes(cls, path, expected):
        """The path and what store.json says, as expected, or MagganError."""
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
        return path, notes

    @classmethod
    def create(cls, path, **notes):
        """Make a store, or go on with one begun with the same `notes` (parser's hash and input size, crop).

        Shards that are gone are no hindrance: their faces are missing, and can be stored again.
        """
        path = Path(path).expanduser()
        if not (path / "store.json").exists():
            with replacing(path / "store.json") as partial:
                partial.write_text(_written({"format": FORMAT, "size": MASK_SIZE, "parts": PARTS} | notes))
        store = cls(*cls._notes(path, notes), building=True)
        if not (path / INDEX).exists():
            store._write_index()
        return store

    def _shards(self):
        return sorted(self.path.glob("masks-*.zip"))

    def _read_index(self):
        """The names of the shards, and of the photos left out, that the index knows; MagganError if it is damaged."""
        path = self.path / INDEX
        try:
            text = path.read_bytes().decode()
            index = json.loads(text)
            if text != _sealed(index["shards"], index["left_out"]):
                raise ValueError("the seal is broken")
            return set(index["shards"]), set(index["left_out"])
        except FileNotFoundError:
            return {INDEX}, set()  # `create` writes it, so it is as gone as a shard may be
        except (OSError, ValueError, KeyError, TypeError):
            raise MagganError(f"{path}: damaged; {self._repair([INDEX])}") from None

    def _write_index(self):
        """Bring the index up to date with the shards, if it is not."""
        shards = {shard.name for shard, _ in self._entries.values()}
        text, path = _sealed(shards, self.left_out), self.path / INDEX
        if not path.exists() or path.read_bytes() != text.encode():
            with replacing(path) as partial:
                partial.write_text(text)

    def _repair(self, damaged):
        """What to do about files of the store that are damaged or gone."""
        files = [shlex.quote(str(self.path / name)) for name in (*damaged, ".ready")]
        return (
            f"to repair it, rm -f {' '.join(files)} and run the same make command again (or python -m maggan.masks "
            "build, with the same parser and photos): only the missing faces are parsed."
        )

    def _take_up(self, shard):
        """Take up the shard's entries; False if it is damaged or made for another store."""
        try:
            with zipfile.ZipFile(shard) as file:
                entries, comment = file.infolist(), file.comment
        except (zipfile.BadZipFile, OSError):
            return False
        self._entries |= {entry.filename.removesuffix(SUFFIX): (shard, entry) for entry in entries}
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
        """Store what `compress` gave."""
        self._waiting[name] = data
        self.left_out.discard(name)
        if len(self._waiting) >= SHARD_FACES:
            self.flush()

    def leave_out(self, name):
        """Note that a photo cannot have masks, as it cannot be read; on the disk at the next `flush`."""
        self.left_out.add(name)

    def flush(self):
        """Write what waits as one more shard, which takes its name only when it is whole on the disk, and the index."""
        if self._waiting:
            self._write_shard()
        self._write_index()

    def _write_shard(self):
        shard = io.BytesIO()
        with zipfile.ZipFile(shard, "w", zipfile.ZIP_STORED) as file:
            file.comment = self._key.encode()
            for name, data in self._waiting.items():
                file.writestr(zipfile.ZipInfo(f"{name}{SUFFIX}"), data)  # a fixed date: same masks, same bytes
        path = self.path / f"masks-{_digest(shard.getvalue())}.zip"
        with replacing(path) as partial:
            partial.write_bytes(shard.getvalue())
        self._take_up(path)
        self._waiting = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.flush()

    @property
    def bytes(self):
        """How many bytes the masks on the disk take."""
        return sum(entry.compress_size for _, entry in self._entries.values())

    def verify(self):
        """Read every byte: a list of what is damaged or gone, one line each with what to do; empty if all is whole.

        What is so damaged that the store cannot even list it is told by `open`.
        """
        problems = []
        if (self.path / "store.json").read_bytes() != _written(self.notes).encode():
            problems.append(f"{self.path / 'store.json'}: changed by hand or damaged; build the masks again.")
        try:
            named, _ = self._read_index()
        except MagganError as error:
            named = set()
            problems.append(str(error))
        named |= {shard.name for shard in self._shards()} | {shard.name for shard, _ in self._entries.values()}
        for name in progress(sorted(named), desc="verifying"):
            file = self.path / name
            if not file.is_file():
                problems.append(f"{file}: is gone; {self._repair([])}")
            elif name != f"masks-{_digest(file.read_bytes())}.zip":
                problems.append(f"{file}: damaged; {self._repair([name])}")
        return problems


def _written(notes):
    return json.dumps(notes, indent=1) + "\n"


def _sealed(shards, left_out):
    """The index's text; the hash in it betrays any change."""
    index = {"shards": sorted(shards), "left_out": sorted(left_out)}
    return _written(index | {"sha256": hashlib.sha256(_written(index).encode()).hexdigest()})


def _digest(data):
    return hashlib.sha256(data).hexdigest()[:24]


def file_hash(path):
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
