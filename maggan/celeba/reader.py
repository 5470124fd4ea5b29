"""CelebA: reads the official layout, or any subset of its photos; STGAN's crop and split.

One folder holds `img_align_celeba/` (or the official `img_align_celeba.zip`), `list_attr_celeba.txt` and
`list_eval_partition.txt`, there or in the official subfolders Img, Anno and Eval. Nothing is ever downloaded.

Every profile, 64 px included, uses the same crop of the aligned photo: rows 26 to 195 and columns 3 to 172. Square
photos (CelebA-HQ, or what `align.py` makes) are taken whole. The parser sees the same as the networks do, so its masks
lie on the images' own grid.
"""

import io
import os
import zipfile
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torchvision.transforms import v2

from ..attributes import ATTRIBUTES
from ..basics.errors import MagganError, nearest
from ..basics.progress import warn_once
from ..basics.zips import read_entry

PHOTO_SIZE = (178, 218)  # width, height
CROP_TOP, CROP_LEFT, CROP_SIZE = 26, 3, 170
SMALLEST_SQUARE = 256  # pixels; the parser's masks have no more
# By file number, both ends included: STGAN's split. Its test faces are the official ones.
SPLITS = {"train": (1, 182_000), "validation": (182_001, 182_637), "test": (182_638, 202_599)}
FIRST_OFFICIAL_TEST = SPLITS["test"][0]
SHOWN = 10  # of one kind of problem, this many lines; then their number

WHAT_TO_GET = (
    "get CelebA's img_align_celeba.zip (unpacked or not), list_attr_celeba.txt and list_eval_partition.txt, "
    "put them into one folder, and name it: CELEBA=folder."
)


class CelebA:
    """The faces that are here: photos with a usable row of labels, where the official split agrees with their number.

    Open it with `CelebA.open(folder)`. Safe to use from several threads and processes at once.
    """

    def __init__(self, folder, photos, labels):
        self.folder = folder
        self._photos = photos  # file name -> path, or (zip file, its entry)
        self._labels = labels  # file name -> (13,) uint8
        self._names = sorted(photos.keys() & labels.keys(), key=file_number)

    @classmethod
    def open(cls, folder):
        """Read the label files and list the photos; a full set takes about two seconds.

        Bad rows, photos without a row of labels, and photos whose official split contradicts their number are left
        out, and told once a process: the first few in one line each, then their number. Labelled photos that are not
        here are told in one line: a subset is as good as the whole. Raises MagganError saying what to get if the
        folder or one of its files is missing.
        """
        folder = Path(folder).expanduser()
        if not folder.is_dir():
            raise MagganError(f"{folder}: there is no such folder; {WHAT_TO_GET}")
        labels_file = find_file(folder, "list_attr_celeba.txt", "Anno")
        partition_file = find_file(folder, "list_eval_partition.txt", "Eval")
        photos = list_photos(folder)
        labels, problems = read_attributes(labels_file)
        contradicted, wrong_rows = check_partition(partition_file, photos)
        problems += wrong_rows
        unlabelled = sorted(photos.keys() - labels.keys())
        problems += [f"{name}: no usable row in {labels_file}; left out" for name in unlabelled]
        _report(folder, problems, sorted(labels.keys() - photos.keys()), len(labels))
        faces = cls(folder, {name: photos[name] for name in photos.keys() - contradicted}, labels)
        if not faces._names:
            raise MagganError(f"{folder}: none of its {len(photos)} photos can be used; {WHAT_TO_GET}")
        return faces

    def __len__(self):
        return len(self._names)

    def names(self, split):
        """File names of "train", "validation" or "test", in file order: photos that are here and have labels.

        Raises MagganError naming the split's files if none of them is here.
        """
        if split not in SPLITS:
            raise nearest(split, SPLITS, "split")
        first, last = SPLITS[split]
        names = [name for name in self._names if first <= file_number(name) <= last]
        if not names:
            raise MagganError(
                f"{self.folder}: no photo of the {split} split is here (files {first:06d}.jpg to {last:06d}.jpg); "
                "add some of them."
            )
        return names

    def attributes(self, names):
        """The 13 attributes of the named faces: (N, 13) uint8 of 0 and 1."""
        return torch.from_numpy(np.stack([self._labels[self._known(name)] for name in names]))

    @cached_property
    def photo_size(self):
        """(width, height) of the photos: all are to have that of the first that can be used."""
        return common_size(self._photos, self._names)

    def photo(self, name):
        """The aligned photo, PIL RGB of 178 x 218 or square.

        Raises MagganError naming the file if it is broken or cut short, or not of the size of the others.
        """
        return open_photo(name, self._photos[self._known(name)], self.photo_size)

    def face(self, name, size):
        """The face (`crop_face`) of the photo, resized with antialiased bicubic: (3, size, size) uint8."""
        return resize_face(crop_face(self.photo(name)), size)

    def _known(self, name):
        if name not in self._photos or name not in self._labels:
            raise MagganError(f"{name}: no such photo with labels here.")
        return name


def file_number(name):
    """The number in a photo's file name, as the split takes it: "000123.jpg" -> 123."""
    return int(Path(name).stem)


def crop_face(photo):
    """STGAN's crop of an aligned photo (PIL, 178 x 218): (3, 170, 170) uint8; a square photo whole: (3, S, S)."""
    if is_square(photo.size):
        return v2.functional.pil_to_tensor(photo)
    right, bottom = CROP_LEFT + CROP_SIZE, CROP_TOP + CROP_SIZE
    return v2.functional.pil_to_tensor(photo.crop((CROP_LEFT, CROP_TOP, right, bottom)))


def crop_notes(size):
    """What a store of masks says of the crop of photos of this (width, height): [top, left, side], or "whole"."""
    return "whole" if is_square(size) else [CROP_TOP, CROP_LEFT, CROP_SIZE]


def is_square(size):
    """Whether photos of this (width, height) are squares large enough to be taken whole."""
    return size[0] == size[1] >= SMALLEST_SQUARE


def resize_face(face, size):
    """Antialiased bicubic: (3, H, W) uint8 -> (3, size, size) uint8."""
    return v2.functional.resize(face, [size, size], v2.InterpolationMode.BICUBIC, antialias=True)


def read_attributes(path):
    """The label file: ({file name: (13,) uint8 of 0 and 1}, [problems, one line each]).

    Spacing may be uneven, lines end in CR LF or LF. Raises MagganError if the line of names is not as it should be.
    """
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    columns = lines[1].split() if len(lines) > 1 else []
    absent = [name for name in ATTRIBUTES if name not in columns]
    if absent or not lines[0].strip().isdigit():
        raise MagganError(
            f"{path}: its first line must be a count and its second name the attributes"
            + (f" ({absent[0]} is missing)" if absent else "") + "; get the file again."
        )  # fmt: skip
    chosen = [columns.index(name) for name in ATTRIBUTES]
    labels, problems = {}, []
    for number, line in enumerate(lines[2:], start=3):
        fields = line.split()
        if not fields:
            continue
        name, values = fields[0], fields[1:]
        if len(values) != len(columns) or not set(values) <= {"1", "-1"} or not Path(name).stem.isdigit():
            problems.append(f"{path}, line {number}: bad row ({' '.join(fields)[:40]}); left out")
        elif name in labels:
            problems.append(f"{path}, line {number}: a second row for {name}; left out")
        else:
            labels[name] = np.array([values[i] == "1" for i in chosen], np.uint8)
    rows = len(labels) + len(problems)
    if rows != int(lines[0]):
        problems.append(f"{path}: {rows} rows, but its first line says {int(lines[0])}; is the file cut short?")
    return labels, problems


def check_partition(path, photos):
    """What contradicts the official split file: ({photos it puts on the other side of test}, [problems, a line each]).

    The split itself goes by file number, as STGAN's does; leaving these photos out makes sure that no official test
    face is trained on and none is tested that is not one.
    """
    contradicted, problems = set(), []
    for number, line in enumerate(path.read_text(encoding="ascii", errors="replace").splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2 or fields[1] not in ("0", "1", "2") or not Path(fields[0]).stem.isdigit():
            problems.append(f"{path}, line {number}: bad row ({line.strip()[:40]}); not looked at")
        elif fields[0] in photos and (fields[1] == "2") != (file_number(fields[0]) >= FIRST_OFFICIAL_TEST):
            contradicted.add(fields[0])
            problems.append(f"{path}, line {number}: {fields[0]} is in split {fields[1]}, against its number; left out")
    return contradicted, problems


def _report(folder, problems, missing, labelled):
    """Tell the problems, the first few in full, then how many there are; and how many labelled photos are missing."""
    for problem in problems[:SHOWN]:
        warn_once(problem)
    if problems:
        shown = f"; the first {SHOWN} are told above" if len(problems) > SHOWN else ""
        warn_once(f"{folder}: {len(problems)} problems in the label files{shown}.")
    if missing:
        warn_once(f"{folder}: {len(missing)} of {labelled} labelled photos are not here, {missing[0]} for one.")


def celeba_folder():
    """The folder named by CELEBA, which holds CelebA in its official layout; MagganError where none is named."""
    folder = os.environ.get("CELEBA")
    if not folder:
        raise MagganError(
            "this profile needs CelebA: get img_align_celeba.zip, list_attr_celeba.txt and "
            "list_eval_partition.txt, put them into one folder and name it: make table3 CELEBA=folder"
        )
    return Path(folder).expanduser().absolute()


def find_file(folder, name, subfolder, what=WHAT_TO_GET):
    """The file in the folder or its official subfolder, or MagganError saying what to get."""
    for path in (folder / name, folder / subfolder / name):
        if path.is_file():
            return path
    raise MagganError(f"{folder}: {name} is missing; {what}")


def list_photos(folder, name="img_align_celeba", what=WHAT_TO_GET):
    """Every photo in `folder`, which may be the zip file itself: {file name: path, or (zip file, its entry)}.

    Looks for the folder `name` or `name`.zip in the folder (or its subfolder Img), else for photos in it. Raises
    MagganError saying `what` to get if there is none.
    """
    folder = Path(folder).expanduser()
    for place in (folder / name, folder / "Img" / name, folder):
        archive = place if place.suffix == ".zip" else place.with_suffix(".zip")
        if place.is_dir():
            photos = {path.name: path for path in place.glob("*.jpg") if path.stem.isdigit()}
        elif archive.is_file():
            photos = _zipped_photos(archive)
        else:
            continue
        if photos:
            return photos
    raise MagganError(f"{folder}: neither {name}/ nor {name}.zip is here; {what}")


def _zipped_photos(archive):
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [(Path(entry.filename), entry) for entry in file.infolist()]
    except (zipfile.BadZipFile, OSError) as error:
        raise MagganError(f"{archive}: not a whole zip file ({error}); get it again.") from None
    return {path.name: (archive, entry) for path, entry in entries if path.suffix == ".jpg" and path.stem.isdigit()}


def open_photo(name, where, size=None):
    """One aligned photo of `list_photos`, PIL RGB of 178 x 218 or square with at least 256 px.

    Raises MagganError naming the file if it is broken or cut short, of another kind, or not of the (width, height)
    `size` that the photos beside it have.
    """
    photo = read_photo(name, where)
    if not is_aligned(photo.size):
        raise MagganError(
            f"{_shown(name, where)}: is {photo.width} x {photo.height}; take aligned photos, 178 x 218 "
            f"(img_align_celeba) or square with at least {SMALLEST_SQUARE} px (CelebA-HQ); python -m maggan.align "
            "makes such squares of photos in the wild."
        )
    if size and photo.size != size:
        raise MagganError(
            f"{_shown(name, where)}: is {photo.width} x {photo.height}, others here are {size[0]} x {size[1]}; "
            "keep photos of one size in a folder."
        )
    return photo


def is_aligned(size):
    """Whether a photo of this (width, height) is of a kind that can be used."""
    return size == PHOTO_SIZE or is_square(size)


def common_size(photos, names):
    """(width, height) of the first of these photos that can be used, 178 x 218 if none can."""
    return next(filter(is_aligned, photo_sizes(photos, names)), PHOTO_SIZE)


def photo_sizes(photos, names):
    """(width, height) of those of the named photos of `list_photos` that can be opened, one by one."""
    for name in names:
        try:
            with _opened(name, photos[name]) as photo:
                size = photo.size
        except MagganError:
            continue
        yield size


def read_photo(name, where):
    """One photo of `list_photos`, PIL RGB of any size; MagganError naming the file if it is broken or cut short."""
    with _opened(name, where) as photo:
        photo.load()
        return photo.convert("RGB")


@contextmanager
def _opened(name, where):
    """The photo with nothing but its header read; what goes wrong with it is a MagganError naming the file."""
    try:
        with Image.open(io.BytesIO(read_entry(*where)) if isinstance(where, tuple) else where) as photo:
            yield photo
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else error
        raise MagganError(f"{_shown(name, where)}: not a whole JPEG ({reason}); get the photo again.") from None


def _shown(name, where):
    return f"{where[0]}: {name}" if isinstance(where, tuple) else where
