"""Builds the mask store of a folder of photos; run by `python -m maggan.masks build`."""

import fcntl
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from .celeba import common_size, crop_face, crop_notes, list_photos, open_photo, warn
from .errors import MagganError
from .masks import MASK_SIZE, MaskStore, compress, file_hash, quantise
from .parser import load_parser, parse
from .progress import progress


def build_masks(parser, photos, out, device=None, batch=16, workers=None, strict=False):
    """Parse the face in every photo and store the masks, on the face's own grid; returns the store.

    `parser` is a file of weights, `photos` a folder or zip file of aligned photos, `out` the store's folder. The face
    is STGAN's crop or all of a square photo (`crop_face`), the same for all of a store. Goes on where a killed build
    stopped. Photos that cannot be read, or are not of the first one's size, are told in one line each, left out, and
    named in the store's `left_out` until a later build can take them; with `strict` the first one raises MagganError.
    """
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model, photos = load_parser(parser, device), list_photos(photos)
    photo_size = common_size(photos, sorted(photos))
    store = MaskStore.create(out, parser=file_hash(parser), input=model.size, crop=crop_notes(photo_size))
    todo = sorted(photos.keys() - set(store.names()))
    left_out = 0
    # WebP is compressed outside of Python's lock, so threads are enough, and this one thread writes.
    with (
        _only_writer(store),
        store,
        ThreadPoolExecutor(workers or os.cpu_count()) as pool,
        progress(desc="masks", unit="faces", total=len(photos), initial=len(photos) - len(todo)) as bar,
    ):
        waiting = deque()
        for start in range(0, len(todo), batch):
            names = todo[start : start + batch]
            read = [(name, _face_to_parse(store, name, photos[name], photo_size, strict)) for name in names]
            faces = [(name, face) for name, face in read if face is not None]
            left_out += len(names) - len(faces)
            if faces:
                parts = parse(model, torch.stack([face for _, face in faces]).to(device), MASK_SIZE)
                levels = quantise(parts).cpu().numpy()
                waiting.extend((faces[i][0], pool.submit(compress, levels[i])) for i in range(len(faces)))
            while waiting and (len(waiting) > 4 * batch or start + batch >= len(todo)):
                name, picture = waiting.popleft()
                store.put(name, picture.result())
                bar.update()
    if left_out:
        warn(f"{left_out} of {len(photos)} photos left out.")
    return store


def _face_to_parse(store, name, where, photo_size, strict):
    """The face (3, S, S) uint8, or None if the photo cannot be used: told in one line, noted in the store."""
    try:
        return crop_face(open_photo(name, where, photo_size))
    except MagganError as error:
        if strict:
            raise
        warn(f"{error} Left out.")
        store.leave_out(name)
        return None


@contextmanager
def _only_writer(store):
    """Hold the store for one build; what a killed one left half-written is cleared. MagganError if another has it."""
    with open(store.path / "store.json") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MagganError(f"{store.path}: another build is writing here; wait for it.") from None
        for left in store.path.glob(".*.partial"):
            left.unlink()
        yield
