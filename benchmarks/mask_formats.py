"""Which format to store soft masks in: bytes a face, CPU milliseconds to write and to read one.

    python benchmarks/mask_formats.py --parser parser.safetensors --photos FOLDER --faces 24

Every format stores the same levels (`maggan.maskbytes.quantise`: steps of 2/255, so at most 1/255 off), once of the
parser's output as it is, and once of sharp masks: its most likely part at each pixel, softened by 1.5 pixels.
Formats whose package is not installed are left out (zarr, lmdb, h5py are no requirement of the package).
"""

import argparse
import io
import sqlite3
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from maggan.celeba.reader import crop_face, list_photos, open_photo
from maggan.masks.coding import MASK_SIZE, compress, decompress, quantise
from maggan.parser.parser import load_parser, parse

SHAPE = (19, MASK_SIZE, MASK_SIZE)


def webp(method, quality):
    """Lossless WebP of the 19 maps below each other, in grey."""

    def save(levels):
        data = io.BytesIO()
        picture = Image.fromarray(levels.reshape(-1, MASK_SIZE))
        picture.save(data, "WEBP", lossless=True, method=method, quality=quality)
        return data.getvalue()

    return save


def webp_in_colour(levels):
    """Lossless WebP of the 19 maps in three channels, seven below each other in each."""
    places = np.zeros((21, MASK_SIZE, MASK_SIZE), np.uint8)
    places[:19] = levels
    data = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(places.reshape(3, -1, MASK_SIZE).transpose(1, 2, 0)))
    picture.save(data, "WEBP", lossless=True, quality=30, method=3)
    return data.getvalue()


def of_colour(data):
    return np.asarray(Image.open(io.BytesIO(data))).transpose(2, 0, 1).reshape(21, MASK_SIZE, MASK_SIZE)[:19].copy()


def png(levels):
    data = io.BytesIO()
    Image.fromarray(levels.reshape(-1, MASK_SIZE)).save(data, "PNG", optimize=True)
    return data.getvalue()


def grey(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("L")).reshape(SHAPE)


def in_sqlite(save, load):
    """One row a face in SQLite, all committed at the end."""

    def write(folder, faces):
        with sqlite3.connect(folder / "masks.sqlite") as base:
            base.execute("create table masks (name text primary key, data blob)")
            for i, levels in enumerate(faces):
                base.execute("insert into masks values (?, ?)", (f"{i:06d}.jpg", save(levels)))
        return lambda i: load(base.execute("select data from masks where name = ?", (f"{i:06d}.jpg",)).fetchone()[0])

    return write


def in_zip(save, load):
    """One entry a face in a zip file without further compression."""

    def write(folder, faces):
        with zipfile.ZipFile(folder / "masks.zip", "w") as file:
            for i, levels in enumerate(faces):
                file.writestr(f"{i:06d}", save(levels))
        file = zipfile.ZipFile(folder / "masks.zip")
        return lambda i: load(file.read(f"{i:06d}"))

    return write


def in_lmdb(save, load):
    def write(folder, faces):
        import lmdb

        base = lmdb.open(str(folder), map_size=2**28)
        with base.begin(write=True) as batch:
            for i, levels in enumerate(faces):
                batch.put(f"{i:06d}.jpg".encode(), save(levels))

        def read(i):
            with base.begin() as look:
                return load(look.get(f"{i:06d}.jpg".encode()))

        return read

    return write


def in_zarr(codecs):
    """One chunk a face in one shard of a zarr v3 array."""

    def write(folder, faces):
        import zarr

        shape = (len(faces), *SHAPE)
        array = zarr.create_array(
            folder, shape=shape, chunks=(1, *SHAPE), shards=shape, dtype="uint8", compressors=codecs(zarr)
        )
        array[:] = np.stack(faces)
        return lambda i: array[i]

    return write


def in_hdf5(folder, faces):
    import h5py

    with h5py.File(folder / "masks.h5", "w") as file:
        file.create_dataset(
            "masks", data=np.stack(faces), chunks=(1, *SHAPE), compression="gzip", compression_opts=6, shuffle=True
        )
    file = h5py.File(folder / "masks.h5")
    return lambda i: file["masks"][i]


def blosc(zarr):
    return zarr.codecs.BloscCodec(cname="zstd", clevel=9, shuffle="bitshuffle", typesize=1)


FORMATS = {
    "zip, bits and differences (ours)": in_zip(compress, decompress),
    "SQLite, bits and differences": in_sqlite(compress, decompress),
    "LMDB, bits and differences": in_lmdb(compress, decompress),
    "zip, WebP in 3 channels": in_zip(webp_in_colour, of_colour),
    "SQLite, grey WebP, fast": in_sqlite(webp(2, 20), grey),
    "SQLite, grey WebP, slow": in_sqlite(webp(4, 50), grey),
    "SQLite, PNG": in_sqlite(png, grey),
    "zarr 3 sharded, zstd 3": in_zarr(lambda zarr: zarr.codecs.ZstdCodec(level=3)),
    "zarr 3 sharded, zstd 19": in_zarr(lambda zarr: zarr.codecs.ZstdCodec(level=19)),
    "zarr 3 sharded, bitshuffle, zstd 9": in_zarr(blosc),
    "HDF5, shuffle, gzip 6": in_hdf5,
}


def measure(write, faces):
    """(kilobytes a face on the disk, ms to write one, ms to read one at random)."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        start = time.process_time()
        read = write(folder, faces)
        written = time.process_time()
        read(0)  # the first time opens the file
        order = np.random.default_rng(0).permutation(len(faces))
        same = [np.array_equal(read(i), faces[i]) for i in order]
        ended = time.process_time()
        if not all(same):
            raise AssertionError("a format gave back other masks than it was given")
        size = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
    return size / len(faces) / 1000, 1000 * (written - start) / len(faces), 1000 * (ended - written) / len(faces)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--parser", required=True)
    options.add_argument("--photos", required=True)
    options.add_argument("--faces", type=int, default=24)
    options = options.parse_args()
    torch.set_num_threads(1)
    parser, photos = load_parser(options.parser), list_photos(options.photos)
    chosen = sorted(photos)[:: max(1, len(photos) // options.faces)][: options.faces]
    soft = torch.cat([parse(parser, crop_face(open_photo(name, photos[name]))[None]) for name in chosen])
    sharp = torch.nn.functional.one_hot(soft.argmax(1), 19).permute(0, 3, 1, 2).float()
    sharp = v2.functional.gaussian_blur(sharp, [9, 9], [1.5, 1.5])
    print(f"{len(chosen)} faces; the most likely part has a mean probability of {soft.amax(1).mean():.3f}")
    print("| format | parser's: KB a face | ms write | ms read | sharp: KB a face | ms write | ms read |")
    print("|---|---|---|---|---|---|---|")
    for name, write in FORMATS.items():
        try:
            cells = [*measure(write, list(quantise(soft).numpy())), *measure(write, list(quantise(sharp).numpy()))]
        except ImportError as error:
            print(f"| {name} | {error} |")
            continue
        print(f"| {name} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
