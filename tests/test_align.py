"""The alignment of photos in the wild: where points land, what happens at borders, runs that are killed, bad input."""

import io
import multiprocessing
import os
import select
import signal
import time
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maggan.attributes import ATTRIBUTES
from maggan.basics.errors import MagganError, cli
from maggan.celeba import align as module
from maggan.celeba.align import COLUMNS, align, align_photos, face_square, read_landmarks
from maggan.celeba.reader import CelebA
from maggan.commands.align import main

# Eyes 60 px apart, their middle 70 px above that of the mouth, so half a side is 1.8 * 70 = 126 px: eyes and mouth say
# more than the eyes' 2 * 60. With a square of 252 px, a pixel stays a pixel.
FACE = np.array([[100, 100], [160, 100], [130, 140], [110, 170], [150, 170]], float)
SIDE = 252
DOTS = ((255, 40, 40), (40, 255, 40), (60, 60, 255), (255, 255, 40), (255, 40, 255))


def dotted(landmarks, size=(300, 300)):
    """A black photo with a soft coloured dot at each landmark, a 30th of the eyes' distance wide."""
    width = max(np.linalg.norm(landmarks[1] - landmarks[0]) / 30, 0.7)
    photo = np.zeros((size[1], size[0], 3))
    for point, colour in zip(landmarks, DOTS, strict=True):
        x, y = (np.exp(-((np.arange(side) - at) ** 2) / (2 * width**2)) for side, at in zip(size, point, strict=True))
        photo += np.outer(y, x)[..., None] * colour
    return Image.fromarray(photo.clip(0, 255).astype(np.uint8))


def found(square, expected):
    """Where the dots are: the centre of the light within 12 px of where each is expected. Checks their colours."""
    pixels, points = np.asarray(square, float), []
    for (x, y), colour in zip(np.asarray(expected), DOTS, strict=True):
        left, top = round(x) - 12, round(y) - 12
        light = pixels[top : top + 25, left : left + 25].sum(2)
        points.append([left, top] + (np.stack(np.mgrid[:25, :25][::-1]) * light).sum((1, 2)) / light.sum())
        dot = pixels[round(y), round(x)]
        assert light.max() > 60 and ((dot > 0.7 * dot.max()) == (np.array(colour) == 255)).all()
    return np.array(points)


def turned(landmarks, degrees, factor=1.0, about=(150, 150), to=(150, 150)):
    """Landmarks turned counter-clockwise about a point, larger by a factor, and moved."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (landmarks - about) @ turn * factor + to


def smooth_photo(seed, size=(300, 300), cells=12):
    """Soft blotches of colour."""
    levels = np.random.default_rng(seed).integers(60, 256, (cells, cells, 3), np.uint8)
    return Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC)


# ---------------------------------------------------------------------------------------------- one photo


def test_points_land_where_the_formula_says():
    """By hand: the eyes' middle is 130.5, 100.5, the centre 7 px below, half a side 126 px."""
    assert face_square(FACE).tolist() == [[4.5, -18.5], [4.5, 233.5], [256.5, 233.5], [256.5, -18.5]]
    by_hand = [[95, 118], [155, 118], [125, 158], [105, 188], [145, 188]]
    photo = dotted(FACE + [0, 40])  # 40 px lower, the square and what is kept around it lie in the photo
    assert np.abs(found(align(photo, FACE + [0, 40], SIDE), by_hand) - by_hand).max() < 0.2


def test_eyes_far_apart_make_the_square():
    """Half a side is 2 * 90 px where that is more than 1.8 * 70."""
    wide = FACE + [[-15, 0], [15, 0], [0, 0], [0, 0], [0, 0]]
    corners = face_square(wide)
    assert corners[3, 0] - corners[0, 0] == corners[1, 1] - corners[0, 1] == 4 * 90
    assert corners.mean(0).tolist() == [130.5, 107.5]


@pytest.mark.parametrize("factor", [0.25, 0.4, 2.3, 4.5])
@pytest.mark.parametrize("degrees", [0, 25])
def test_faces_of_any_size_land_there_too(factor, degrees):
    """Those below the square's size are enlarged by 4 first, those of more than 4 times its size reduced by 2."""
    landmarks = turned(FACE, degrees, factor, to=(200 * max(factor, 1), 200 * max(factor, 1)))
    photo = dotted(landmarks, (int(400 * max(factor, 1)),) * 2)
    resized = {0.25: 4, 0.4: 4, 2.3: 1, 4.5: 1 / 2}[factor]
    # CelebA-HQ's second half pixel, to the right and down in the photo, is one of the photo as resized
    angle, half = np.deg2rad(degrees), 0.5 / factor / resized
    moved = half * np.array([np.cos(angle) - np.sin(angle), np.cos(angle) + np.sin(angle)])
    by_hand = np.array([[95, 118], [155, 118], [125, 158], [105, 188], [145, 188]]) + 0.5 - moved
    assert np.abs(found(align(photo, landmarks, SIDE), by_hand) - by_hand).max() < 0.2


def test_a_turned_photo_gives_the_same_face():
    photo = smooth_photo(0, (601, 601), 24)
    landmarks = FACE + 160
    upright = np.asarray(align(photo, landmarks, SIDE), float)
    for degrees in (-50, 20, 90):
        aslant = photo.rotate(degrees, Image.Resampling.BICUBIC)
        same = align(aslant, turned(landmarks, degrees, about=(300, 300), to=(300, 300)), SIDE)
        assert np.abs(np.asarray(same) - upright).mean() < 2.5
        other = align(aslant, landmarks, SIDE)
        assert np.abs(np.asarray(other) - upright).mean() > 10


@pytest.mark.parametrize("factor", [1, 0.25])
def test_beyond_the_photos_edge_there_is_a_blurred_mirror(factor):
    """The face is so near to the left edge that 60 of 252 columns are missing."""
    grain = np.random.default_rng(0).integers(90, 200, (320, 320, 3), np.uint8)
    photo = Image.fromarray(grain).resize((int(320 * factor),) * 2, Image.Resampling.BICUBIC)
    square = np.asarray(align(photo, (FACE + [-64.5, 40]) * factor, SIDE), float)
    assert square.min() > 60  # nothing is black
    change = np.abs(np.diff(square, axis=1)).mean((0, 2))  # from column to column
    assert change[5:50].mean() < 0.3 * change[140:240].mean()
    assert change[40:80].max() < 1.3 * change[140:240].max()  # no seam
    assert change[60:75].mean() < change[75:90].mean() < change[140:240].mean()  # it fades


def test_a_face_within_the_photo_is_not_blurred():
    photo = Image.fromarray(np.random.default_rng(0).integers(90, 200, (320, 320, 3), np.uint8))
    within = np.asarray(align(photo, FACE + [30, 50], SIDE), float)
    change = np.abs(np.diff(within, axis=1)).mean((0, 2))
    assert change[:40].mean() > 0.9 * change.mean()


WRONG = {
    "its eyes coincide": [[100, 100], [100, 100], [130, 140], [110, 170], [150, 170]],
    "no face's": [[160, 100], [100, 100], [130, 140], [110, 170], [150, 170]],  # left and right are swapped
    "outside of the photo": FACE + [400, 0],
}


@pytest.mark.parametrize("what", WRONG)
def test_landmarks_that_make_no_sense(what):
    with pytest.raises(MagganError, match=what):
        align(Image.new("RGB", (300, 300)), np.array(WRONG[what], float), SIDE)


def test_a_face_from_the_side_is_taken():
    """Its eyes nearly coincide, but the line down to the mouth tells which way is up."""
    side = np.array([[130, 100], [133, 100], [120, 140], [125, 170], [127, 170]], float)
    assert align(smooth_photo(0), side, SIDE).size == (SIDE, SIDE)


# ------------------------------------------------------------------------------------------ many photos

NUMBERS = (1, 2, 3, 182638)


def name_of(number):
    return f"{number:06d}.jpg"


def landmark_text(rows, count=None, columns=COLUMNS):
    lines = [str(len(rows) if count is None else count), " ".join(columns), *rows]
    return "\r\n".join([*lines, ""])


def row_of(number):
    values = (FACE + number % 7).astype(int).ravel()
    return name_of(number) + "".join(f" {value:4d}" for value in values)


@pytest.fixture
def wild(tmp_path):
    """A folder with photos in the wild in img_celeba, their landmarks and labels, as the official ones are named."""
    folder = tmp_path / "wild"
    (folder / "img_celeba").mkdir(parents=True)
    for number in NUMBERS:
        smooth_photo(number, (260 + number % 5, 300)).save(folder / "img_celeba" / name_of(number))
    (folder / "list_landmarks_celeba.txt").write_text(landmark_text([row_of(number) for number in NUMBERS]))
    rows = [name_of(number) + " -1" * len(ATTRIBUTES) for number in NUMBERS]
    (folder / "list_attr_celeba.txt").write_text("\n".join([str(len(rows)), " ".join(ATTRIBUTES), *rows, ""]))
    parts = [f"{name_of(number)} {2 * (number >= 182638)}\n" for number in NUMBERS]
    (folder / "list_eval_partition.txt").write_text("".join(parts))
    return folder


def align_all(wild, out, workers=1, **options):
    return align_photos(wild / "img_celeba", wild / "list_landmarks_celeba.txt", out, 256, workers, **options)


def bytes_of(out):
    return {path.name: path.read_bytes() for path in (out / "img_align_celeba").iterdir()}


def test_landmarks_are_read_by_name(wild):
    points = read_landmarks(wild / "list_landmarks_celeba.txt")
    assert list(points) == [name_of(number) for number in NUMBERS]
    assert points["000002.jpg"].tolist() == (FACE + 2).tolist()


def test_a_folder_is_aligned_and_used_as_celeba(wild, capsys):
    out = wild.parent / "aligned"
    arguments = ["--photos", wild, "--landmarks", wild / "list_landmarks_celeba.txt", "--out", out, "--size", 256]
    main([str(argument) for argument in [*arguments, "--workers", 1]])
    assert f"{out}: 4 photos of 256 x 256, 0 left out; use them: CELEBA={out}" in capsys.readouterr().out
    faces = CelebA.open(out)
    assert faces.names("train") == ["000001.jpg", "000002.jpg", "000003.jpg"] and faces.photo_size == (256, 256)
    wanted = align(Image.open(wild / "img_celeba/000002.jpg"), FACE + 2, 256)
    assert np.abs(np.asarray(faces.photo("000002.jpg"), float) - np.asarray(wanted)).mean() < 1.5  # JPEG
    with Image.open(out / "img_align_celeba/000002.jpg") as photo:
        assert {layer[1:3] for layer in photo.layer} == {(1, 1)}  # no chroma subsampling


def test_labels_are_found_in_the_official_subfolders(wild):
    labels = wild.parent / "labels"
    for name, sub in (*module.LABELS, ("list_landmarks_celeba.txt", "Anno")):
        (labels / sub).mkdir(parents=True, exist_ok=True)
        (wild / name).rename(labels / sub / name)
    assert module.labels_beside(labels / "Anno/list_landmarks_celeba.txt") == labels
    module.copy_labels(labels, wild)
    for name, sub in module.LABELS:
        assert (wild / name).read_bytes() == (labels / sub / name).read_bytes()


def test_processes_write_the_same_bytes_as_one_and_a_zip_as_a_folder(wild):
    align_all(wild, wild.parent / "serial")
    align_all(wild, wild.parent / "parallel", workers=2)
    archive = wild.parent / "img_celeba.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted((wild / "img_celeba").iterdir()):
            file.write(path, f"img_celeba/{path.name}")
    align_photos(archive, wild / "list_landmarks_celeba.txt", wild.parent / "zipped", 256, 1)
    serial = bytes_of(wild.parent / "serial")
    assert len(serial) == 4 and serial == bytes_of(wild.parent / "parallel") == bytes_of(wild.parent / "zipped")


def test_a_second_run_makes_only_what_is_missing(wild, monkeypatch):
    out, made = wild.parent / "aligned", []
    assert align_all(wild, out) == (4, 0)
    first = bytes_of(out)
    monkeypatch.setattr(module, "align", lambda photo, *rest: made.append(photo.width) or align(photo, *rest))
    assert align_all(wild, out) == (4, 0) and made == []
    files = out / "img_align_celeba"
    (files / "000001.jpg").unlink()
    (files / "000002.jpg").write_bytes(first["000002.jpg"][:5000])  # as a copy that was cut short
    (files / "000003.jpg").write_bytes(b"")
    assert align_all(wild, out) == (4, 0) and made == [261, 262, 263]
    assert bytes_of(out) == first


def killed_while_writing(run):
    """Run it in a process of its own that dies when half of the second photo's file is written."""
    whole, written = Image.Image.save, []

    def save(photo, path, **options):
        data = io.BytesIO()
        whole(photo, data, **options)
        written.append(path)
        half = len(written) > 1
        Path(path).write_bytes(data.getvalue()[: len(data.getvalue()) // (1 + half)])
        if half:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying():
        Image.Image.save = save
        run()

    process = multiprocessing.get_context("fork").Process(target=dying)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_half_a_file_of_a_killed_run_is_not_taken_for_a_whole_one(wild):
    align_all(wild, wild.parent / "whole")
    out = wild.parent / "killed"
    killed_while_writing(partial(align_all, wild, out))
    left = bytes_of(out)
    assert [name for name in sorted(left) if name.endswith(".jpg")] == ["000001.jpg"] and len(left) == 2
    align_all(wild, out)
    assert bytes_of(out) == bytes_of(wild.parent / "whole")


def test_a_killed_run_leaves_no_process_behind_and_goes_on(wild):
    align_all(wild, wild.parent / "whole")
    out, (reader, writer) = wild.parent / "killed", os.pipe()
    run = multiprocessing.get_context("fork").Process(target=align_all, args=(wild, out, 2))
    run.start()
    os.close(writer)  # now only the run and its own processes have it
    while run.is_alive() and not list(out.glob("img_align_celeba/*.jpg")):
        time.sleep(0.005)
    run.kill()
    assert select.select([reader], [], [], 60)[0] and os.read(reader, 1) == b""  # the last of them is gone
    run.join()
    align_all(wild, out, workers=2)
    assert bytes_of(out) == bytes_of(wild.parent / "whole")


def test_photos_that_cannot_be_aligned_are_told_left_out_and_counted(wild, capsys):
    photos, landmarks = wild / "img_celeba", wild / "list_landmarks_celeba.txt"
    data = (photos / "000001.jpg").read_bytes()
    (photos / "000001.jpg").write_bytes(data[: len(data) // 2])
    swapped = name_of(2) + "".join(f" {int(value)}" for value in np.array(WRONG["no face's"]).ravel())
    landmarks.write_text(landmark_text([row_of(1), swapped, row_of(182638)], count=4))
    assert align_all(wild, wild.parent / "aligned") == (1, 3)
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("maggan: ")]
    assert "rows of 3 photos, but its first line says 4" in told[0]
    assert "no row for 1 of 4 photos, 000003.jpg for one; left out" in told[1]
    assert "000001.jpg: not a whole JPEG" in told[2] and told[2].endswith("Left out.")
    assert (
        "000002.jpg: its eyes and mouth are no face's" in told[3] and told[3].endswith("Left out.") and len(told) == 4
    )
    (photos / "000001.jpg").write_bytes(data)  # mended, it is aligned the next time
    assert align_all(wild, wild.parent / "aligned") == (2, 2)


def test_grey_photos_become_colour(wild):
    for path in (wild / "img_celeba").iterdir():
        Image.open(path).convert("L").save(path)
    align_all(wild, wild.parent / "aligned")
    assert Image.open(wild.parent / "aligned/img_align_celeba/000001.jpg").mode == "RGB"


def one_line(wild, *more):
    """The single line that the command says when it refuses."""
    arguments = ["--photos", wild, "--landmarks", wild / "list_landmarks_celeba.txt", "--out", wild.parent / "aligned"]
    with pytest.raises(SystemExit) as ended:
        cli(lambda: main([str(argument) for argument in [*arguments, "--size", 256, "--workers", 1, *more]]))
    assert ended.value.code == 2


LANDMARKS = "list_landmarks_celeba.txt"
BAD_LANDMARKS = {
    "a row is too short": (
        landmark_text([row_of(1), "000002.jpg 1 2 3"]),
        "line 4: bad row .000002.jpg 1 2 3., it must",
    ),
    "a row is no numbers": (landmark_text([row_of(1).replace("101", "x")]), "line 3: bad row"),
    "a row is not finite": (landmark_text([row_of(1).replace("101", "nan")]), "line 3: bad row"),
    "other columns": (landmark_text([row_of(1)], columns=COLUMNS[:-1]), "lefteye_x lefteye_y ... rightmouth_y"),
    "no count": (landmark_text([row_of(1)], count="x"), "first line must be a count"),
    "empty": ("", "first line must be a count"),
    "no row of these photos": (landmark_text([row_of(7)]), "has no row for any photo in .*000001.jpg for one"),
    "of aligned photos": (
        landmark_text(["000001.jpg 69 109 106 113 77 142 73 152 108 154"]),
        "landmarks of the aligned photos; take list_landmarks_celeba.txt",
    ),
}


@pytest.mark.parametrize("what", BAD_LANDMARKS)
def test_bad_landmark_files_are_one_line(wild, capsys, what):
    text, said = BAD_LANDMARKS[what]
    (wild / LANDMARKS).write_text(text)
    one_line(wild)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and LANDMARKS in told[0]
    with pytest.raises(MagganError, match=said):
        align_all(wild, wild.parent / "aligned")


@pytest.mark.parametrize("absent", [LANDMARKS, "list_attr_celeba.txt", "list_eval_partition.txt", "img_celeba"])
def test_absent_files_say_what_to_get(wild, capsys, absent):
    (wild / absent).rename(wild.parent / "elsewhere")
    one_line(wild)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and absent in told[0]
    assert ("--labels" if absent.startswith(("list_attr", "list_eval")) else "get CelebA's photos in the wild") in told[
        0
    ]


def test_aligned_photos_are_refused(wild, capsys):
    for path in (wild / "img_celeba").iterdir():
        Image.open(path).resize((178, 218)).save(path)
    one_line(wild)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and "178 x 218, aligned already" in told[0]
    smooth_photo(1, (260, 300)).save(wild / "img_celeba/000001.jpg")  # of several, one by one
    assert align_all(wild, wild.parent / "aligned") == (1, 3)
    assert "000002.jpg: is 178 x 218, aligned already" in capsys.readouterr().err


def test_a_folder_has_squares_of_one_size(wild, capsys):
    align_all(wild, wild.parent / "aligned")
    one_line(wild, "--size", 512)
    assert "000001.jpg: is 256 x 256, not 512 x 512; name another folder" in capsys.readouterr().err
    one_line(wild, "--size", 64)
    assert "at least 256 px" in capsys.readouterr().err
    with pytest.raises(MagganError, match="none of its 4 photos could be aligned"):
        (wild / LANDMARKS).write_text(landmark_text([name_of(n) + " 9 9" * 5 for n in NUMBERS]))
        align_all(wild, wild.parent / "nothing")
