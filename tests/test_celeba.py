"""CelebA in its official layout, whole or in part, clean or damaged."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maggan.attributes import ATTRIBUTES
from maggan.basics.errors import MagganError
from maggan.celeba.reader import CelebA, crop_face, crop_notes, file_number, open_photo, read_attributes, resize_face

# The official file has 40 columns in an order of its own.
COLUMNS = ["5_o_Clock_Shadow", *reversed(ATTRIBUTES), "Wearing_Hat"]
NUMBERS = (1, 2, 182000, 182001, 182637, 182638, 202599)


def name_of(number):
    return f"{number:06d}.jpg"


def labels_of(number):
    """Attributes that differ from face to face: the bits of the number."""
    return [(number >> i) & 1 for i in range(len(ATTRIBUTES))]


def row_of(number):
    values = dict(zip(ATTRIBUTES, labels_of(number), strict=True))
    # Uneven spacing, as in the official file.
    return name_of(number) + "".join("  1" if values.get(column) else " -1" for column in COLUMNS)


def write_celeba(folder, numbers=NUMBERS, rows=None, count=None, partition=None, newline="\r\n", size=(178, 218)):
    (folder / "img_align_celeba").mkdir(parents=True)
    for number in numbers:
        photo = np.random.default_rng(number).integers(0, 256, (22, 18, 3), np.uint8)
        photo = Image.fromarray(photo).resize(size)
        photo.save(folder / "img_align_celeba" / name_of(number), quality=90)
    rows = [row_of(number) for number in numbers] if rows is None else rows
    lines = [str(len(rows) if count is None else count), " ".join(COLUMNS) + " ", *rows]
    (folder / "list_attr_celeba.txt").write_bytes(newline.join([*lines, ""]).encode())
    parts = partition or [f"{name_of(n)} {2 if n >= 182638 else 1 if n > 162770 else 0}" for n in numbers]
    (folder / "list_eval_partition.txt").write_bytes(newline.join([*parts, ""]).encode())
    return folder


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_split_and_attributes(tmp_path, newline, capsys):
    faces = CelebA.open(write_celeba(tmp_path / "celeba", newline=newline))
    assert faces.names("train") == ["000001.jpg", "000002.jpg", "182000.jpg"]
    assert faces.names("validation") == ["182001.jpg", "182637.jpg"]
    assert faces.names("test") == ["182638.jpg", "202599.jpg"]
    labels = faces.attributes(["202599.jpg", "000002.jpg"])
    assert labels.dtype == torch.uint8
    assert labels.tolist() == [labels_of(202599), labels_of(2)]
    assert len(faces) == 7 and capsys.readouterr().err == ""
    with pytest.raises(MagganError, match="did you mean 'validation'"):
        faces.names("validations")
    with pytest.raises(MagganError, match="000003.jpg"):
        faces.attributes(["000003.jpg"])


def test_crop_is_stgans(tmp_path):
    """Rows 26 to 195 and columns 3 to 172 of the photo, both ends included."""
    photo = np.zeros((218, 178, 3), np.uint8)
    photo[..., 0], photo[..., 1] = np.arange(218)[:, None], np.arange(178)[None]
    crop = crop_face(Image.fromarray(photo))
    assert crop.shape == (3, 170, 170)
    assert (crop[0, 0, 0], crop[0, -1, 0]) == (26, 195) and (crop[1, 0, 0], crop[1, 0, -1]) == (3, 172)


def test_square_photos_are_taken_whole(tmp_path):
    """CelebA-HQ's, or what maggan.align makes."""
    folder = write_celeba(tmp_path / "celeba", size=(300, 300))
    faces = CelebA.open(folder)
    photo = faces.photo("000002.jpg")
    assert photo.size == faces.photo_size == (300, 300)
    assert np.array_equal(crop_face(photo).permute(1, 2, 0), np.asarray(photo))
    assert faces.face("000002.jpg", 64).shape == (3, 64, 64)
    assert crop_notes(photo.size) == crop_notes((1024, 1024)) == "whole" and crop_notes((178, 218)) == [26, 3, 170]


@pytest.mark.parametrize("size", [(255, 255), (300, 301), (178, 219), (500, 400)])
def test_photos_of_another_kind_say_both_that_will_do(tmp_path, size):
    path = tmp_path / "000001.jpg"
    Image.new("RGB", size).save(path)
    told = f"000001.jpg: is {size[0]} x {size[1]}; .*178 x 218.*square.*256.*maggan.align"
    with pytest.raises(MagganError, match=told):
        open_photo(path.name, path)


@pytest.mark.parametrize("sizes", [[(178, 218), (300, 300)], [(300, 300), (178, 218)], [(512, 512), (256, 256)]])
def test_photos_of_one_folder_are_of_one_size(tmp_path, sizes):
    """The first that can be used says which; others are told where they are met."""
    folder = write_celeba(tmp_path / "celeba", (1, 2, 3))
    Image.new("RGB", (100, 90)).save(folder / "img_align_celeba" / "000001.jpg")
    for number, size in enumerate(sizes, start=2):
        Image.new("RGB", size).save(folder / "img_align_celeba" / name_of(number))
    faces = CelebA.open(folder)
    assert faces.photo("000002.jpg").size == sizes[0]
    with pytest.raises(MagganError, match="000003.jpg: is .* others here are .* keep photos of one size"):
        faces.face("000003.jpg", 64)


def test_resize_is_antialiased():
    stripes = torch.zeros(3, 170, 170, dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    small = resize_face(stripes, 64)
    assert small.shape == (3, 64, 64) and small.dtype == torch.uint8
    assert small[:, :, 4:-4].float().std() < 12  # without antialiasing, wide stripes would show


def test_zip_holds_the_same_faces(tmp_path):
    folder = write_celeba(tmp_path / "celeba")
    faces = CelebA.open(folder)
    zipped = tmp_path / "zipped"
    for name, sub in (("list_attr_celeba.txt", "Anno"), ("list_eval_partition.txt", "Eval")):
        (zipped / sub).mkdir(parents=True)
        (zipped / sub / name).write_bytes((folder / name).read_bytes())
    (zipped / "Img").mkdir()
    with zipfile.ZipFile(zipped / "Img" / "img_align_celeba.zip", "w") as archive:
        archive.mkdir("img_align_celeba")
        for i, path in enumerate(sorted((folder / "img_align_celeba").iterdir())):
            kind = zipfile.ZIP_DEFLATED if i % 2 else zipfile.ZIP_STORED
            archive.write(path, f"img_align_celeba/{path.name}", kind)
    from_zip = CelebA.open(zipped)
    for split in ("train", "validation", "test"):
        assert from_zip.names(split) == faces.names(split)
        for name in faces.names(split):
            assert torch.equal(from_zip.face(name, 64), faces.face(name, 64))


def test_damaged_zip(tmp_path):
    folder = write_celeba(tmp_path / "celeba")
    archive = folder / "img_align_celeba.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted((folder / "img_align_celeba").iterdir()):
            file.write(path, f"img_align_celeba/{path.name}")
            path.unlink()
    (folder / "img_align_celeba").rmdir()
    data = bytearray(archive.read_bytes())
    data[500] ^= 255
    archive.write_bytes(data)
    with pytest.raises(MagganError, match=r"000001.jpg is damaged"):
        CelebA.open(folder).photo("000001.jpg")
    archive.write_bytes(data[: len(data) // 2])
    with pytest.raises(MagganError, match="img_align_celeba.zip: not a whole zip"):
        CelebA.open(folder)


BAD_ROWS = {
    "too few values": "000002.jpg -1 1 1",
    "not plus or minus one": row_of(2).replace(" -1", " 0", 1),
    "no name": "x" + row_of(2),
    "twice": row_of(1),
}


@pytest.mark.parametrize("row", BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_bad_rows_are_told_and_left_out(tmp_path, capsys, row):
    folder = write_celeba(tmp_path / "celeba", (1, 2, 182638), rows=[row_of(1), row, row_of(182638)])
    faces = CelebA.open(folder)
    assert faces.names("train") == ["000001.jpg"] and faces.names("test") == ["182638.jpg"]
    told = capsys.readouterr().err.splitlines()
    assert "list_attr_celeba.txt, line 4" in told[0]
    assert "000002.jpg: no usable row" in told[1] and "2 problems" in told[2] and len(told) == 3
    CelebA.open(folder)
    assert capsys.readouterr().err == ""  # once a process


def test_cut_label_file(tmp_path, capsys):
    """Mirrors spread label files with fewer rows than their first line says."""
    folder = write_celeba(tmp_path / "celeba", rows=[row_of(n) for n in NUMBERS[:5]], count=202599)
    assert len(CelebA.open(folder)) == 5
    assert "5 rows, but its first line says 202599" in capsys.readouterr().err


def test_many_problems_are_summed_up(tmp_path, capsys):
    folder = write_celeba(tmp_path / "celeba", (1,), rows=[row_of(1), *(f"{name_of(n)} 1" for n in range(2, 52))])
    CelebA.open(folder)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 11 and "line 13" in told[9] and "50 problems" in told[10] and "first 10" in told[10]


def test_missing_photos(tmp_path, capsys):
    """A subset is as good as the whole, but its reader is told."""
    folder = write_celeba(tmp_path / "celeba")
    for number in (2, 182001, 182637):
        (folder / "img_align_celeba" / name_of(number)).unlink()
    faces = CelebA.open(folder)
    assert faces.names("train") == ["000001.jpg", "182000.jpg"]
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and "3 of 7 labelled photos are not here, 000002.jpg for one" in told[0]
    with pytest.raises(MagganError, match="validation split is here.*182001.jpg to 182637.jpg") as raised:
        faces.names("validation")
    assert str(folder) in str(raised.value)


def test_photos_against_the_official_split_are_left_out(tmp_path, capsys):
    """An official test face is never trained on, nor is any other tested; a bad row tells nothing of a photo."""
    partition = ["000001.jpg 0", "000002.jpg 2", "bad row", "182638.jpg 1", "202599.jpg 2"]
    faces = CelebA.open(write_celeba(tmp_path / "celeba", (1, 2, 182638, 202599), partition=partition))
    assert faces.names("train") == ["000001.jpg"] and faces.names("test") == ["202599.jpg"]
    told = capsys.readouterr().err
    assert "line 2: 000002.jpg is in split 2" in told and "line 3: bad row" in told
    assert "line 4: 182638.jpg is in split 1" in told and "3 problems" in told
    with pytest.raises(MagganError, match="000002.jpg: no such photo"):
        faces.photo("000002.jpg")


@pytest.mark.parametrize("damage", ["half", "empty", "text", "size", "grey"])
def test_damaged_photos(tmp_path, damage):
    folder = write_celeba(tmp_path / "celeba", (1, 2, 3))
    path = folder / "img_align_celeba" / "000002.jpg"
    data = path.read_bytes()
    if damage == "size":
        Image.new("RGB", (100, 100)).save(path)
    elif damage == "grey":
        Image.open(path).convert("L").save(path)
    else:
        path.write_bytes({"half": data[: len(data) // 2], "empty": b"", "text": b"not a photo"}[damage])
    faces = CelebA.open(folder)
    if damage == "grey":
        assert faces.photo("000002.jpg").mode == "RGB"
        return
    with pytest.raises(MagganError, match="000002.jpg") as raised:
        faces.photo("000002.jpg")
    assert "\n" not in str(raised.value)
    with pytest.raises(MagganError, match="000002.jpg"):
        faces.face("000002.jpg", 64)
    assert faces.face("000003.jpg", 64).shape == (3, 64, 64)


@pytest.mark.parametrize("absent", ["folder", "photos", "list_attr_celeba.txt", "list_eval_partition.txt"])
def test_absent_files_say_what_to_get(tmp_path, absent):
    folder = tmp_path / "celeba"
    if absent != "folder":
        write_celeba(folder, (1,))
        if absent == "photos":
            (folder / "img_align_celeba" / "000001.jpg").unlink()
        else:
            (folder / absent).unlink()
    with pytest.raises(MagganError) as raised:
        CelebA.open(folder)
    for wanted in ("img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt", "CELEBA=folder"):
        assert wanted in str(raised.value)
    assert "\n" not in str(raised.value)


def test_other_attribute_file(tmp_path):
    folder = write_celeba(tmp_path / "celeba", (1,))
    (folder / "list_attr_celeba.txt").write_text("1\nBald Bangs\n000001.jpg 1 1\n")
    with pytest.raises(MagganError, match="Black_Hair is missing"):
        CelebA.open(folder)


def test_real_photos():
    folder = os.environ.get("MAGGAN_REAL")
    if not folder:
        pytest.skip("real photos are not here: MAGGAN_REAL names no folder with celeba")
    faces = CelebA.open(os.path.join(folder, "celeba"))
    assert [len(faces.names(split)) for split in ("train", "validation", "test")] == [8361, 139, 1500]
    assert all(file_number(name) >= 182638 for name in faces.names("test"))
    # The label file as a whole gives the totals published for CelebA; the photos here are no even sample of it.
    labels, problems = read_attributes(Path(folder) / "celeba" / "list_attr_celeba.txt")
    assert len(labels) == 202_599 and problems == []
    counts = dict(zip(ATTRIBUTES, np.stack(list(labels.values())).sum(0, dtype=int).tolist(), strict=True))
    published = {"Bald": 4_547, "Eyeglasses": 13_193, "Male": 84_434, "No_Beard": 169_158, "Young": 156_734}
    assert {name: counts[name] for name in published} == published
    assert faces.face(faces.names("test")[0], 64).shape == (3, 64, 64)


def test_real_square_photos(tmp_path):
    """Photos of CelebA-HQ, 1024 px, named by their number in CelebA: used as they are."""
    folder = Path(os.environ.get("MAGGAN_REAL") or "nowhere")
    if not (folder / "celebahq_1024").is_dir():
        pytest.skip("real square photos are not here: MAGGAN_REAL names no folder with celebahq_1024")
    (tmp_path / "img_align_celeba").symlink_to(folder.absolute() / "celebahq_1024")
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt"):
        (tmp_path / name).symlink_to(folder.absolute() / "celeba" / name)
    faces = CelebA.open(tmp_path)
    assert len(faces) == 56 and faces.photo_size == (1024, 1024)
    for name in (faces.names("train")[0], faces.names("test")[-1]):
        assert crop_face(faces.photo(name)).shape == (3, 1024, 1024)
        assert faces.face(name, 256).shape == (3, 256, 256)
