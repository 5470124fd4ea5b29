"""The command that edits a face, and the networks that come with the package."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from torchvision.transforms.functional import to_pil_image

import maggan
from maggan import pretrained, weights
from maggan.attributes import ATTRIBUTES, PARTS, released_flips, single_flips
from maggan.basics.errors import MagganError
from maggan.basics.images import as_picture
from maggan.commands.edit import main
from maggan.drawnfaces import draw
from maggan.editor import Editor, files
from maggan.pretrained import shipping
from maggan.profiles import profile
from maggan.regions import preserved_mask
from maggan.systems import build_generator
from maggan.train import train
from maggan.variants import resolve

SMOKE = profile("smoke")


@pytest.fixture(scope="module")
def editor():
    return Editor.load(pretrained.path("maggan"))


@pytest.fixture(scope="module")
def face():
    drawn = draw([7], 64)
    return to_pil_image(drawn.images[0] * 0.5 + 0.5), drawn.parts[0], drawn.attributes[0]


def test_what_comes_with_the_package_is_small_and_says_what_it_is():
    found = [pretrained.path(name) for name in pretrained.NETWORKS]
    assert sum(file.stat().st_size for file in found) <= shipping.AT_MOST
    for row in ("stgan", "maggan"):
        config = maggan.load(pretrained.path(row)).config
        assert (config.variant, config.profile, config.size) == (row, "drawn64", 64)
    with pytest.raises(MagganError, match="did you mean 'maggan'"):
        pretrained.path("magan")


@pytest.mark.parametrize("row", ["stgan", "maggan"])
def test_its_edits_are_edits(row, editor):
    """The classifier that comes along reads most flips in the edits; MagGAN's leave the rest alone."""
    drawn = draw(range(900, 924), 64)
    with torch.inference_mode():
        generator = maggan.load(pretrained.path(row))
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
    monkeypatch.setattr(shipping, "load_judges", lambda profile: _Judges(weights.judge_of("classifier", profile)))
    for row in ("stgan", "maggan"):
        train(row, SMOKE, iterations=3)
    size = shipping.ship(SMOKE, folder=tmp_path)
    assert size == sum(file.stat().st_size for file in tmp_path.glob("*.safetensors"))
    places = runs / "smoke" / "maggan-seed0", tmp_path / "maggan.safetensors"
    whole, half = map(maggan.load, places)
    assert whole.config == half.config
    for name, tensor in whole.state_dict().items():
        rounded = half.state_dict()[name]
        assert rounded.dtype == tensor.dtype and torch.equal(rounded, tensor.to(torch.float16).to(tensor.dtype))


class _Judges:
    def __init__(self, classifier):
        self.classifier = classifier


def test_weights_of_photos_are_not_shipped(tmp_path):
    assert profile("celeba64").world == "celeba"
    with pytest.raises(MagganError, match="not for shipping"):
        shipping.ship(profile("celeba64"), folder=tmp_path)
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
    main(["--drawn", "7", "--set", "Blond_Hair=1", "--out", str(tmp_path / "a.png")])
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == f"written: {tmp_path / 'a.png'}"
    assert Image.open(tmp_path / "a.png").size == (64, 64)
    main(["--drawn", "7", "--set", "Blond_Hair=1", "--strength", "0", "--out", str(tmp_path / "b.png")])
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("arguments, told", [
    (["--drawn", "7", "--set", "Blond=1"], "did you mean 'Blond_Hair'"),
    (["--drawn", "7", "--set", "Bald"], "write an attribute and a number"),
    (["photo.jpg", "--drawn", "7"], "name a photo, or a drawn face"),
    (["nowhere.jpg", "--set", "Bald=1"], "nowhere.jpg: cannot be read"),
    (["{here}/text.jpg", "--set", "Bald=1"], "text.jpg: is no picture"),
    (["{here}/grey.png", "--set", "Bald=1"], "no model of photos in .*--model FOLDER"),
    (["{here}/grey.png", "--set", "Bald=1", "--model", "{here}/gone"], "is not there"),
    (["{here}/grey.png", "--set", "Bald=1", "--eyes", "1,2,3"], "write four numbers, X,Y,X,Y, first the one on the"),
    (["{here}/grey.png", "--set", "Bald=1", "--model", "{here}/text.jpg"], "is not a weights file of maggan"),
    (["{here}/grey.png"], "say what to change: --set"),
    (["--drawn", "7"], "say what to change: --set"),
    (["--drawn", "7", "--set", "Bald=nan"], "changes: must be"),
    (["--drawn", "7", "--set", "Bald=1", "--strength", "-1"], "strength: must be"),
    (["--drawn", "7", "--set", "Bald=1", "--device", "foo"], "device foo: is not on this machine"),
    (["--drawn", "7", "--set", "Bald=1", "--device", "cuda:99"], "device cuda:99: is not on this machine"),
    (["--drawn", "9" * 30, "--set", "Bald=1"], "a drawn face is a whole number"),
    (["--drawn", "-1", "--set", "Bald=1"], "a drawn face is a whole number"),
    (["--drawn", "7", "--set", "Bald=1", "--eyes", "1,2,3,4"], "--eyes is for photos"),
    (["--drawn", "7", "--set", "Bald=1", "--parser", "p.pth"], "--parser is for photos"),
])  # fmt: skip
def test_mistakes_are_told_in_one_line(arguments, told, tmp_path, monkeypatch):
    monkeypatch.setenv("MAGGAN_RUNS", str(tmp_path / "runs"))
    (tmp_path / "text.jpg").write_text("no picture")
    Image.new("RGB", (80, 80), "grey").save(tmp_path / "grey.png")
    arguments = [argument.format(here=tmp_path) for argument in arguments]
    with pytest.raises(MagganError, match=told) as error:
        main([*arguments, "--out", str(tmp_path / "out.png")])
    assert "\n" not in str(error.value) and not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("out, told", [
    ("out.txt", "name a .png, .jpg or .webp file"), ("out", "name a .png, .jpg or .webp file"),
    ("folder.png", "is a folder"), ("file.txt/out.png", "no folder to write to"), ("x" * 300 + ".png", "cannot be"),
    ("grey.png", "is the photo itself"), ("link.png", "is the photo itself"),
])  # fmt: skip
def test_the_file_to_write_is_looked_at_before_anything_is_loaded(out, told, tmp_path, monkeypatch):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file.txt").touch()
    Image.new("RGB", (80, 80), "grey").save(tmp_path / "grey.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "grey.png")
    before = {file.name for file in tmp_path.iterdir()}
    if len(out) < 100:  # no look can tell how long a name may be
        monkeypatch.setattr("maggan.editor.Editor.load", lambda *args, **options: pytest.fail("loaded"))
    what = [str(tmp_path / "grey.png")] if "photo" in told else ["--drawn", "7"]
    with pytest.raises(MagganError, match=told) as error:
        main([*what, "--set", "Bald=1", "--out", str(tmp_path / out)])
    assert "\n" not in str(error.value) and {file.name for file in tmp_path.iterdir()} == before


def test_what_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(MagganError, match="long.webp: cannot be written") as told:
        files.write(Image.new("RGB", (17_000, 1)), tmp_path / "long.webp")
    assert "\n" not in str(told.value) and not list(tmp_path.iterdir())


def test_kinds_that_change_every_pixel_are_told(tmp_path, face):
    picture = face[0].resize((256, 256))
    assert files.write(picture, tmp_path / "a.png") == []
    (jpeg,), (webp,) = (files.write(picture, tmp_path / name) for name in ("a.jpg", "a.webp"))
    assert jpeg.startswith("JPEG changes every pixel a little") and webp.startswith("WebP changes every pixel")
    with Image.open(tmp_path / "a.jpg") as saved:
        assert saved.layer[0][1:3] == (1, 1)  # colours in full
        fine = {name: sum(table) for name, table in saved.quantization.items()}
    picture.save(tmp_path / "b.jpg", quality=95)
    with Image.open(tmp_path / "b.jpg") as same:
        assert fine == {name: sum(table) for name, table in same.quantization.items()}


def test_the_last_named_of_a_change_is_the_last():
    changes = files.changes_of(["Blond_Hair=1", "Black_Hair=1", "Blond_Hair=0.5"])
    assert list(changes.items()) == [("Black_Hair", 1), ("Blond_Hair", 0.5)]


def test_a_drawn_face_is_edited_as_asked_and_told(tmp_path, capsys, editor):
    def written(*arguments):
        main(["--drawn", "7", "--set", "Eyeglasses=1", *arguments, "--out", str(tmp_path / "a.png")])
        return Image.open(tmp_path / "a.png").tobytes()

    drawn = draw([7], 64)
    picture, parts, had = as_picture(drawn.images[0]), drawn.parts[0], drawn.attributes[0]
    for strength, blending in ((1.0, False), (0.5, False), (1.0, True)):
        arguments = ["--strength", str(strength), *(["--blend"] if blending else [])]
        expected = editor.edit(picture, {"Eyeglasses": 1}, strength, parts, had, blending)
        assert written(*arguments) == expected.tobytes()
    assert capsys.readouterr().out.splitlines() == [f"written: {tmp_path / 'a.png'}"] * 3
    hair = next(name for name in ("Black_Hair", "Brown_Hair", "Blond_Hair") if had[ATTRIBUTES.index(name)])
    other = next(name for name in ("Black_Hair", "Brown_Hair", "Blond_Hair") if name != hair)
    main(["--drawn", "7", "--set", f"{other}=1", "--out", str(tmp_path / "a.jpg")])
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{other} takes the place of {hair}." and told[1].startswith("JPEG changes") and len(told) == 3
    main(["--drawn", "7", "--set", f"{other}=1", "--strength", "0", "--out", str(tmp_path / "b.png")])
    assert capsys.readouterr().out.splitlines() == [f"written: {tmp_path / 'b.png'}"]
    assert Image.open(tmp_path / "b.png").tobytes() == editor.edit(picture, {}, 1, parts, had).tobytes()


# ---------------------------------------------------------------------------------- the same with a photo


EYES = ((88, 110), (120, 110))


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder of runs with untrained models of photos at 64 px, and at other sizes what only looks like one."""
    monkeypatch.setenv("MAGGAN_RUNS", str(tmp_path / "runs"))
    torch.manual_seed(0)
    config = resolve("stgan", profile("celeba64"))
    file = tmp_path / "runs" / "celeba64" / "maggan-seed0" / "weights.safetensors"
    file.parent.mkdir(parents=True)
    weights.save(file, build_generator(config))
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    photo = Image.fromarray(noise).resize((200, 240), Image.Resampling.BICUBIC)
    photo.save(tmp_path / "photo.png")
    return photo


class LeftIsCloth(torch.nn.Module):
    """A face parser that sees cloth on the left and skin on the right."""

    size = 64

    def forward(self, images):
        logits = torch.zeros(len(images), len(PARTS), self.size, self.size)
        logits[:, PARTS.index("skin"), :, 32:] = logits[:, PARTS.index("cloth"), :, :32] = 100.0
        return (logits,)


def test_a_photo_is_edited_as_asked(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("maggan.editor.editor.find_eyes", lambda photo: ((80, 100), (130, 100)))
    monkeypatch.setattr("maggan.editor.editor.load_parser", lambda path, device: LeftIsCloth().eval())
    model = tmp_path / "runs" / "celeba64" / "maggan-seed0"
    mine = Editor.load(model, parser="parser.pth")
    seen = set()
    for arguments, options in (
        ([], {}), (["--eyes", "88,110,120,110"], {"eyes": EYES}), (["--strength", "0.5"], {"strength": 0.5}),
        (["--blend"], {"blending": True}), (["--strength", "0"], {"strength": 0}),
    ):  # fmt: skip
        out = tmp_path / "out.png"
        main([str(tmp_path / "photo.png"), "--set", "Pale_Skin=1", "--parser", "parser.pth", *arguments,
                   "--out", str(out)])  # fmt: skip
        expected = mine.edit_photo(photos, {"Pale_Skin": 1}, **options).result
        assert Image.open(out).tobytes() == expected.tobytes()
        seen.add(expected.tobytes())
        assert capsys.readouterr().out.splitlines() == [f"written: {out}"]
    assert len(seen) == 5 and photos.tobytes() in seen  # the last one alone


def test_what_is_done_with_a_photo_is_told(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("maggan.editor.editor.load_parser", lambda path, device: LeftIsCloth().eval())
    parser = tmp_path / "runs" / "parser" / "parser.safetensors"
    parser.parent.mkdir()
    parser.touch()
    call = [str(tmp_path / "photo.png"), "--set", "Blond_Hair=1", "--out", str(tmp_path / "out.webp")]
    main([*call, "--eyes", "120,110,88,110", "--model", str(tmp_path / "runs" / "celeba64" / "maggan-seed0")])
    told = capsys.readouterr().out.splitlines()
    starts = ["Nothing was released for Blond_Hair: it is not known", "These eyes turn the face",
              f"The face was parsed by {parser}", "WebP changes", "written"]  # fmt: skip
    assert all(sentence.startswith(start) for sentence, start in zip(told, starts, strict=True))
    main([*call, "--eyes", "88,110,120,110"])
    assert not any("parsed by" in sentence for sentence in capsys.readouterr().out.splitlines())


def test_the_profile_of_colours_is_written(photos, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photos.save(tmp_path / "wide.png", icc_profile=profile)
    for kind in ("png", "jpg", "webp"):
        for source, kept in (("wide", profile), ("photo", None)):
            files.edit_file(tmp_path / f"{source}.png", {"Young": 1}, tmp_path / f"out.{kind}", eyes=EYES)
            with Image.open(tmp_path / f"out.{kind}") as written:
                assert written.info.get("icc_profile") == kept


def test_the_largest_model_of_photos_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("MAGGAN_RUNS", str(tmp_path))
    made = ("celeba64", "celeba256", "celeba1024", "celeba512", "celeba256-old", "celeba-mine", "celeba2048")
    for name in made:
        (tmp_path / name / "maggan-seed0").mkdir(parents=True)
    with pytest.raises(MagganError, match="no model of photos"):
        files.photo_model()
    for name in made:
        (tmp_path / name / "maggan-seed0" / "weights.safetensors").touch()
    assert files.photo_model() == tmp_path / "celeba1024" / "maggan-seed0"
    (tmp_path / "celeba1024" / "maggan-seed0" / "weights.safetensors").unlink()
    assert files.photo_model() == tmp_path / "celeba512" / "maggan-seed0"
