"""Reads single entries of zip files, from any thread or process, without keeping them open."""

import struct
import zipfile
import zlib

from .errors import MagganError


def read_entry(path, entry):
    """The bytes of an entry (a ZipInfo from the file's directory); MagganError naming both if they are damaged.

    `zipfile` itself would read the whole directory again at each opening (202,599 entries for CelebA), or share one
    file position between forked processes.
    """
    try:
        with open(path, "rb") as file:
            file.seek(entry.header_offset)
            header = struct.unpack("<4s5H3I2H", file.read(30))
            file.seek(header[-2] + header[-1], 1)  # the entry's name, and its extra field
            data = file.read(entry.compress_size)
        if entry.compress_type == zipfile.ZIP_DEFLATED:
            data = zlib.decompress(data, -15)
        whole = header[0] == b"PK\x03\x04" and zlib.crc32(data) == entry.CRC
    except (OSError, struct.error, zlib.error) as error:
        raise MagganError(f"{path}: {entry.filename} cannot be read ({error}); get or build the file again.") from None
    if not whole:
        raise MagganError(f"{path}: {entry.filename} is damaged; get or build the file again.")
    return data
