"""Faces on disk: drawn once, whole or absent, and the same however they are gathered."""

import pytest
import torch

from maggan import data
from maggan.basics.errors import MagganError
from maggan.data import drawn as source
from maggan.data.drawn import FIRST_SEED
from maggan.drawnfaces import draw
from maggan.profiles import profile

SMOKE = profile("smoke")


def test_stored_faces_are_the_drawn_ones(runs):
    faces = data.open_faces(SMOKE, "test")
    batch = faces.batch([3, 0])
    drawn = draw([FIRST_SEED["test"] + 3, FIRST_SEED["test"]], 32)
    assert len(faces) == 16 and faces.names[0] == "drawn-20000000"
    torch.testing.assert_close(batch.images, drawn.images, atol=1 / 255 + 1e-6, rtol=0)
    torch.testing.assert_close(batch.parts, drawn.parts, atol=0.02, rtol=0)  # 19 roundings, then sum 1 again
    torch.testing.assert_close(batch.parts.sum(1), torch.ones(2, 32, 32))
    assert torch.equal(batch.attributes, drawn.attributes)
    assert torch.equal(faces.attributes[[3, 0]].float(), batch.attributes)


def test_splits_share_no_face(runs):
    names = {split: set(data.open_faces(SMOKE, split).names) for split in data.SPLITS}
    assert [len(names[split]) for split in data.SPLITS] == [96, 16, 16]
    assert len(set().union(*names.values())) == 128


def test_training_faces_end_in_decorrelated_ones(runs):
    faces = data.open_faces(SMOKE, "train")
    decorrelated = draw([FIRST_SEED["decorrelated"]], 32, decorrelate=True)
    assert torch.equal(faces.batch([64]).attributes, decorrelated.attributes)
    assert faces.batch([64], parts=False).parts is None


def test_preparing_goes_on_where_it_was_and_makes_faces_of_older_code_anew(runs, monkeypatch):
    where = runs / "smoke" / "faces" / "test"
    (file,) = where.glob("*.safetensors")
    before = file.stat().st_mtime_ns
    data.prepare(SMOKE, "test", workers=1)
    assert file.stat().st_mtime_ns == before
    file.unlink()
    data.prepare(SMOKE, "test", workers=1)
    assert file.exists()
    again = file.stat().st_mtime_ns
    monkeypatch.setattr(source, "code_of", lambda *_: "newer")
    data.prepare(SMOKE, "test", workers=1)
    assert file.stat().st_mtime_ns != again


def test_unknown_split_names_the_nearest(runs):
    with pytest.raises(MagganError, match="did you mean 'validation'"):
        data.open_faces(SMOKE, "validaton")


def test_celeba_profile_without_the_folder_says_what_to_get(runs, monkeypatch):
    monkeypatch.delenv("CELEBA", raising=False)
    with pytest.raises(MagganError, match="img_align_celeba.zip"):
        data.open_faces(profile("celeba64"), "train")
