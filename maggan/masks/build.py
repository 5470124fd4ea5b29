"""Builds the mask store of a folder of photos; run by `python -m maggan.masks build`."""

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import torch

from ..basics.errors import MagganError
from ..basics.parallel import gathered, launch
from ..basics.progress import progress, warn
from ..celeba.reader import common_size, crop_face, crop_notes, list_photos, open_photo
from ..parser.parser import load_parser, parse
from .coding import MASK_SIZE, compress, quantise
from .store import MaskStore, file_hash


def build_masks(parser, photos, out, device=None, batch=16, workers=None, strict=False, devices=1, nodes=1):
    """Parse the face in every photo and store the masks, on the face's own grid; returns the store.

    `parser` is a file of weights, `photos` a folder or zip file of aligned photos, `out` the store's folder. The face
    is STGAN's crop or all of a square photo (`crop_face`), the same for all of a store. Goes on where a killed build
    stopped. Photos that cannot be read, or are not of the first one's size, are told in one line each, left out, and
    named in the store's `left_out` until a later build can take them; with `strict` the first one raises MagganError.
    `devices` processes on each of `nodes` machines share the photos; the first alone writes, the same files whatever
    their number, and the others return None.
    """
    fabric = launch(device, devices, nodes)
    model, photos = load_parser(parser, fabric.device), list_photos(photos)
    photo_size = common_size(photos, sorted(photos))
    # zlib compresses outside of Python's lock, so threads are enough
    with ExitStack() as held, ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        store, todo = None, None
        if fabric.is_global_zero:
            store = MaskStore.create(out, parser=file_hash(parser), input=model.size, crop=crop_notes(photo_size))
            held.enter_context(_only_writer(store))
            held.enter_context(store)
            todo = sorted(photos.keys() - set(store.names()))
        todo = fabric.broadcast(todo)
        done = len(photos) - len(todo)
        bar = held.enter_context(progress(desc="masks", unit="faces", total=len(photos), initial=done))
        left_out, coming = 0, []
        each_round = batch * fabric.world_size
        for start in [*range(0, len(todo), each_round), None]:  # while a round is compressed the next is parsed
            before, coming = coming, []
            if start is not None:
                mine = start + batch * fabric.global_rank
                some = {name: photos[name] for name in todo[mine : mine + batch]}
                coming = _parsed(model, some, photo_size, strict, pool)
            for share in gathered(fabric, [(name, made and made.result()) for name, made in before]) or ():
                for name, data in share:
                    if data is None:
                        store.leave_out(name)
                        left_out += 1
                    else:
                        store.put(name, data)
                        bar.update()
    if left_out:
        warn(f"{left_out} of {len(photos)} photos left out.")
    return store


def _parsed(model, photos, photo_size, strict, pool):
    """Parse some photos: [(name, its masks being compressed, or None if the photo cannot be used)]."""
    read = {name: _face_to_parse(name, where, photo_size, strict) for name, where in photos.items()}
    faces = {name: face for name, face in read.items() if face is not None}
    made = {}
    if faces:
        parts = parse(model, torch.stack(list(faces.values())).to(next(model.parameters()).device), MASK_SIZE)
        levels = quantise(parts).cpu().numpy()
        made = {name: pool.submit(compress, levels[i]) for i, name in enumerate(faces)}
    return [(name, made.get(name)) for name in read]


def _face_to_parse(name, where, photo_size, strict):
    """The face (3, S, S) uint8, or None if the photo cannot be used, which is told in one line."""
    try:
        return crop_face(open_photo(name, where, photo_size))
    except MagganError as error:
        if strict:
            raise
        warn(f"{error} Left out.")
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
