"""One code path for both worlds: CelebA's official layout, made here of drawn faces, trains and is judged."""

from dataclasses import replace

import pytest
from PIL import Image
from torchvision.transforms.functional import to_pil_image

from maggan.attributes import ATTRIBUTES
from maggan.basics.errors import MagganError
from maggan.data import open_faces, source
from maggan.drawnfaces import draw
from maggan.evaluate import evaluate
from maggan.evaluate.judges import train_judges
from maggan.masks import MaskStore
from maggan.profiles import profile
from maggan.train import read_log, train

NUMBERS = [*range(1, 25), *range(182_001, 182_005), *range(182_638, 182_646)]


@pytest.fixture
def celeba(tmp_path, monkeypatch):
    """A folder in CelebA's layout, 36 photos, and the store of their masks."""
    faces = draw(range(len(NUMBERS)), 170)
    names = [f"{number:06d}.jpg" for number in NUMBERS]
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    rows = [f"{len(NUMBERS)}", " ".join(ATTRIBUTES) + " "]
    with MaskStore.create(tmp_path / "masks", parser="drawn") as store:
        for i, name in enumerate(names):
            photo = to_pil_image(faces.images[i] * 0.5 + 0.5)
            canvas = photo.resize((178, 218))
            canvas.paste(photo, (3, 26))  # where STGAN's crop lies
            canvas.save(folder / "img_align_celeba" / name, quality=95)
            store[name] = draw([i], 256).parts[0]
            rows.append(f"{name} " + "  ".join("1" if a else "-1" for a in faces.attributes[i].tolist()))
    (folder / "list_attr_celeba.txt").write_text("\r\n".join(rows) + "\r\n")
    (folder / "list_eval_partition.txt").write_text("".join(f"{n} {2 if int(n[:6]) > 182_637 else 0}\n" for n in names))
    monkeypatch.setenv("CELEBA", str(folder))
    monkeypatch.setenv("MASKS", str(tmp_path / "masks"))
    monkeypatch.setenv("MAGGAN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path / "results"))
    return folder


def small(**changes):
    """celeba64 with the smoke profile's numbers."""
    same = ("size", "width", "levels", "critic_width", "head_width", "batch", "judge_width", "judge_epochs")
    numbers = {name: getattr(profile("smoke"), name) for name in same}
    return replace(profile("celeba64"), **{**numbers, "iterations": 2, "sample_every": 1, **changes})


def test_photos_and_masks_lie_on_one_another(celeba):
    faces = open_faces(small(), "train")
    drawn = draw([3], 32)
    batch = faces.batch([3])
    assert len(faces) == 24 and faces.names[3] == "000004.jpg"
    assert (batch.images - drawn.images).abs().mean() < 0.05  # JPEG and two resizings apart
    assert (batch.parts - drawn.parts).abs().mean() < 0.005
    assert batch.attributes.tolist() == drawn.attributes.tolist()


def test_splits_go_by_file_number(celeba):
    assert [len(open_faces(small(), split)) for split in ("train", "validation", "test")] == [24, 4, 8]


def test_large_photos_are_decoded_as_they_are_needed(celeba):
    faces = open_faces(small(size=256, levels=5), "test")
    assert faces.batch([7, 0]).images.shape == (2, 3, 256, 256)
    assert faces.batch([7], parts=False).parts is None
    assert not list(celeba.parent.glob("runs/**/*.safetensors"))


def test_a_row_is_trained_and_judged_on_photos(celeba):
    train_judges(small())
    assert len(read_log(train("maggan", small()))) == 2
    result = evaluate("maggan", small())
    assert result["faces"] == 8 and result["metrics"]["mre"]["value"] > 0
    with pytest.raises(MagganError, match="needs drawn faces"):
        evaluate("true-edit", small())


def test_a_photo_that_nobody_parsed_is_told(celeba):
    (celeba / "img_align_celeba" / "000025.jpg").write_bytes((celeba / "img_align_celeba" / "000001.jpg").read_bytes())
    with open(celeba / "list_attr_celeba.txt", "a") as labels:
        labels.write("000025.jpg" + " -1" * 13 + "\r\n")
    with open(celeba / "list_eval_partition.txt", "a") as partition:
        partition.write("000025.jpg 0\n")
    with pytest.raises(MagganError, match="1 of 25 train photos have no mask, 000025.jpg for one; build the missing"):
        open_faces(small(), "train")


def test_a_row_trained_on_other_photos_is_put_aside(celeba, capsys):
    train("stgan", small())
    for number in (23, 24):
        (celeba / "img_align_celeba" / f"{number:06d}.jpg").unlink()
    train("stgan", small())
    assert "the faces of stgan-seed0 have changed" in capsys.readouterr().out


def test_masks_of_another_crop_are_refused(celeba, monkeypatch, tmp_path):
    """Square photos have the same names as those of 178 x 218, but their masks lie elsewhere."""
    photos = sorted((celeba / "img_align_celeba").iterdir())
    for name, crop in (("cropped", [26, 3, 170]), ("whole", "whole")):
        with MaskStore.create(tmp_path / name, crop=crop) as store:
            store[photos[0].name] = draw([0], 256).parts[0]
            store.left_out = {photo.name for photo in photos[1:]}

    def opened(masks):
        monkeypatch.setenv("MASKS", str(tmp_path / masks))
        return source(small(), "train").names

    assert opened("cropped") == [photos[0].name]
    with pytest.raises(MagganError, match="whole: its masks are of photos with another crop .* make masks CELEBA="):
        opened("whole")
    for photo in photos:
        Image.new("RGB", (256, 256)).save(photo)
    assert opened("whole") == [photos[0].name]
    with pytest.raises(MagganError, match="cropped: its masks are of photos with another crop"):
        opened("cropped")
    assert len(opened("masks")) == 24  # a store that does not say is taken as it is


def test_masks_that_are_not_there_are_asked_for(celeba, monkeypatch, tmp_path):
    monkeypatch.setenv("MASKS", str(tmp_path / "nowhere"))
    with pytest.raises(MagganError, match="build them: python -m maggan.masks build"):
        open_faces(small(), "train")
