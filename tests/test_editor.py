"""The editor: pictures in, pictures out, and what it says when masks or names are missing."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import to_pil_image

import maggan
from maggan import pretrained, weights
from maggan.basics.errors import MagganError
from maggan.data import open_faces
from maggan.profiles import profile
from maggan.systems import build_generator
from maggan.train import train
from maggan.variants import resolve

SMOKE = profile("smoke")


@pytest.fixture
def face(runs):
    batch = open_faces(SMOKE, "test").batch([0])
    return to_pil_image(batch.images[0] * 0.5 + 0.5), batch.parts[0]


def test_an_edit_changes_what_is_asked_and_its_size_is_the_rows(face):
    image, parts = face
    editor = maggan.Editor.load(train("maggan", SMOKE, iterations=2))
    edited = editor.edit(image, {"Blond_Hair": +1, "Bangs": -1}, parts=parts)
    assert isinstance(edited, Image.Image) and edited.size == (32, 32) and edited.mode == "RGB"
    assert edited.tobytes() != editor.edit(image, {}, parts=parts).tobytes()
    stronger = editor.edit(image, {"Blond_Hair": +1, "Bangs": -1}, strength=1.5, parts=parts)
    assert stronger.tobytes() != edited.tobytes()


def test_blending_keeps_the_source_where_nothing_may_change(face):
    image, parts = face
    hat = torch.zeros_like(parts)
    hat[maggan.PARTS.index("hat")] = 1  # never editable, so the whole picture is preserved
    editor = maggan.Editor.load(train("stgan", SMOKE, iterations=2))
    assert editor.edit(image, {"Bald": 1}, parts=hat, blending=True).tobytes() == image.tobytes()


def test_any_size_and_mode_will_do(face):
    editor = maggan.Editor.load(train("stgan", SMOKE, iterations=2))
    assert editor.edit(Image.new("L", (70, 50)), {"Young": -1}).size == (32, 32)


def test_what_is_missing_is_said_in_one_line(face):
    image, parts = face
    editor = maggan.Editor.load(train("maggan", SMOKE, iterations=2))
    with pytest.raises(MagganError, match=r"guided by masks: .*parts=draw\(\[seed\], size\).parts\[0\]"):
        editor.edit(image, {"Bald": 1})
    with pytest.raises(MagganError, match="unknown attribute 'Blond': did you mean 'Blond_Hair'"):
        editor.edit(image, {"Blond": 1}, parts=parts)


# ------------------------------------------------------------------------- without training, which takes seconds


EYES = ((88, 110), (120, 110))


class Reads(torch.nn.Module):
    """An attribute classifier that reads the same names off every face."""

    def __init__(self, *names):
        super().__init__()
        self.logits = torch.tensor([1.0 if name in names else -1.0 for name in maggan.ATTRIBUTES])

    def forward(self, images):
        return self.logits.expand(len(images), -1)


class RedIsSkin(torch.nn.Module):
    """A face parser that sees skin where a picture is red, and background elsewhere."""

    size = 64

    def forward(self, images):
        logits = torch.zeros(len(images), len(maggan.PARTS), self.size, self.size)
        red = images[:, 0] > images[:, 2]
        logits[:, maggan.PARTS.index("skin")] = torch.where(red, 100.0, -100.0)
        return (logits,)


def untrained(row="stgan", name="celeba64", **more):
    """An editor with a profile's generator as it starts, the same every time."""
    torch.manual_seed(0)
    config = resolve(row, profile(name))
    return maggan.Editor(build_generator(config).eval().requires_grad_(False), **more)


@pytest.fixture
def photo():
    """Red on its left, blue on its right, lighter above."""
    pixels = np.zeros((240, 200, 3), np.uint8)
    pixels[:, :104, 0] = pixels[:, 104:, 2] = np.linspace(220, 90, 240, dtype=np.uint8)[:, None]
    return Image.fromarray(pixels)


@pytest.mark.parametrize("changes, strength", [({"Blond_Hair": 1}, 0), ({"Blond_Hair": 0, "Young": 0}, 1), ({}, 1)])
def test_nothing_wanted_is_nothing_done(photo, changes, strength):
    editor = untrained(classifier=Reads("Black_Hair"))
    edit = editor.edit_photo(photo, changes, strength, EYES)
    assert edit.result.tobytes() == photo.tobytes() and not np.asarray(edit.mask).any() and edit.said == []
    assert edit.edited.tobytes() == edit.face.tobytes()
    assert editor.resolved(changes, Reads("Black_Hair")(photo.size)[0] > 0, strength) == ({}, [])
    square = photo.resize((64, 64))
    assert editor.edit(square, changes, strength).tobytes() == editor.edit(square, {}).tobytes()


@pytest.mark.parametrize("strength", [-1, float("nan"), float("inf"), "much", None, "1"])
def test_strengths_that_are_none(photo, strength):
    editor = untrained()
    for call in (lambda: editor.edit(photo, {"Young": 1}, strength),
                 lambda: editor.edit_photo(photo, {"Young": 1}, strength, EYES)):  # fmt: skip
        with pytest.raises(MagganError, match="strength: must be a finite number from 0 on"):
            call()


ONES = torch.ones(len(maggan.PARTS), 64, 64)
WRONG = {
    "changes": [None, ["Bald"], "Bald", {"Bald": "1"}, {"Bald": None}, {"Bald": float("nan")}, {"Bald": float("inf")}],
    "parts": [ONES[:, :32], ONES[None], ONES * 255, ONES * float("nan"), "masks", {"hair": 1}, ONES[0]],
    "attributes": [{"Bald": 1}, torch.zeros(12), torch.zeros(1, 13), -torch.ones(13), [0.5] * 13, "Bald", 3],
    "table": [torch.ones(13, 19), (torch.ones(13, 19),), (torch.ones(13, 18),) * 2, 3, (-torch.ones(13, 19),) * 2],
    "image": [np.zeros((64, 64, 3), np.uint8), torch.zeros(3, 64, 64), "photo.jpg", None],
}


@pytest.mark.parametrize("row", ["stgan", "maggan"])
@pytest.mark.parametrize("name, value", [
    pytest.param(name, value, id=f"{name}{i}") for name, values in WRONG.items() for i, value in enumerate(values)
])  # fmt: skip
def test_what_is_of_another_kind_or_shape_is_told_in_one_line(row, name, value):
    editor = untrained(row)
    arguments = {"image": Image.new("RGB", (64, 64)), "changes": {"Bald": 1}, "parts": ONES / 19}
    with pytest.raises(MagganError, match=f"^{name}: must be .*; not ") as told:
        editor.edit(**{**arguments, name: value})
    assert "\n" not in str(told.value) and len(str(told.value)) < 250


def test_what_is_wrong_is_said_of_photos_too(photo):
    editor = untrained()
    for wrong, told in [
        ({"photo": np.asarray(photo)}, "photo: must be a PIL image"), ({"changes": [1]}, "changes: must be"),
        ({"table": "papers"}, "did you mean 'paper'"), ({"eyes": (220, 150)}, r"\(\(x, y\), \(x, y\)\)"),
        ({"eyes": "here"}, "two places"), ({"eyes": ((1, 2), (3, float("nan")))}, "outside of the photo"),
        ({"changes": {"Bald": 1e300}}, "too large for the network"),
    ]:  # fmt: skip
        arguments = {"photo": photo, "changes": {"Bald": 1}, "eyes": EYES, **wrong}
        with pytest.raises(MagganError, match=told) as error:
            editor.edit_photo(**arguments)
        assert "\n" not in str(error.value)
    with pytest.raises(MagganError, match="did you mean 'paper'"):
        editor.edit(photo, {"Bald": 1}, table="papers")


def test_masks_may_be_arrays_and_a_table_two_matrices_in_one(photo):
    editor, square = untrained("maggan"), photo.resize((64, 64))
    parts = np.full((len(maggan.PARTS), 64, 64), 1 / 19, np.float64)
    edited = editor.edit(square, {"Bald": 1}, parts=parts, attributes=[0] * 13)
    assert edited.tobytes() == editor.edit(square, {"Bald": 1}, parts=torch.from_numpy(parts)).tobytes()
    both = torch.zeros(2, 13, 19)
    nowhere = editor.edit(square, {"Bald": 1}, parts=parts, blending=True, table=both)
    assert nowhere.tobytes() == square.tobytes()


def test_a_table_of_one_call_does_not_stay(photo):
    editor, parts = untrained("maggan"), ONES / 19
    before = editor.generator.config
    editor.edit(photo, {"Bald": 1}, parts=parts, table="extended")
    assert editor.generator.config is before
    with pytest.raises(MagganError, match="too large"):
        editor.edit(photo, {"Bald": 1e30}, parts=parts, table="extended")
    assert editor.generator.config is before


def test_why_masks_are_needed_and_where_they_come_from(photo):
    with pytest.raises(MagganError, match="row maggan is guided by masks: pass parts=..., or load .* with a parser"):
        untrained("maggan").edit(photo, {"Bald": 1})
    with pytest.raises(MagganError, match="^blending looks at masks: pass parts") as told:
        untrained("stgan").edit(photo, {"Bald": 1}, blending=True)
    assert "stgan" not in str(told.value)
    with pytest.raises(MagganError, match="guided by masks: load the editor with a parser"):
        untrained("maggan").edit_photo(photo, {"Bald": 1}, eyes=EYES)


def test_the_parsers_masks_lie_on_the_face(photo):
    """Neither mirrored nor upside down: what is red in the cut-out face is skin in its masks."""
    edit = untrained(parser=RedIsSkin().eval()).edit_photo(photo, {"Pale_Skin": 1}, eyes=EYES)
    levels = np.asarray(edit.face).astype(int)
    skin = edit.parts[maggan.PARTS.index("skin")].numpy() > 0.5
    red = levels[..., 0] > levels[..., 2]
    assert red[:, :24].all() and not red[:, 40:].any() and (skin == red).mean() > 0.95
    blended = untrained(parser=RedIsSkin().eval()).edit(photo, {"Pale_Skin": 1}, blending=True)
    untouched = np.asarray(photo.crop((0, 20, 200, 220)).resize((64, 64), Image.Resampling.BICUBIC)).astype(int)
    apart = np.abs(np.asarray(blended) - untouched)
    assert apart[:, 40:].max() <= 1 < apart[:, :24].max()  # the blue half is to be preserved


def test_the_parsers_masks_are_the_right_way_up(photo):
    turned = photo.transpose(Image.Transpose.ROTATE_270)  # red above now
    edited = untrained(parser=RedIsSkin().eval()).edit(turned, {"Pale_Skin": 1}, blending=True)
    middle = np.asarray(turned.crop((20, 0, 220, 200)).resize((64, 64), Image.Resampling.BICUBIC)).astype(int)
    apart = np.abs(np.asarray(edited) - middle)
    assert apart[40:].max() <= 1 < apart[:24].max()


def test_the_classifier_says_what_there_is_to_release(photo):
    blind, reads = untrained(), untrained(classifier=Reads("Black_Hair"))
    had = [float(name == "Black_Hair") for name in maggan.ATTRIBUTES]
    square = photo.resize((64, 64))
    edited = reads.edit(square, {"Blond_Hair": 1})
    assert edited.tobytes() == blind.edit(square, {"Blond_Hair": 1}, attributes=had).tobytes()
    assert edited.tobytes() != blind.edit(square, {"Blond_Hair": 1}).tobytes()
    edit = reads.edit_photo(photo, {"Blond_Hair": 1}, eyes=EYES)
    assert edit.said == ["Blond_Hair takes the place of Black_Hair."]
    without = blind.edit_photo(photo, {"Blond_Hair": 1}, eyes=EYES)
    assert edit.edited.tobytes() != without.edited.tobytes() and edit.result.tobytes() != without.result.tobytes()
    assert len(without.said) == 1 and "not known what the face has" in without.said[0]
    assert blind.edit_photo(photo, {"Young": 1}, eyes=EYES).said == []  # which excludes nothing


def test_pictures_are_made_upright_rgb_first(photo):
    editor = untrained()
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    photo.transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    upright = editor.edit_photo(photo, {"Young": 1}, eyes=EYES)
    turned = editor.edit_photo(Image.open(file), {"Young": 1}, eyes=EYES)
    assert turned.result.tobytes() == upright.result.tobytes()
    assert editor.edit(Image.open(file), {"Young": 1}).tobytes() == editor.edit(photo, {"Young": 1}).tobytes()
    deep = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 256)
    assert editor.edit(deep, {"Young": 1}).tobytes() == editor.edit(photo.convert("L"), {"Young": 1}).tobytes()
    clear, white = Image.new("RGBA", (200, 240), (9, 200, 30, 0)), Image.new("RGB", (200, 240), "white")
    assert editor.edit_photo(clear, {}, eyes=EYES).result.tobytes() == white.tobytes()
    assert editor.edit(clear, {"Young": 1}).tobytes() == editor.edit(white, {"Young": 1}).tobytes()
    file = io.BytesIO()
    photo.save(file, "JPEG")
    with pytest.raises(MagganError, match="^image: cannot be read"):
        editor.edit(Image.open(io.BytesIO(file.getvalue()[:700])), {"Young": 1})


def test_a_face_that_stands_on_its_head(photo):
    editor = untrained()
    swapped = editor.edit_photo(photo, {"Young": 1}, eyes=EYES[::-1])
    assert any("wrong way round" in sentence for sentence in swapped.said)
    head = photo.transpose(Image.Transpose.ROTATE_180)
    eyes = [(199 - x, 239 - y) for x, y in EYES]
    upright, turned = (editor.edit_photo(*of[:1], {"Young": 1}, eyes=of[1]) for of in ((photo, EYES), (head, eyes)))
    apart = np.abs(np.asarray(upright.face).astype(int) - np.asarray(turned.face))
    assert np.percentile(apart, 99) <= 3 and not upright.said and "wrong way round" in turned.said[0]
    sideways = editor.edit_photo(photo, {"Young": 1}, eyes=((100, 90), (100, 130)))
    assert sideways.said == []


@pytest.mark.parametrize("device", ["cuda:99", "foo", "meta"])
def test_a_device_that_is_not_here(device):
    with pytest.raises(MagganError, match=f"device {device}: is not on this machine") as told:
        maggan.Editor.load("nowhere", device=device)
    assert "\n" not in str(told.value)


def test_what_is_no_weights_file_is_not_to_be_deleted(tmp_path, monkeypatch):
    monkeypatch.setenv("MAGGAN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("README.md", "79999_iter.pth", "a.safetensors", "runs/parser.pth"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no weights")
        with pytest.raises(MagganError, match="is not a weights file of maggan .*; name a run folder") as told:
            maggan.Editor.load(f"~/{name}")
        assert "delete" not in str(told.value)
    (tmp_path / "runs" / "b.safetensors").write_text("no weights")
    with pytest.raises(MagganError, match="is damaged .*; delete it and train the row again"):
        maggan.Editor.load(tmp_path / "runs" / "b.safetensors")


def test_weights_of_another_kind_or_world_are_one_line(tmp_path):
    with pytest.raises(MagganError, match="classifier.safetensors: is a judge, no generator; name a run folder"):
        maggan.Editor.load(pretrained.path("classifier"))
    with pytest.raises(MagganError, match="stgan.safetensors: is a generator, no classifier; name the one"):
        maggan.Editor.load(pretrained.path("maggan"), classifier=pretrained.path("stgan"))
    generator = maggan.load(pretrained.path("maggan"))
    generator.world = "drwan"
    weights.save(tmp_path / "elsewhere.safetensors", generator)
    with pytest.raises(MagganError, match="unknown world 'drwan': did you mean 'drawn'"):
        maggan.Editor.load(tmp_path / "elsewhere.safetensors")


def test_a_classifier_that_is_named_is_taken_or_said_to_be_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(MagganError, match="no classifier here") as told:
        maggan.Editor.load(pretrained.path("maggan"), classifier="~/none.safetensors")
    assert "train the row" not in str(told.value)
    torch.manual_seed(1)
    mine = weights.judge_of("classifier", profile("drawn64"))
    weights.save(tmp_path / "mine.safetensors", mine)
    loaded = maggan.Editor.load(pretrained.path("maggan"), classifier="~/mine.safetensors").classifier
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), mine.parameters(), strict=True))
