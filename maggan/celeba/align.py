"""Aligns photos in the wild into squares of 1024 px, as the paper does (section 4), by CelebA-HQ's alignment.

    python -m maggan.align --photos img_celeba --landmarks list_landmarks_celeba.txt --out FOLDER

FOLDER is then a CelebA folder in the official layout (CELEBA=FOLDER): `img_align_celeba/` with JPEGs of quality 95
without chroma subsampling, and the label files beside it. A killed run goes on where it was.

It is the alignment of Karras et al., Progressive growing of GANs (2018), appendix C, without CelebA-HQ's corrections of
single photos, which are encrypted. The blur beyond a photo's edge is Pillow's, three box blurs in place of a Gaussian.
"""

import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import parent_process
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from ..basics.errors import MagganError
from ..basics.paths import replacing
from ..basics.progress import progress, warn
from .reader import PHOTO_SIZE, SMALLEST_SQUARE, find_file, list_photos, photo_sizes, read_photo

POINTS = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
COLUMNS = [f"{point}_{axis}" for point in POINTS for axis in "xy"]
JPEG = {"format": "JPEG", "quality": 95, "subsampling": 0}
JPEG_END = b"\xff\xd9"
LABELS = (("list_attr_celeba.txt", "Anno"), ("list_eval_partition.txt", "Eval"))
CHUNK = 2  # photos that a process takes at once; those taken are finished when the run is interrupted

EYES_OF_ALIGNED = np.array([[69.5, 111.2], [107.6, 111.3]])  # where nearly all of the 178 x 218 photos have them
WHAT_TO_GET = (
    "get CelebA's photos in the wild (img_celeba.7z, unpacked) and list_landmarks_celeba.txt, and name them: "
    "--photos img_celeba --landmarks list_landmarks_celeba.txt."
)


# ---------------------------------------------------------------------------------------------- one photo


def align(photo, landmarks, size=1024):
    """The face upright and centred, PIL RGB of size x size.

    photo      PIL RGB of any size
    landmarks  (5, 2), x and y in pixels of the photo: eyes, nose, corners of the mouth, the left of a pair first, as
               seen in the picture

    Where the square reaches over the photo's edge, the photo is mirrored there, and fades into a blur and then into
    its median colour. Raises MagganError if the landmarks make no sense.
    """
    corners = face_square(landmarks)
    if not (0 <= corners.mean(0)).all() or not (corners.mean(0) <= photo.size).all():
        raise MagganError("its landmarks lie outside of the photo; is this the photo they were made for?")
    return cut_square(
        photo, corners, size, shift=0.5
    )  # that half pixel, and that in `face_square`, are CelebA-HQ's own


def cut_square(photo, corners, size, shift=0.0):
    """What is within `corners` (4, 2), top left, bottom left, bottom right, top right, as PIL RGB of size x size.

    Corners are where pixels end, so that the photo's are 0 and its width; `shift` is added to them once the photo
    has been shrunk or enlarged to about the wanted size.
    """
    photo, corners = _shrink(photo, corners, size)
    border = max(round(0.1 * _side(corners)), 3)  # pixels kept around the square, for the filters' sake
    photo, corners = _cut_out(photo, corners, border)
    photo, corners = _enlarge(photo, corners, size)
    photo, corners = _pad(photo, corners, border)
    quad = tuple((corners + shift).ravel())
    drawn = photo.transform((4 * size, 4 * size), Image.Transform.QUAD, quad, Image.Resampling.BILINEAR)
    return drawn.resize((size, size), Image.Resampling.LANCZOS)


def face_square(landmarks):
    """The square around a face: corners (4, 2) top left, bottom left, bottom right, top right, in the photo's pixels.

    Its axis is the mean of the line through the eyes and of that across the line from eyes to mouth, which makes it
    stable on faces turned aside; its half side is 2 distances of the eyes, or 1.8 of eyes and mouth where that is more.
    """
    left_eye, right_eye, _, left_mouth, right_mouth = np.asarray(landmarks, float)
    eyes, mouth = (left_eye + right_eye) / 2 + 0.5, (left_mouth + right_mouth) / 2 + 0.5
    across, down = right_eye - left_eye, mouth - eyes
    apart, high = np.linalg.norm(across), np.linalg.norm(down)
    x = across - quarter_turn(down)
    # x is as long as both together on a frontal face, and as the longer one where they are at right angles
    if not apart >= 1 or not high >= 1 or np.linalg.norm(x) < max(apart, high) / 2:
        what = "its eyes coincide" if not apart >= 1 else "its eyes and mouth are no face's"
        raise MagganError(f"{what}, by its landmarks; get the landmark file again.")
    x *= max(2.0 * apart, 1.8 * high) / np.linalg.norm(x)
    y, centre = quarter_turn(x), eyes + 0.1 * down
    return np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def quarter_turn(vector):
    return np.array([-vector[1], vector[0]])


def _side(corners):
    return float(np.linalg.norm(corners[3] - corners[0]))


def _bounds(corners, more):
    """Whole pixels that hold the square and `more` around it: left, top, right, bottom."""
    low, high = np.floor(corners.min(0)) - more, np.ceil(corners.max(0)) + more
    return np.concatenate([low, high]).astype(int)


def _shrink(photo, corners, size):
    """A face of several times the wanted size is reduced by a whole factor first."""
    factor = int(_side(corners) / size / 2)
    if factor <= 1:
        return photo, corners
    smaller = tuple(max(round(side / factor), 1) for side in photo.size)
    return photo.resize(smaller, Image.Resampling.LANCZOS), corners / factor


def _cut_out(photo, corners, border):
    """Of the photo only what is in the square or near it."""
    left, top, right, bottom = _bounds(corners, border)
    left, top = max(left, 0), max(top, 0)
    return photo.crop((left, top, min(right, photo.width), min(bottom, photo.height))), corners - (left, top)


def _enlarge(photo, corners, size):
    """A face below the wanted size is brought to it by a power of two ("super-resolution" in CelebA-HQ's terms)."""
    factor = 2 ** int(np.ceil(np.log2(size / _side(corners))))
    if factor <= 1:
        return photo, corners
    return photo.resize((photo.width * factor, photo.height * factor), Image.Resampling.LANCZOS), corners * factor


def _pad(photo, corners, border):
    """Mirror the photo at its edges where the square reaches over them, and blur what was mirrored."""
    left, top, right, bottom = _bounds(corners, border)
    pads = np.maximum([-left, -top, right - photo.width, bottom - photo.height], 0)
    if pads.max() <= border - 4:
        return photo, corners
    left, top, right, bottom = pads = np.maximum(pads, round(0.3 * _side(corners)))
    wide = Image.fromarray(np.pad(np.asarray(photo), ((top, bottom), (left, right), (0, 0)), "reflect"))
    soft, outside = wide.filter(ImageFilter.GaussianBlur(0.02 * _side(corners))), _outside(wide.size, pads)
    channels = []
    for sharp, blurred in zip(wide.split(), soft.split(), strict=True):  # one by one: a third of the memory
        pixels = np.asarray(sharp, np.float32)
        pixels += (np.asarray(blurred) - pixels) * np.clip(3 * outside + 1, 0, 1)
        pixels += (np.median(pixels) - pixels) * np.clip(outside, 0, 1)
        channels.append(Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)))
    return Image.merge("RGB", channels), corners + pads[:2]


def _outside(size, pads):
    """How far out of the photo a pixel is, (H, W): 1 at the padding's own edge, 0 at the photo's, below 0 inside."""
    along = [
        np.minimum(np.arange(side) / before, np.arange(side)[::-1] / after)
        for side, before, after in zip(size, pads[:2], pads[2:], strict=True)
    ]
    return (1 - np.minimum(along[0][None], along[1][:, None])).astype(np.float32)


# ----------------------------------------------------------------------------------------- many photos


def read_landmarks(path):
    """The landmark file of the photos in the wild: {file name: (5, 2) float, x and y in pixels}, points as in `POINTS`.

    Raises MagganError naming the file and line if it is not whole, or is that of the aligned photos.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise MagganError(f"{path}: there is no such file; {WHAT_TO_GET}")
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    if len(lines) < 3 or not lines[0].strip().isdigit() or lines[1].split() != COLUMNS:
        raise MagganError(
            f"{path}: its first line must be a count, its second {COLUMNS[0]} {COLUMNS[1]} ... {COLUMNS[-1]}, and then "
            "a line a photo; get the file again."
        )
    rows = {}
    for number, line in enumerate(lines[2:], start=3):
        if line.strip():
            name, points = _row(path, number, line)
            rows[name] = points
    if len(rows) != int(lines[0]):
        warn(f"{path}: rows of {len(rows)} photos, but its first line says {int(lines[0])}; is the file cut short?")
    eyes = np.stack([points[:2] for points in rows.values()])
    if (np.median(np.abs(eyes - EYES_OF_ALIGNED), 0) < 5).all():
        raise MagganError(f"{path}: has the landmarks of the aligned photos; take list_landmarks_celeba.txt.")
    return rows


def _row(path, number, line):
    name, *values = line.split()
    try:
        points = np.array(values, float)
    except ValueError:
        points = np.array([np.nan])
    if len(points) != len(COLUMNS) or not np.isfinite(points).all():
        raise MagganError(
            f"{path}, line {number}: bad row ({' '.join(line.split())[:40]}), it must have a name and "
            f"{len(COLUMNS)} numbers; get the file again."
        )
    return name, points.reshape(-1, 2)


def align_photos(photos, landmarks, out, size=1024, workers=None):
    """Align every photo that has landmarks into `out`/img_align_celeba; returns how many are there, how many not.

    photos     the photos in the wild: img_celeba/, its folder, or a zip file of them
    landmarks  list_landmarks_celeba.txt
    size       the side of the squares in pixels, at least 256
    workers    processes (default: one a core)

    What is there whole is not made again. Photos that cannot be read or aligned are told in one line each and left
    out. Raises MagganError if nothing is to be done this way: files that are missing or others than asked for.
    """
    if size < SMALLEST_SQUARE:
        raise MagganError(f"a size of {size} px: aligned squares have at least {SMALLEST_SQUARE} px.")
    points, found = read_landmarks(landmarks), list_photos(photos, "img_celeba", WHAT_TO_GET)
    names = sorted(found.keys() & points.keys())
    if not names:
        raise MagganError(f"{landmarks}: has no row for any photo in {photos}, {min(found)} for one; {WHAT_TO_GET}")
    if next(photo_sizes(found, names), None) == PHOTO_SIZE:
        raise MagganError(f"{photos}: its photos are 178 x 218, aligned already; {WHAT_TO_GET}")
    if without := sorted(found.keys() - points.keys()):
        warn(f"{landmarks}: no row for {len(without)} of {len(found)} photos, {without[0]} for one; left out.")
    folder = Path(out).expanduser() / "img_align_celeba"
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    todo = [name for name in names if not _is_whole(folder / name)]
    _check_size(folder, set(names).difference(todo), size)
    jobs = [(name, found[name], points[name], folder / name, size) for name in todo]
    problems = _align_each(jobs, len(names), workers or os.cpu_count())
    aligned = len(names) - problems
    if not aligned:
        raise MagganError(f"{photos}: none of its {len(found)} photos could be aligned, as told above; {WHAT_TO_GET}")
    return aligned, len(found) - aligned


def _align_each(jobs, total, workers):
    """Do the jobs in so many processes; tells what goes wrong, and returns how often it did."""
    problems = 0
    bar = progress(desc="align", unit="photos", total=total, initial=total - len(jobs))
    with bar, _results(jobs, workers) as results:
        for problem in results:
            bar.update()
            if problem:
                problems += 1
                warn(f"{problem} Left out.")
    return problems


@contextmanager
def _results(jobs, workers):
    """What `_align_one` says of each job, in order."""
    if min(workers, len(jobs)) <= 1:
        yield map(_align_one, jobs)
        return
    with ProcessPoolExecutor(min(workers, len(jobs)), initializer=_follow_parent) as pool:
        try:
            yield pool.map(_align_one, jobs, chunksize=CHUNK)
        except BrokenProcessPool:
            raise MagganError(
                "a process was killed, for want of memory perhaps; go on with fewer: --workers."
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _follow_parent():
    """Leave Ctrl-C to the parent, which then waits only for the photos at hand; be gone when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()


def _align_one(job):
    """Align one photo into its file; returns what is wrong with it, in one line, or None."""
    name, where, landmarks, file, size = job
    try:
        photo = read_photo(name, where)
    except MagganError as error:
        return str(error)
    if photo.size == PHOTO_SIZE:
        return f"{name}: is 178 x 218, aligned already; take the photo in the wild."
    try:
        square = align(photo, landmarks, size)
    except MagganError as error:
        return f"{name}: {error}"
    with replacing(file) as partial:
        square.save(partial, **JPEG)
    return None


def _is_whole(file):
    """Whether a JPEG is there up to its end; ours always are, but a copy of them may have been cut short."""
    try:
        with open(file, "rb") as opened:
            opened.seek(-len(JPEG_END), os.SEEK_END)
            return opened.read() == JPEG_END
    except OSError:  # not there, or empty
        return False


def _check_size(folder, here, size):
    """MagganError if the photos that are there already, one of them, are of another size."""
    for name in sorted(here)[:1]:
        is_size = next(photo_sizes({name: folder / name}, [name]), None)
        if is_size != (size, size):
            what = " x ".join(map(str, is_size)) if is_size else "no photo"
            raise MagganError(f"{folder / name}: is {what}, not {size} x {size}; name another folder: --out.")


def _clear(folder):
    """Delete what processes that are gone left half-written. Two runs at once do no harm: they write the same bytes."""
    for left in folder.glob(".*.jpg.*.partial"):
        try:
            os.kill(int(left.name.split(".")[-2]), 0)  # asks only whether the process that `replacing` names is there
        except ProcessLookupError:
            left.unlink(missing_ok=True)
        except PermissionError:
            continue


def copy_labels(labels, out):
    """Copy the label files of the CelebA folder `labels` into `out`; MagganError naming the one that is missing."""
    files = [find_file(Path(labels).expanduser(), *place, "name its folder: --labels.") for place in LABELS]
    for file in files:
        with replacing(Path(out).expanduser() / file.name) as partial:
            partial.write_bytes(file.read_bytes())


def labels_beside(landmarks):
    """The CelebA folder that a landmark file is in, by itself or in the official subfolder."""
    folder = Path(landmarks).expanduser().absolute().parent
    return folder.parent if folder.name == "Anno" else folder
