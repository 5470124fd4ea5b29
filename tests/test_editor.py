"""The editor: pictures in, pictures out, and what it says when masks or names are missing."""

import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import to_pil_image

import maggan
from maggan.data import open_faces
from maggan.errors import MagganError
from maggan.train import train


@pytest.fixture
def face(runs):
    batch = open_faces("smoke", "test").batch([0])
    return to_pil_image(batch.images[0] * 0.5 + 0.5), batch.parts[0]


def test_an_edit_changes_what_is_asked_and_its_size_is_the_rows(face):
    image, parts = face
    editor = maggan.Editor.load(train("maggan", "smoke", iterations=2))
    edited = editor.edit(image, {"Blond_Hair": +1, "Bangs": -1}, parts=parts)
    assert isinstance(edited, Image.Image) and edited.size == (32, 32) and edited.mode == "RGB"
    assert edited.tobytes() != editor.edit(image, {}, parts=parts).tobytes()
    stronger = editor.edit(image, {"Blond_Hair": +1, "Bangs": -1}, strength=1.5, parts=parts)
    assert stronger.tobytes() != edited.tobytes()


def test_blending_keeps_the_source_where_nothing_may_change(face):
    image, parts = face
    hat = torch.zeros_like(parts)
    hat[maggan.PARTS.index("hat")] = 1  # never editable, so the whole picture is preserved
    editor = maggan.Editor.load(train("stgan", "smoke", iterations=2))
    assert editor.edit(image, {"Bald": 1}, parts=hat, blending=True).tobytes() == image.tobytes()


def test_any_size_and_mode_will_do(face):
    editor = maggan.Editor.load(train("stgan", "smoke", iterations=2))
    assert editor.edit(Image.new("L", (70, 50)), {"Young": -1}).size == (32, 32)


def test_what_is_missing_is_said_in_one_line(face):
    image, parts = face
    editor = maggan.Editor.load(train("maggan", "smoke", iterations=2))
    with pytest.raises(MagganError, match="pass parts=..., or load the editor with a parser"):
        editor.edit(image, {"Bald": 1})
    with pytest.raises(MagganError, match="unknown attribute 'Blond': did you mean 'Blond_Hair'"):
        editor.edit(image, {"Blond": 1}, parts=parts)
