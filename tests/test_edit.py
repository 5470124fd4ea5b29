"""The command that edits a face, and the networks that come with the package."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import to_pil_image

from maggan import edit, pretrained
from maggan.attributes import ATTRIBUTES, PARTS, released_flips, single_flips
from maggan.checkpoints import load_generator
from maggan.drawnfaces import draw
from maggan.editor import Editor
from maggan.errors import MagganError
from maggan.judges import build
from maggan.profiles import profile
from maggan.regions import preserved_mask
from maggan.train import train


@pytest.fixture(scope="module")
def editor():
    return Editor.load(pretrained.path("maggan"))


@pytest.fixture(scope="module")
def face():
    drawn = draw([7], 64)
    return to_pil_image(drawn.images[0] * 0.5 + 0.5), drawn.parts[0], drawn.attributes[0]


def test_what_comes_with_the_package_is_small_and_says_what_it_is():
    files = [pretrained.path(name) for name in pretrained.NETWORKS]
    assert sum(file.stat().st_size for file in files) <= pretrained.AT_MOST
    for row in ("stgan", "maggan"):
        _, config = load_generator(pretrained.path(row))
        assert (config.variant, config.profile, config.size) == (row, "drawn64", 64)
    with pytest.raises(MagganError, match="did you mean 'maggan'"):
        pretrained.path("magan")


@pytest.mark.parametrize("row", ["stgan", "maggan"])
def test_its_edits_are_edits(row, editor):
    """The classifier that comes along reads most flips in the edits; MagGAN's leave the rest alone."""
    drawn = draw(range(900, 924), 64)
    with torch.inference_mode():
        generator = load_generator(pretrained.path(row))[0]
        edits = generator.edits(drawn.images, released_flips(drawn.attributes, 1.5), drawn.parts)  # (B, 13, 3, S, S)
        seen = torch.stack([editor.classifier(edits[:, i])[:, i] > 0 for i in range(13)], 1)
    assert (seen != drawn.attributes.bool()).float().mean() > 0.6
    preserved = [preserved_mask(drawn.parts, flip) for flip in single_flips(drawn.attributes).unbind(1)]
    changed = torch.stack([
        (mask * (edits[:, i] - drawn.images).abs()).mean() for i, mask in enumerate(preserved)
    ])  # fmt: skip
    assert changed.mean() < (0.05 if row == "maggan" else 0.1)


def test_its_classifier_reads_drawn_faces(editor):
    drawn = draw(range(800, 860), 64)
    pictures = [to_pil_image(image * 0.5 + 0.5) for image in drawn.images]
    seen = torch.stack([editor.attributes_of(picture) for picture in pictures])
    assert (seen == drawn.attributes).float().mean() > 0.85


def test_weights_are_shipped_at_half_their_bits(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("maggan.pretrained.load_judges", lambda profile: _Judges(build("classifier", profile)))
    for row in ("stgan", "maggan"):
        train(row, "smoke", iterations=3)
    size = pretrained.ship("smoke", folder=tmp_path)
    assert size == sum(file.stat().st_size for file in tmp_path.glob("*.safetensors"))
    places = runs / "smoke" / "maggan-seed0", tmp_path / "maggan.safetensors"
    (whole, config), (half, same) = map(load_generator, places)
    assert config == same
    for name, tensor in whole.state_dict().items():
        rounded = half.state_dict()[name]
        assert rounded.dtype == tensor.dtype and torch.equal(rounded, tensor.to(torch.float16).to(tensor.dtype))


class _Judges:
    def __init__(self, classifier):
        self.classifier = classifier


def test_weights_of_photos_are_not_shipped(tmp_path):
    assert profile("celeba64").world == "celeba"
    with pytest.raises(MagganError, match="not for shipping"):
        pretrained.ship("celeba64", folder=tmp_path)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------ what is resolved


def of(*names):
    return torch.tensor([float(name in names) for name in ATTRIBUTES])


def test_conflicts_are_resolved_and_said(editor):
    changes, said = editor.resolved({"Blond_Hair": 1}, of("Black_Hair", "Young"))
    assert changes == {"Blond_Hair": 1, "Black_Hair": -1}
    assert said == ["Blond_Hair takes the place of Black_Hair."]
    changes, said = editor.resolved({"Black_Hair": 1, "Brown_Hair": 0.5}, of())
    assert changes == {"Brown_Hair": 0.5} and said == [
        "Brown_Hair and Black_Hair exclude each other; Brown_Hair is done."
    ]
    assert editor.resolved({"Bald": 1}, of("Bangs"))[0] == {"Bald": 1, "Bangs": -1}
    assert editor.resolved({"Bangs": -1, "Young": -1}, of("Bangs", "Bald")) == ({"Bangs": -1, "Young": -1}, [])
    assert editor.resolved({"Blond_Hair": 1, "Black_Hair": -0.5}, of("Black_Hair"))[0]["Black_Hair"] == -0.5
    # sliders at 0 ask for nothing, and are in nothing's way
    asked = dict.fromkeys(ATTRIBUTES, 0) | {"Blond_Hair": 1}
    assert editor.resolved(asked, of("Black_Hair"))[0] == {"Blond_Hair": 1, "Black_Hair": -1}


def test_an_edit_is_the_protocols(editor, face):
    """A single change is the flip that evaluation measures, what it releases at strength 1 included."""
    picture, parts, _ = face
    had = of("Black_Hair", "Young")
    edited = np.asarray(editor.edit(picture, {"Blond_Hair": 1}, 1.5, parts, had)).astype(int)
    flips = released_flips(had[None], strength=1.5)[:, ATTRIBUTES.index("Blond_Hair")]
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.inference_mode():
        expected = (editor.generator(pixels, flips, parts[None])[0] + 1) * 127.5
    assert np.abs(edited - expected.permute(1, 2, 0).numpy()).max() <= 0.51 + 1e-3


def test_a_relation_table_of_ones_own(editor, face):
    picture, parts, had = face
    nowhere = torch.zeros(2, len(ATTRIBUTES), len(PARTS)).unbind()
    usual, nothing = (editor.edit(picture, {"Eyeglasses": 1}, 1, parts, had, True, table) for table in (None, nowhere))
    assert nothing.tobytes() == picture.tobytes() != usual.tobytes()
    again = editor.edit(picture, {"Eyeglasses": 1}, 1, parts, had, True)
    assert again.tobytes() == usual.tobytes()  # the row's own table is back


# ------------------------------------------------------------------------------------------ the command line


def test_a_drawn_face_from_the_command_line(tmp_path, capsys):
    edit.main(["--drawn", "7", "--set", "Blond_Hair=1", "--out", str(tmp_path / "a.png")])
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == f"written: {tmp_path / 'a.png'}"
    assert Image.open(tmp_path / "a.png").size == (64, 64)
    edit.main(["--drawn", "7", "--set", "Blond_Hair=1", "--strength", "0", "--out", str(tmp_path / "b.png")])
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("arguments, told", [
    (["--drawn", "7", "--set", "Blond=1"], "did you mean 'Blond_Hair'"),
    (["--drawn", "7", "--set", "Bald"], "write an attribute and a number"),
    (["photo.jpg", "--drawn", "7"], "name a photo, or a drawn face"),
    (["nowhere.jpg", "--set", "Bald=1"], "nowhere.jpg: cannot be read"),
    (["{here}/text.jpg", "--set", "Bald=1"], "text.jpg: is no picture"),
    (["{here}/grey.png", "--set", "Bald=1"], "no model of photos in .*--model FOLDER"),
    (["{here}/grey.png", "--model", "{here}/gone"], "is not there"),
    (["{here}/grey.png", "--eyes", "1,2,3"], "write four numbers"),
])  # fmt: skip
def test_mistakes_are_told_in_one_line(arguments, told, tmp_path, monkeypatch):
    monkeypatch.setenv("MAGGAN_RUNS", str(tmp_path / "runs"))
    (tmp_path / "text.jpg").write_text("no picture")
    Image.new("RGB", (80, 80), "grey").save(tmp_path / "grey.png")
    arguments = [argument.format(here=tmp_path) for argument in arguments]
    with pytest.raises(MagganError, match=told) as error:
        edit.main([*arguments, "--out", str(tmp_path / "out.png")])
    assert "\n" not in str(error.value) and not (tmp_path / "out.png").exists()


def test_the_file_to_write_must_be_a_pictures(tmp_path):
    with pytest.raises(MagganError, match="name a .png, .jpg or .webp file"):
        edit.main(["--drawn", "7", "--out", str(tmp_path / "out.txt")])
    assert not list(tmp_path.iterdir())
