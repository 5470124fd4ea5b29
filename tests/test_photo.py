"""One's own photo: bad files are refused in one sentence, the face is cut out upright, and only it changes."""

import io
import os
import struct
import sys
import time
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from maggan.basics.errors import MagganError
from maggan.celeba.align import EYES_OF_ALIGNED
from maggan.celeba.reader import CROP_LEFT, CROP_SIZE, CROP_TOP
from maggan.editor import Editor
from maggan.editor.photo import NoEyesError, cut_face, face_corners, feather, find_eyes, paste, read_upload
from maggan.profiles import profile
from maggan.systems import build_generator
from maggan.variants import resolve


def encoded(picture, kind="PNG", **options):
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def noise(width, height, seed=0):
    """A smooth colourful picture."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def png_header(width, height):
    """A PNG that says it is so large, and holds next to nothing."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


BAD = {
    "empty": b"",
    "truncated jpeg": encoded(noise(200, 200), "JPEG")[:2000],
    "truncated png": encoded(noise(200, 200))[:9000],
    "text": b"this is no picture at all\n" * 20,
    "one pixel": encoded(Image.new("RGB", (1, 1))),
    "30,000 x 30,000": png_header(30_000, 30_000),
    "100,000 x 100,000": png_header(100_000, 100_000),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n",
    "damaged": encoded(noise(200, 200))[:100] + b"\xff" * 5000,
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_picture_is_refused_in_one_short_sentence(what):
    started = time.perf_counter()
    with pytest.raises(MagganError) as told:
        read_upload(BAD[what], "../../etc/me\n.jpg")
    assert time.perf_counter() - started < 5
    text = str(told.value)
    assert text.startswith("me.jpg: ") and "\n" not in text and ".." not in text and len(text) < 160


def test_kinds_of_pictures():
    colours = noise(64, 48)
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF"):
        assert read_upload(encoded(colours, kind)).size == (64, 48)
    grey = read_upload(encoded(colours.convert("L")))
    assert grey.mode == "RGB" and np.ptp(np.asarray(grey).astype(int), 2).max() == 0
    cmyk = np.asarray(read_upload(encoded(colours.convert("CMYK"), "JPEG", quality=95))).astype(int)
    assert np.abs(cmyk - np.asarray(colours)).mean() < 12  # the right way round, not a negative
    deep = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    shallow = np.asarray(read_upload(encoded(Image.fromarray(deep))))
    np.testing.assert_array_equal(shallow[..., 0], deep >> 8)


def test_transparency_is_white_and_an_animation_its_first_picture():
    clear = Image.new("RGBA", (40, 40), (10, 200, 30, 0))
    assert read_upload(encoded(clear)).getpixel((5, 5)) == (255, 255, 255)
    palette = Image.new("P", (40, 40), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((3, 3), 1)
    shown = read_upload(encoded(palette, transparency=0))
    assert shown.getpixel((0, 0)) == (255, 255, 255) and shown.getpixel((3, 3)) == (0, 0, 255)
    first, second = Image.new("RGB", (40, 40), "red"), Image.new("RGB", (40, 40), "blue")
    moving = encoded(first, "GIF", save_all=True, append_images=[second])
    assert read_upload(moving).getpixel((20, 20)) == (255, 0, 0)


@pytest.mark.parametrize("turned", range(1, 9))
def test_every_turn_that_exif_knows_is_undone(turned):
    upright = noise(60, 40)
    exif = Image.Exif()
    exif[0x0112] = turned
    data = encoded(upright, "PNG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert read_upload(data).tobytes() == expected.tobytes()
    assert read_upload(data).size == ((60, 40) if turned < 5 else (40, 60))


# ------------------------------------------------------------------------------------------ the face in it


def test_eyes_of_an_aligned_photo_give_its_own_crop():
    corners = face_corners(EYES_OF_ALIGNED, 64)
    far = np.array([CROP_LEFT, CROP_TOP]) + CROP_SIZE
    np.testing.assert_allclose(corners[0], [CROP_LEFT, CROP_TOP], atol=0.5)
    np.testing.assert_allclose(corners[2], far, atol=0.5)


def test_a_turned_photo_gives_the_same_face():
    photo = noise(300, 300)
    eyes = np.array([[120.0, 140.0], [180.0, 140.0]])
    straight, _ = cut_face(photo, eyes, 64)
    about = np.array([149.5, 149.5])  # the middle of the pixels' numbers; a quarter turn to the left
    turned_eyes = np.array([[y, -x] for x, y in eyes - about]) + about
    turned, _ = cut_face(photo.transpose(Image.Transpose.ROTATE_90), turned_eyes, 64)
    difference = np.abs(np.asarray(straight).astype(int) - np.asarray(turned))
    assert difference[4:-4, 4:-4].max() <= 3


def test_a_large_face_has_the_square_of_celeba_hq():
    """Up to 256 px the crop of the small photos, above the wider square, whose middle is nearer to the mouth."""
    eyes = np.array([[400.0, 500.0], [600.0, 500.0]])
    small, large = face_corners(eyes, 256), face_corners(eyes, 512)
    assert np.linalg.norm(small[3] - small[0]) == pytest.approx(200 * CROP_SIZE / 38.1, rel=0.01)
    assert np.linalg.norm(large[3] - large[0]) == pytest.approx(4 * 200)
    np.testing.assert_allclose(large.mean(0), [500.5, 500.5 + 0.1 * 1.08 * 200])
    assert large[0, 0] < large[3, 0] and large[0, 1] < large[1, 1]  # upright
    for size in (256, 512, 1024):
        head = face_corners(1000 - eyes, size)
        np.testing.assert_allclose(head, 1001 - face_corners(eyes, size))  # pixels end half a pixel further


def test_levels_of_16_bits_that_are_small():
    shallow = np.arange(64 * 48).reshape(48, 64) % 256
    for kind in (np.int32, np.uint16):
        made = read_upload(encoded(Image.fromarray(shallow.astype(kind)), "TIFF"))
        np.testing.assert_array_equal(np.asarray(made)[..., 1], shallow)
    with pytest.raises(MagganError, match="me.tif: has floating-point levels; save it with 8 or 16 bits"):
        read_upload(encoded(Image.fromarray(shallow.astype(np.float32)), "TIFF"), "me.tif")


@pytest.mark.parametrize("eyes", [((10, 10), (10, 10)), ((-5, 10), (40, 10)), ((10, 10), (4000, 10))])
def test_eyes_that_make_no_face(eyes):
    with pytest.raises(MagganError, match="eyes are"):
        cut_face(noise(200, 200), eyes, 64)


def test_no_face_asks_for_the_eyes():
    pytest.importorskip("cv2", reason="OpenCV is not installed (the extra `photos`)")
    with pytest.raises(MagganError, match="no face found .*--eyes X,Y,X,Y"):
        find_eyes(Image.new("RGB", (200, 200), "grey"))


class Cascades:
    """OpenCV's detectors, of which each sees what it is told: a face, or an eye in what it is shown of it."""

    def __init__(self, monkeypatch, face, eyes):
        self.face, self.eyes, self.asked = face, eyes, []
        monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(equalizeHist=lambda grey: grey))
        monkeypatch.setattr("maggan.editor.photo._cascade", self.named)

    def named(self, cv2, kind):
        self.kind = kind
        return self

    def detectMultiScale(self, grey, *args):
        self.size = grey.shape[::-1]
        smaller = (1, 1, 20, 20)  # the largest face counts
        return np.array([smaller, self.face])

    def detectMultiScale3(self, half, *args, **options):
        # eyes are squares of brightness, so that they are where they are in the picture
        self.asked.append(half.shape)
        bright = np.argwhere(half > 128)
        if self.eyes == "none" or not len(bright):
            return np.empty((0, 4)), None, np.empty(0)
        (y, x), (v, u) = bright.min(0), bright.max(0) + 1
        return np.array([[0, 0, 4, 4], [x, y, u - x, v - y]]), None, np.array([0.1, 5.0])


def test_eyes_are_where_they_are_in_the_photo(monkeypatch):
    """The viewer's left one first, in pixels of the photo, however much it was reduced to be looked at."""
    for scale in (1, 3):
        photo = Image.new("L", (600 * scale, 400 * scale))
        for x, y in ((260, 150), (350, 160)):
            photo.paste(255, tuple(scale * n for n in (x - 10, y - 10, x + 10, y + 10)))
        reduced = min(1, 640 / max(photo.size))
        face = [round(n * scale * reduced) for n in (200, 80, 200, 200)]
        cascades = Cascades(monkeypatch, face, "bright")
        eyes = find_eyes(photo)
        assert max(cascades.size) <= 640
        np.testing.assert_allclose(eyes, scale * np.array([[260, 150], [350, 160]]), atol=2 * scale)


def test_one_eye_seen_twice_is_not_two(monkeypatch):
    photo = Image.new("L", (600, 400))
    photo.paste(255, (292, 140, 308, 156))  # in the middle, where both halves see it
    Cascades(monkeypatch, (200, 80, 200, 200), "bright")
    with pytest.raises(NoEyesError, match="not both of its eyes"):
        find_eyes(photo)
    Cascades(monkeypatch, (200, 80, 200, 200), "none")
    with pytest.raises(NoEyesError, match="not both of its eyes"):
        find_eyes(photo)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(NoEyesError, match=r"pip install '.\[photos\]'"):
        find_eyes(photo)


@pytest.mark.parametrize("width", [150, 900, 3000])
def test_only_the_face_changes_and_fades_out(width):
    photo = noise(width, width * 3 // 4, seed=width)
    eyes = np.array([[0.42, 0.37], [0.5, 0.39]]) * width
    face, corners = cut_face(photo, eyes, 64)
    brighter = face.point(lambda level: min(level + 40, 255))
    result, mask = paste(photo, corners, face, brighter)
    before, after, kept = np.asarray(photo).astype(int), np.asarray(result).astype(int), np.asarray(mask)
    assert result.size == photo.size and 0.02 < (kept > 0).mean() < 0.9
    assert (before[kept == 0] == after[kept == 0]).all()
    middle = kept == 255
    # levels that were cut off at 255 aside, the middle is brighter by 40
    assert np.median((after - before)[middle]) == pytest.approx(40, abs=1)
    faint = (kept > 0) & (kept < 26)
    assert np.abs(after - before)[faint].max() <= 8  # a tenth of the change, and what interpolation adds


CORNERS = {
    "upright": [[10, 20], [10, 148], [138, 148], [138, 20]],
    "on its side": [[138, 20], [10, 20], [10, 148], [138, 148]],
    "on its head": [[138, 148], [138, 20], [10, 20], [10, 148]],
}


@pytest.mark.parametrize("colour", range(3))
@pytest.mark.parametrize("how", CORNERS)
def test_a_change_lands_where_and_in_the_colour_it_was_made(how, colour):
    """One quarter of the face, above on the left, in one colour; the square's first corner is above on the left."""
    photo = Image.new("RGB", (160, 170), (100, 100, 100))
    face, edited = np.full((2, 64, 64, 3), 100, np.uint8)
    edited[12:28, 12:28, colour] = 160
    corners = np.array(CORNERS[how], float)
    result, _ = paste(photo, corners, Image.fromarray(face), Image.fromarray(edited))
    change = np.asarray(result).astype(int) - 100
    rows, columns = np.nonzero(change[..., colour] > 30)
    across, down = (corners[3] - corners[0]) / 128, (corners[1] - corners[0]) / 128
    middle = corners[0] + 40 * across + 40 * down
    assert [columns.mean() + 0.5, rows.mean() + 0.5] == pytest.approx(middle, abs=1)
    assert len(rows) == pytest.approx(32 * 32, rel=0.1)
    assert np.median(change[rows, columns, colour]) == pytest.approx(60, abs=1)
    others = [other for other in range(3) if other != colour]
    assert not change[..., others].any()


def test_a_face_that_is_cut_out_and_put_back_is_itself():
    photo = noise(300, 300, seed=5)
    face, corners = cut_face(photo, ((120, 150), (170, 130)), 128)
    black = Image.new("RGB", face.size)
    taken, _ = paste(photo, corners, face, black)  # takes away what it believes to be there
    middle = corners.mean(0).round().astype(int)
    window = np.asarray(taken)[middle[1] - 30 : middle[1] + 30, middle[0] - 30 : middle[0] + 30]
    assert window.max() <= 6


def test_the_profile_of_colours_stays_with_rgb_alone():
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for mode in ("RGB", "RGBA", "P"):
        picture = read_upload(encoded(noise(90, 90).convert(mode), icc_profile=profile))
        assert picture.info == {"icc_profile": profile}
    grey = profile[:16] + b"GRAY" + profile[20:]
    cmyk = profile[:16] + b"CMYK" + profile[20:]
    for mode, kind, odd in (("L", "PNG", grey), ("CMYK", "JPEG", cmyk), ("CMYK", "JPEG", profile)):
        assert read_upload(encoded(noise(90, 90).convert(mode), kind, icc_profile=odd)).info == {}
    photo = read_upload(encoded(noise(200, 200), icc_profile=profile))
    face, corners = cut_face(photo, ((80, 90), (120, 90)), 64)
    assert paste(photo, corners, face, face)[0].info == {"icc_profile": profile}
    assert paste(noise(200, 200), corners, face, face)[0].info == {}


def test_no_change_is_no_change():
    photo = noise(400, 300)
    face, corners = cut_face(photo, ((180, 120), (220, 120)), 64)
    assert paste(photo, corners, face, face)[0].tobytes() == photo.tobytes()


def test_an_edit_fades_to_nothing_on_the_rim():
    weight = feather(64)
    assert weight[32, 32] == 1
    rim = np.concatenate([weight[0], weight[-1], weight[:, 0], weight[:, -1]])
    assert rim.max() == 0
    line = feather(256)[128]
    steps = np.diff(line)
    assert np.abs(steps).max() < 0.06  # no edge to be seen
    assert (steps[:128] >= 0).all() and (steps[128:] <= 0).all() and (line == line[::-1]).all()
    assert line[15] == pytest.approx(0.5, abs=0.05)  # half of it at half of the way in
    assert ((line > 0.02) & (line < 0.98)).sum() == pytest.approx(2 * 0.12 * 256, rel=0.2)


# ---------------------------------------------------------------------------------------- the whole of it


@pytest.fixture
def photo_editor():
    config = resolve("stgan", profile("celeba64"))
    torch.manual_seed(0)
    return Editor(build_generator(config).eval())


def test_a_photo_comes_back_whole(photo_editor):
    photo = noise(500, 400)
    edit = photo_editor.edit_photo(photo, {"Blond_Hair": 1}, eyes=((220, 150), (270, 150)))
    assert edit.result.size == photo.size and edit.face.size == edit.edited.size == (64, 64)
    outside = np.asarray(edit.mask) == 0
    assert (np.asarray(edit.result)[outside] == np.asarray(photo)[outside]).all() and outside.any()
    assert np.asarray(edit.result).tobytes() != np.asarray(photo).tobytes()


def test_photos_are_for_models_of_photos(runs):
    config = resolve("stgan", profile("smoke"))
    with pytest.raises(MagganError, match="trained on drawn faces"):
        Editor(build_generator(config)).edit_photo(noise(200, 200), {})


@pytest.fixture
def real_squares():
    folder = Path(os.environ.get("MAGGAN_REAL", "")) / "celebahq_1024"
    if not os.environ.get("MAGGAN_REAL") or not folder.is_dir():
        pytest.skip("real square photos are not here: MAGGAN_REAL names no folder with celebahq_1024")
    return sorted(folder.glob("*.jpg"))


def test_ten_real_photos_on_larger_canvases(real_squares, photo_editor):
    pytest.importorskip("cv2", reason="OpenCV is not installed (the extra `photos`)")
    found = 0
    for i, file in enumerate(real_squares[:10]):
        canvas = noise(1600, 1400, seed=i)
        face = read_upload(file.read_bytes(), file.name)
        canvas.paste(face.rotate(5 * (i % 3 - 1), Image.Resampling.BICUBIC), (300, 200))
        edit = photo_editor.edit_photo(canvas, {"Young": -1}, eyes=((684, 692), (940, 692)) if i < 3 else None)
        outside = np.asarray(edit.mask) == 0
        assert (np.asarray(edit.result)[outside] == np.asarray(canvas)[outside]).all()
        assert 0.1 < outside.mean() < 0.95
        found += 1
    assert found == 10
