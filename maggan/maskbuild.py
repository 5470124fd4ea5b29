"""Builds the mask store of a folder of photos; run by `python -m maggan.masks build`."""

import fcntl
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from .celeba import CROP_LEFT, CROP_SIZE, CROP_TOP, crop_face, list_photos, open_photo, warn
from .errors import MagganError
from .masks import MASK_SIZE, MaskStore, compress, file_hash, quantise
from .parser import load_parser, parse
from .progress import progress


def build_masks(parser, photos, out, device=None, batch=16, workers=None, strict=False):
    """Parse STGAN's crop of every photo and store the masks, on the crop's own grid; returns the store.

    `parser` is a file of weights, `photos` a folder or zip file of aligned photos, `out` the store's folder. Goes on
    where a killed build stopped. Photos that cannot be read are told in one line each, left out, and named in the
    store's `left_out` until a later build can read them; with `strict` the first one raises MagganError.
    """
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model, photos = load_parser(parser, device), list_photos(photos)
    crop = [CROP_TOP, CROP_LEFT, CROP_SIZE]
    store = MaskStore.create(out, parser=file_hash(parser), input=model.size, crop=crop)
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
            read = [(name, _face_to_parse(store, name, photos[name], strict)) for name in names]
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


def _face_to_parse(store, name, where, strict):
    """STGAN's crop (3, 170, 170) uint8, or None if the photo cannot be read: told in one line, noted in the store."""
    try:
        return crop_face(open_photo(name, where))
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
