"""One's own photo: bad files are refused in one sentence, the face is cut out upright, and only it changes."""

import io
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from maggan.align import EYES_OF_ALIGNED
from maggan.celeba import CROP_LEFT, CROP_SIZE, CROP_TOP
from maggan.editor import Editor
from maggan.errors import MagganError
from maggan.photo import cut_face, face_corners, feather, find_eyes, paste, read_upload
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


@pytest.mark.parametrize("eyes", [((10, 10), (10, 10)), ((-5, 10), (40, 10)), ((10, 10), (4000, 10))])
def test_eyes_that_make_no_face(eyes):
    with pytest.raises(MagganError, match="eyes are"):
        cut_face(noise(200, 200), eyes, 64)


def test_no_face_asks_for_the_eyes():
    pytest.importorskip("cv2", reason="OpenCV is not installed (the extra `photos`)")
    with pytest.raises(MagganError, match="no face found .*--eyes X,Y,X,Y"):
        find_eyes(Image.new("RGB", (200, 200), "grey"))


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


def test_no_change_is_no_change():
    photo = noise(400, 300)
    face, corners = cut_face(photo, ((180, 120), (220, 120)), 64)
    assert paste(photo, corners, face, face)[0].tobytes() == photo.tobytes()


def test_an_edit_fades_to_nothing_on_the_rim():
    weight = feather(64)
    assert weight[32, 32] == 1
    rim = np.concatenate([weight[0], weight[-1], weight[:, 0], weight[:, -1]])
    assert rim.max() == 0


# ---------------------------------------------------------------------------------------- the whole of it


@pytest.fixture
def photo_editor():
    config = resolve("stgan", "celeba64")
    torch.manual_seed(0)
    return Editor(build_generator(config).eval(), config)


def test_a_photo_comes_back_whole(photo_editor):
    photo = noise(500, 400)
    edit = photo_editor.edit_photo(photo, {"Blond_Hair": 1}, eyes=((220, 150), (270, 150)))
    assert edit.result.size == photo.size and edit.face.size == edit.edited.size == (64, 64)
    outside = np.asarray(edit.mask) == 0
    assert (np.asarray(edit.result)[outside] == np.asarray(photo)[outside]).all() and outside.any()
    assert np.asarray(edit.result).tobytes() != np.asarray(photo).tobytes()


def test_photos_are_for_models_of_photos(runs):
    config = resolve("stgan", "smoke")
    with pytest.raises(MagganError, match="trained on drawn faces"):
        Editor(build_generator(config), config).edit_photo(noise(200, 200), {})


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
