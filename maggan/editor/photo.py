"""One's own photo: read what was handed over, find the eyes, cut the face out upright, put its edit back."""

import io
import math
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..basics.errors import MagganError
from ..celeba.align import EYES_OF_ALIGNED, cut_square, face_square, quarter_turn
from ..celeba.reader import CROP_LEFT, CROP_SIZE, CROP_TOP

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # none that runs a program, as EPS does
SMALLEST, LARGEST = 32, 25_000_000  # pixels of a side, pixels in all
LARGEST_FILE = 100_000_000  # bytes
STRIP = 256  # rows of a photo that are edited at a time, so that memory does not grow with it
FEATHER = 0.12  # of the square's side, over which an edit fades out
MOUTH = 1.08  # how far the mouth is below the eyes, in distances of the eyes, on CelebA's aligned photos
DETECTION = 640  # pixels of the longer side, in which faces are looked for
FIRST_EYE = "the one on the left when the face is upright"  # of two eyes
APART = 0.2  # of a face's width, that its eyes are apart at least


# ------------------------------------------------------------------------------------------ reading it


def read_upload(data, name="the picture"):
    """A picture from anywhere: bytes -> PIL RGB, upright as its EXIF data say, transparency on white.

    Of an animation the first picture counts; 16 bits a channel become 8. Raises MagganError in one sentence for what
    is no picture, is cut short, or is smaller or larger than can be edited. `name` is only shown.
    """
    shown = "".join(c for c in Path(str(name).replace("\\", "/")).name if c.isprintable())[:60] or "the picture"
    if not data:
        raise MagganError(f"{shown}: is empty; choose a JPEG or PNG picture.")
    if len(data) > LARGEST_FILE:
        raise MagganError(f"{shown}: has {len(data) / 1e6:.0f} MB, {LARGEST_FILE / 1e6:.0f} at most; make it smaller.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's on sizes, which are looked at here, and on odd metadata
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                _check_size(picture.size, shown)
                picture.load()
                return upright(picture, shown)
    except MagganError:
        raise
    except UnidentifiedImageError:
        raise MagganError(f"{shown}: is no picture that can be read; choose a JPEG or PNG picture.") from None
    except Image.DecompressionBombError:
        raise MagganError(f"{shown}: is far too large; {LARGEST / 1e6:.0f} million pixels at most.") from None
    except Exception as error:  # decoders raise all kinds of errors on damaged bytes
        reason = str(error).strip().split("\n")[0][:80]
        raise MagganError(f"{shown}: is damaged or cut short ({reason}); choose another file.") from None


def _check_size(size, shown):
    if min(size) < SMALLEST:
        raise MagganError(f"{shown}: is {size[0]} x {size[1]} pixels; a side needs {SMALLEST} at least.")
    if size[0] * size[1] > LARGEST:
        raise MagganError(f"{shown}: is {size[0]} x {size[1]}; {LARGEST / 1e6:.0f} million pixels at most.")


def upright(picture, name="the picture"):
    """A PIL image of any mode as PIL RGB, upright as its EXIF data say, transparency on white, 16 bits as 8.

    Of all that came with it, only the colour profile of an RGB picture is kept, in `info["icc_profile"]`: that of
    another mode says nothing about the RGB made of it. Raises MagganError for floating-point levels.
    """
    if picture.mode == "F":
        raise MagganError(f"{name}: has floating-point levels; save it with 8 or 16 bits a channel.")
    profile = picture.info.get("icc_profile") or b""
    known = picture.mode in ("RGB", "RGBA", "P", "PA") and profile[16:20] == b"RGB "  # the profile's own word on it
    made = _as_rgb(ImageOps.exif_transpose(picture))
    made.info = {"icc_profile": profile} if known else {}
    return made


def _as_rgb(picture):
    if picture.mode.startswith("I"):  # 16 bits, which Pillow's own conversion would cut off at 255
        levels = np.asarray(picture).astype(np.int64)
        levels >>= 8 if levels.max() > 255 else 0  # some write 8 bits so
        return Image.fromarray(levels.clip(0, 255).astype(np.uint8)).convert("RGB")
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


# ---------------------------------------------------------------------------------------- finding the face


class NoEyesError(MagganError):
    """Nobody has said where the eyes are in a photo, and they were not found; `reason` is why."""

    def __init__(self, reason):
        self.reason = reason
        ask = "say where the eyes are, in pixels: --eyes X,Y,X,Y (in Python eyes=((x, y), (x, y)))"
        super().__init__(f"{reason}; {ask}, first {FIRST_EYE}.")


def find_eyes(photo):
    """The eyes of the largest face, ((x, y), (x, y)) in the photo's pixels, the one on the viewer's left first.

    By OpenCV's cascades, which come in its package. Raises NoEyesError where they cannot be found, or OpenCV is not
    installed.
    """
    try:  # here, for drawn faces need no OpenCV
        import cv2
    except ImportError:
        raise NoEyesError("finding eyes takes OpenCV (in the checkout: pip install '.[photos]')") from None
    scale = min(1, DETECTION / max(photo.size))
    small = photo.convert("L").resize([max(1, round(side * scale)) for side in photo.size], Image.Resampling.LANCZOS)
    grey = cv2.equalizeHist(np.asarray(small))
    faces = _cascade(cv2, "frontalface_alt2").detectMultiScale(grey, 1.1, 3)
    if not len(faces):
        raise NoEyesError("no face found that looks at the camera")
    box = max(faces, key=lambda face: face[2])
    for kind in ("eye_tree_eyeglasses", "eye"):
        eyes = [_eye(_cascade(cv2, kind), grey, box, side) for side in (0, 1)]
        # a detector that sees one eye twice has not found both
        if None not in eyes and math.dist(*eyes) >= APART * box[2]:
            return tuple((x / scale, y / scale) for x, y in eyes)
    raise NoEyesError("a face was found, but not both of its eyes")


def _cascade(cv2, kind):
    return cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_{kind}.xml")


def _eye(cascade, grey, box, side):
    """The surest eye in one half (0 left, 1 right) of the upper half of a face, (x, y), or None."""
    left, top, width, height = (int(value) for value in box)
    left, top = left + int(0.45 * width) * side, top + int(0.15 * height)
    half = grey[top : top + int(0.45 * height), left : left + int(0.55 * width)]
    smallest = (int(0.12 * width),) * 2
    found, _, sure = cascade.detectMultiScale3(half, 1.05, 2, minSize=smallest, outputRejectLevels=True)
    if not len(found):
        return None
    x, y, w, h = (int(value) for value in found[int(np.argmax(sure))])
    return left + x + w / 2, top + y + h / 2


def checked_eyes(eyes, size):
    """Two eyes, [[x, y], [x, y]], in a photo of `size` (width, height), as an array (2, 2).

    The first is the one on the left when the face is upright, wherever it is in the photo. Raises MagganError for what
    is not two places in the photo.
    """
    try:
        points = np.asarray(eyes, float)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.shape != (2, 2):
        raise MagganError(f"the eyes are two places in the photo's pixels, ((x, y), (x, y)), not {str(eyes)[:60]}.")
    if not (points >= 0).all() or not (points < size).all():
        raise MagganError(f"the eyes are outside of the photo, which is {size[0]} x {size[1]} pixels.")
    return points


def upside_down(eyes):
    """Whether a face with these eyes is turned by more than a right angle: then they may be the wrong way round."""
    left, right = eyes
    return bool(right[0] < left[0])


def face_corners(eyes, size):
    """The square around a face, as a model of `size` pixels knows faces, from its eyes alone.

    Up to 256 px as STGAN crops the 178 x 218 photos, above as CelebA-HQ's squares (with the mouth where it mostly
    is). Returns corners (4, 2) top left, bottom left, bottom right, top right, as `align.cut_square` takes them.
    Raises MagganError for eyes that make no face.
    """
    left, right = np.asarray(eyes, float).reshape(2, 2)
    across = right - left
    if not np.isfinite(across).all() or np.linalg.norm(across) < 4:
        raise MagganError(f"the two eyes are on one spot; name them apart, first {FIRST_EYE}.")
    if size > 256:
        mouth = (left + right) / 2 + MOUTH * quarter_turn(across)
        return face_square([left, right, mouth, mouth, mouth])
    at_left, at_right = EYES_OF_ALIGNED  # numbers of pixels, whose middles are half a pixel further
    near, far = np.array([CROP_LEFT, CROP_TOP]), np.array([CROP_LEFT, CROP_TOP]) + CROP_SIZE
    crop = np.array([near, (near[0], far[1]), far, (far[0], near[1])]) - (at_left + at_right) / 2 - 0.5
    x = across / np.linalg.norm(at_right - at_left)
    return (left + right) / 2 + 0.5 + crop @ np.stack([x, quarter_turn(x)])


def cut_face(photo, eyes, size):
    """The face upright in a square of `size` pixels, PIL RGB, and its corners (4, 2) in the photo.

    Raises MagganError for eyes outside of the photo.
    """
    corners = face_corners(checked_eyes(eyes, photo.size), size)
    return cut_square(photo, corners, size), corners


# ------------------------------------------------------------------------------------------ putting it back


def feather(size):
    """How much of an edit counts, (S, S) in [0, 1]: 1 in the middle of the square, 0 on its rim."""
    depth = np.minimum(np.arange(size), np.arange(size)[::-1]) / (FEATHER * size)
    ramp = np.clip(np.minimum.outer(depth, depth), 0, 1)
    return (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)


def paste(photo, corners, face, edited):
    """The photo with the face's change in it: the full photo's own detail, plus what the edit adds.

    face, edited  PIL RGB squares of one size: what `cut_face` gave, and its edit
    Returns PIL RGB of the photo's size with its colour profile, and an L picture that is above 0 where the photo may
    differ; at every other pixel it is the same.
    """
    size = face.width
    weight = feather(size)
    change = (np.asarray(edited, np.float32) - np.asarray(face, np.float32)) * weight[..., None]
    side = np.linalg.norm(corners[3] - corners[0])
    left, top = np.maximum(np.floor(corners.min(0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(0)), photo.size).astype(int)
    pixels = np.array(photo.convert("RGB"))
    mask = np.zeros(pixels.shape[:2], np.uint8)
    for row in range(top, bottom, STRIP):
        here = np.s_[row : min(row + STRIP, bottom), left:right]
        box = (left, row, right - left, min(STRIP, bottom - row))
        kept = _warped(weight, corners, side, box)
        for channel in range(3):
            moved = np.where(kept > 0, _warped(change[..., channel], corners, side, box), 0)
            pixels[*here, channel] = (pixels[*here, channel] + moved).round().clip(0, 255)
        mask[here] = np.ceil(255 * kept.clip(0, 1))
    result = Image.fromarray(pixels)
    result.info = {"icc_profile": photo.info["icc_profile"]} if "icc_profile" in photo.info else {}
    return result, Image.fromarray(mask)


def _warped(plane, corners, side, box):
    """A plane of the square, (S, S), where the square lies in the photo's `box` (left, top, width, height)."""
    picture = Image.fromarray(plane)
    if side < picture.width:  # a small face: average, so that nothing is skipped
        picture = picture.resize([max(1, round(side))] * 2, Image.Resampling.BOX)
    size = picture.width
    x, y = (corners[3] - corners[0]) * size / side**2, (corners[1] - corners[0]) * size / side**2
    start = np.array(box[:2]) - corners[0]
    mapping = (x[0], x[1], start @ x, y[0], y[1], start @ y)
    warped = picture.transform(tuple(box[2:]), Image.Transform.AFFINE, mapping, Image.Resampling.BICUBIC)
    return np.asarray(warped)
