"""The edit studio without its page: every control, what is seen of an edit, and what is refused."""

import io
import random

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from maggan.attributes import ATTRIBUTES, PARTS, relation_matrices
from maggan.basics.errors import MagganError
from maggan.basics.images import as_image, as_picture
from maggan.data.drawn import FIRST_SEED
from maggan.drawnfaces import draw, draw_flipped
from maggan.editor import Editor
from maggan.metrics import mre_of_flips
from maggan.profiles import profile
from maggan.regions import influence_regions, preserved_mask
from maggan.studio import Studio
from maggan.studio import pictures as studiopictures
from maggan.studio.pictures import edit_error, true_edit
from maggan.systems import build_generator
from maggan.variants import resolve


def untrained(row, name="smoke", parser=None):
    """An editor with the tiny generator of a profile as it starts, the same every time."""
    torch.manual_seed(0)
    config = resolve(row, profile(name))
    return Editor(build_generator(config).eval().requires_grad_(False), parser)


class AllSkin(torch.nn.Module):
    """A face parser that sees skin everywhere, but cloth in the lowest quarter."""

    size = 32

    def forward(self, images):
        logits = torch.zeros(len(images), len(PARTS), self.size, self.size)
        logits[:, PARTS.index("skin")] = 50.0
        logits[:, PARTS.index("cloth"), self.size * 3 // 4 :] = 100.0
        return (logits,)


@pytest.fixture
def editors():
    return {row: untrained(row) for row in ("maggan", "stgan")}


@pytest.fixture
def studio(editors):
    return Studio(editors, seed=3)


@pytest.fixture
def with_photos(editors):
    photo_editors = {row: untrained(row, "celeba64", AllSkin().eval()) for row in ("maggan", "stgan")}
    return Studio(editors, photo_editors, seed=3)


def as_png(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def photo():
    """Something of a photo's size: a drawn face in the middle of noise."""
    noise = random.Random(0).randbytes(200 * 240 * 3)
    picture = Image.frombytes("RGB", (200, 240), noise)
    picture.paste(as_picture(draw([1], 128).images[0]), (40, 50))
    return picture


EYES = ((88.0, 110.0), (120.0, 110.0))


# --------------------------------------------------------------------------------------------- the face


def test_it_opens_with_an_edit_to_look_at(studio):
    shown = studio.shown()
    assert list(shown.results) == list(shown.edits) == ["maggan", "stgan"]
    assert sum(value != 0 for value in studio.changes.values()) == 1
    assert shown.results["maggan"].tobytes() != shown.source.tobytes()
    assert studio.seed == studio.strip[0] and len(studio.thumbnails()) == len(studio.strip)


def test_the_models_that_come_with_the_package_edit_at_once():
    studio = Studio()
    shown = studio.shown()
    assert studio.size == 64 and set(shown.errors) == {"maggan", "stgan"}
    nearer = {row: edit_error(shown.true, edit, torch.ones(64, 64)) for row, edit in shown.edits.items()}
    untouched = edit_error(shown.true, shown.source, torch.ones(64, 64))
    assert all(distance < untouched for distance in nearer.values())  # nearer to the true edit than doing nothing


def test_a_face_is_picked_by_its_seed_and_keeps_the_changes(studio):
    studio.change("Eyeglasses", 1)
    changes = dict(studio.changes)
    studio.pick(41)
    assert studio.changes == changes and studio.photo is None
    assert studio.shown().source.tobytes() == as_picture(draw([41], studio.size).images[0]).tobytes()
    assert [studio.has(name) for name in ATTRIBUTES] == draw([41], 8).attributes[0].bool().tolist()


@pytest.mark.parametrize("seed", [-1, "3", 2.5, None, 2**63])
def test_what_is_no_seed_is_said(studio, seed):
    with pytest.raises(MagganError, match="a whole number from 0 on"):
        studio.pick(seed)
    assert studio.seed == studio.strip[0]


def test_another_face_is_new_seeded_and_never_one_trained_on(studio, editors):
    before = list(studio.strip)
    studio.redraw()
    assert studio.strip[1:] == before[:-1] and studio.seed == studio.strip[0] not in before
    again = Studio(editors, seed=3)
    again.redraw()
    assert again.strip == studio.strip != Studio(editors, seed=4).strip
    assert min(studio.strip) >= FIRST_SEED["test"] and max(studio.strip) < FIRST_SEED["decorrelated"]
    assert len(set(studio.strip)) == len(studio.strip)


# ------------------------------------------------------------------------------------------ the changes


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_attribute_changes_the_edit_either_way(studio, name):
    studio.clear()
    untouched = studio.shown()
    for value in (1.5, -1.5):
        studio.change(name, value)
        shown = studio.shown()
        assert shown.att_diff[ATTRIBUTES.index(name)] == value
        assert all(shown.edits[row].tobytes() != untouched.edits[row].tobytes() for row in shown.edits)


def test_strength_multiplies_the_changes(studio):
    studio.pick(41)
    studio.clear()
    studio.change("Young", 1)
    studio.strength = 0.5
    halved = studio.shown()
    studio.strength = 1
    studio.change("Young", 0.5)
    assert studio.shown().edits["maggan"].tobytes() == halved.edits["maggan"].tobytes()
    assert halved.att_diff.sum() == 0.5
    studio.strength = 0
    assert not studio.shown().att_diff.any()


@pytest.mark.parametrize("value", [1.6, -1.6, float("nan"), "much", None])
def test_changes_and_strength_have_limits(studio, value):
    changes = dict(studio.changes)
    with pytest.raises(MagganError, match="a change is a number from -1.5 to 1.5"):
        studio.change("Bald", value)
    with pytest.raises(MagganError, match="the strength is a number from 0 to 1.5"):
        studio.strength = value
    assert studio.changes == changes and studio.strength == 1


def test_an_unknown_attribute_is_named(studio):
    for action in (lambda: studio.change("Blond", 1), lambda: studio.flip("Blond"), lambda: studio.has("Blond")):
        with pytest.raises(MagganError, match="did you mean 'Blond_Hair'"):
            action()


def test_a_flip_turns_around_what_the_face_has(studio):
    for name in ATTRIBUTES:
        studio.flip(name)
        assert studio.changes[name] == (-1 if studio.has(name) else 1)


def test_of_two_that_exclude_each_other_the_last_is_done_and_it_is_said(studio):
    studio.clear()
    studio.change("Blond_Hair", 1)
    studio.change("Black_Hair", 1)
    shown = studio.shown()
    assert shown.att_diff[ATTRIBUTES.index("Blond_Hair")] <= 0 < shown.att_diff[ATTRIBUTES.index("Black_Hair")]
    assert any("Blond_Hair" in sentence for sentence in shown.said)
    studio.change("Blond_Hair", 1)  # moved last now
    assert studio.shown().att_diff[ATTRIBUTES.index("Blond_Hair")] == 1


def test_blending_leaves_what_is_preserved_as_it_was(studio):
    studio.pick(41)
    before = studio.shown()
    kept = before.preserved == 1
    assert kept.any()
    studio.blending = True
    for edit in studio.shown().edits.values():
        assert torch.equal(as_image(edit)[:, kept], as_image(before.source)[:, kept])
    assert all(studio.shown().errors[row] < before.errors[row] for row in before.errors)


def test_random_changes_are_few_and_seeded(editors):
    runs = []
    for _ in range(2):
        studio = Studio(editors, seed=7)
        runs.append([])
        for _ in range(5):
            studio.random()
            moved = {name: value for name, value in studio.changes.items() if value}
            assert 1 <= len(moved) <= 3
            assert all(value == (-1 if studio.has(name) else 1) for name, value in moved.items())
            runs[-1].append(moved)
    assert runs[0] == runs[1] and runs[0][0] != runs[0][1]


def test_reset_keeps_the_face_and_nothing_else(studio):
    studio.pick(41)
    studio.reset()
    first = studio.shown()
    studio.random()
    studio.strength, studio.blending = 0.3, True
    studio.relate("Bald", "+", "skin", True)
    studio.reset()
    assert studio.seed == 41 and studio.strength == 1 and not studio.blending and studio.table == "paper"
    assert studio.shown().edits["maggan"].tobytes() == first.edits["maggan"].tobytes()


def test_the_same_settings_are_edited_once(studio):
    assert studio.shown() is studio.shown()
    first = studio.shown()
    studio.change("Young", -1)
    assert studio.shown() is not first


# ------------------------------------------------------------------------------------------ the relation


def test_a_relation_that_is_edited_moves_the_region_and_the_edit(studio):
    studio.pick(41)
    studio.clear()
    studio.change("Pale_Skin", 1)
    before = studio.shown()
    studio.relate("Pale_Skin", "+", "hair", True)
    after = studio.shown()
    hair = studio.parts[PARTS.index("hair")]
    assert hair.any() and torch.allclose(before.preserved - after.preserved, hair, atol=1e-6)
    assert after.edits["maggan"].tobytes() != before.edits["maggan"].tobytes()  # it is guided by the relation
    assert after.edits["stgan"].tobytes() == before.edits["stgan"].tobytes()  # it is not
    studio.relate("Pale_Skin", "+", "hair", False)
    assert studio.table == "paper" and studio.shown().edits["maggan"].tobytes() == before.edits["maggan"].tobytes()


def test_the_sign_of_a_relation_counts(studio):
    studio.relate("Young", "-", "background", True)
    assert studio.related("Young", "-", "background") and not studio.related("Young", "+", "background")
    plus, minus = studio.table
    assert plus.shape == minus.shape == (13, 19)
    assert torch.equal(plus, relation_matrices("paper")[0]) and (minus - relation_matrices("paper")[1]).sum() == 1


def test_pairs_go_together(studio):
    studio.relate("Pale_Skin", "+", "r_ear", True)
    assert studio.related("Pale_Skin", "+", "l_ear")
    studio.relate("Pale_Skin", "+", "l_ear", False)
    assert not studio.related("Pale_Skin", "+", "r_ear") and studio.table == "paper"


@pytest.mark.parametrize("part", ["hat", "cloth", "neck_l"])
def test_some_parts_are_never_editable(studio, part):
    with pytest.raises(MagganError, match=f"{part} is never editable"):
        studio.relate("Bald", "+", part, True)
    assert studio.table == "paper"


def test_what_is_no_relation_is_said(studio):
    for attribute, sign, part, said in (
        ("Balt", "+", "hair", "'Bald'"), ("Bald", "x", "hair", "the sign must be"), ("Bald", "+", "hare", "'hair'"),
    ):  # fmt: skip
        with pytest.raises(MagganError, match=said):
            studio.relate(attribute, sign, part, True)
    with pytest.raises(MagganError, match="'extended'"):
        studio.use_table("extend")
    assert studio.table == "paper"


def test_tables_and_the_region_of_one_attribute(studio):
    studio.use_table("extended")
    assert studio.table == "extended"
    plus, minus = influence_regions(studio.parts[None], "extended")
    pale = ATTRIBUTES.index("Pale_Skin")
    assert torch.allclose(studio.region("Pale_Skin", "+"), plus[0, pale], atol=1e-6)
    assert torch.allclose(studio.region("Bald", "-"), minus[0, 0], atol=1e-6)
    assert studio.region("Pale_Skin", "+").sum() > influence_regions(studio.parts[None])[0][0, pale].sum()


# -------------------------------------------------------------------------------------------- the result


def test_the_error_of_a_single_flip_is_that_of_eq_2(studio):
    for name in ("Bangs", "Young", "Pale_Skin"):
        studio.pick(41)
        studio.clear()
        studio.flip(name)
        shown, i = studio.shown(), ATTRIBUTES.index(name)
        edits = torch.zeros(1, 13, 3, studio.size, studio.size)
        for row, edited in shown.edits.items():
            edits[0, i] = as_image(edited)
            wanted = mre_of_flips(as_image(shown.face)[None], edits, studio.parts[None], studio.attributes[None])
            assert shown.errors[row] == pytest.approx(wanted[0, i].item(), rel=1e-4)
            assert shown.errors[row] > 0


def test_the_error_by_hand():
    face, edited = Image.new("RGB", (2, 1)), Image.new("RGB", (2, 1), (255, 0, 0))
    assert edit_error(face, edited, torch.tensor([[1.0, 0.5]])) == pytest.approx(2 * 1.5 / 6)
    assert edit_error(face, face, torch.ones(1, 2)) == 0


def test_the_regions_are_those_of_what_was_changed(studio):
    studio.clear()
    assert bool((studio.shown().preserved == 1).all())
    studio.change("Bangs", -1.0)
    studio.change("Mouth_Slightly_Open", 0.5)
    shown = studio.shown()
    assert torch.equal(shown.preserved, preserved_mask(shown.parts[None], shown.att_diff[None])[0, 0])


def test_how_long_an_edit_took_is_known(studio):
    assert all(0 < seconds < 60 for seconds in studio.shown().seconds.values())


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_the_true_edit_of_one_attribute_is_its_counterfactual(name):
    had = draw([41], 16).attributes[0, ATTRIBUTES.index(name)]
    image, missing = true_edit(41, {name: 1 - 2 * had.item()}, 16)
    assert torch.equal(image, draw_flipped([41], 16, name).images[0]) and not missing
    same, missing = true_edit(41, {name: 2 * had.item() - 1}, 16)  # what is there already stays
    assert torch.equal(same, draw([41], 16).images[0]) and not missing


def test_the_true_edit_of_several_has_all_of_them(studio):
    studio.pick(41)
    studio.clear()
    plain = studio.shown().true
    assert plain.tobytes() == studio.face.tobytes()
    for name in ("Eyeglasses", "Mouth_Slightly_Open"):
        studio.flip(name)
    both = studio.shown().true
    one, other = (as_image(as_picture(draw_flipped([41], studio.size, name).images[0]))
                  for name in ("Eyeglasses", "Mouth_Slightly_Open"))  # fmt: skip
    source = as_image(studio.face)
    changed = [(picture != source).any(0) for picture in (one, other)]
    either, overlap = changed[0] | changed[1], changed[0] & changed[1]
    assert not overlap.any() and changed[0].any() and changed[1].any()
    assert torch.equal((as_image(both) != source).any(0), either)


def test_a_true_edit_that_cannot_be_is_said(studio):
    studio.clear()
    studio.change("Bald", 1)
    studio.change("Black_Hair", 1)
    image, missing = true_edit(studio.seed, {"Bald": 1, "Black_Hair": 1}, 16)
    assert missing == ["Bald"]
    assert any("No drawn face can have all of this" in sentence for sentence in studio.shown().said)


def test_the_png_is_the_edit_in_the_size_of_the_source(studio):
    for row in (None, "stgan"):
        with Image.open(io.BytesIO(studio.png(row))) as saved:
            assert saved.format == "PNG"
            assert saved.tobytes() == studio.shown().results[row or "maggan"].tobytes()


# ------------------------------------------------------------------------------------------- the pictures


def test_differences_are_black_or_white_where_nothing_changed():
    face = Image.new("RGB", (2, 1), (100, 100, 100))
    edited = face.copy()
    edited.putpixel((1, 0), (255, 255, 255))
    absolute = np.asarray(studiopictures.difference(face, edited))
    signed = np.asarray(studiopictures.difference(face, edited, signed=True))
    darker = np.asarray(studiopictures.difference(edited, face, signed=True))
    assert absolute[0, 0].max() < 10 and absolute[0, 1].max() > 240
    assert signed[0, 0].min() > 240 and signed[0, 1, 0] > 2 * signed[0, 1, 2]  # red where it is lighter
    assert darker[0, 1, 2] > 2 * darker[0, 1, 0]  # blue where it is darker


def test_overlays_colour_only_where_the_mask_is(studio):
    face = Image.new("RGB", (2, 1), (100, 100, 100))
    for laid in (studiopictures.overlay, studiopictures.preserved_overlay):
        pixels = np.asarray(laid(face, torch.tensor([[0.0, 1.0]])))
        assert pixels[0, 0].tolist() == [100, 100, 100] != pixels[0, 1].tolist()
    pure = torch.zeros(19, 1, 1)
    pure[PARTS.index("eye_g")] = 1
    assert studiopictures.parts_picture(pure).getpixel((0, 0)) == (0, 0, 0)


def test_a_figure_of_the_edit_has_all_its_pictures(studio):
    figure = studiopictures.edit_figure(studio.shown())
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels[0] == "source" and labels[-1] == "true edit" and len(labels) == 4
    assert f"{studio.shown().errors['maggan']:.4f}" in labels[1]


# --------------------------------------------------------------------------------------------- photos


def test_a_photo_is_refused_in_one_sentence_by_models_of_drawn_faces(studio, photo):
    before = studio.shown()
    with pytest.raises(MagganError, match="trained on drawn faces.*MODEL=folder") as refused:
        studio.upload(as_png(photo), "me.png")
    assert "\n" not in str(refused.value)
    assert studio.shown() is before and studio.unaligned is None


@pytest.mark.parametrize("data", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n"])
def test_a_bad_file_keeps_what_was_there(with_photos, data):
    before = with_photos.shown()
    with pytest.raises(MagganError, match="photo.jpg") as refused:
        with_photos.upload(data, "photo.jpg")
    assert "\n" not in str(refused.value) and with_photos.shown() is before and with_photos.unaligned is None


def test_a_photo_without_eyes_waits_for_them(with_photos, photo, monkeypatch):
    def blind(picture):
        raise MagganError("no face found that looks at the camera.")

    monkeypatch.setattr("maggan.studio.studio.find_eyes", blind)
    studio = with_photos
    before = studio.shown()
    with pytest.raises(MagganError, match="no face found"):
        studio.upload(as_png(photo), "me.png")
    assert studio.shown() is before and studio.photo is None and studio.unaligned.size == photo.size
    studio.change("Pale_Skin", 1)
    assert studio.photo is None  # the old face can still be edited meanwhile
    for eyes, said in [
        (((88, 110), (500, 110)), "outside of the photo"), (((88, 110), (88, 112)), "on one spot; name them apart"),
        (((88, 110), (88, "x")), "two places in the photo"), ((88, 110), "two places in the photo"),
    ]:  # fmt: skip
        with pytest.raises(MagganError, match=said):
            studio.set_eyes(eyes)
    studio.set_eyes(EYES)
    assert studio.photo.size == photo.size and studio.unaligned is None
    assert studio.shown().source.tobytes() == photo.tobytes()


def test_a_photo_is_edited_in_its_own_size_and_left_for_a_drawn_face(with_photos, photo, monkeypatch):
    monkeypatch.setattr("maggan.studio.studio.find_eyes", lambda picture: EYES)
    studio = with_photos
    studio.clear()
    studio.upload(as_png(photo), "me.png")
    studio.change("Pale_Skin", 1)
    shown = studio.shown()
    assert shown.true is None and studio.has("Male") is None
    assert shown.results["maggan"].size == photo.size and shown.edits["maggan"].size == (64, 64)
    alone = studio.photo_editors["stgan"].edit_photo(photo, {"Pale_Skin": 1}, eyes=EYES)
    assert studio.result("stgan").tobytes() == alone.result.tobytes() != shown.results["maggan"].tobytes()
    assert shown.edits["stgan"].tobytes() == alone.edited.tobytes() and studio.result("stgan") is studio.result("stgan")
    changed = (as_image(shown.results["maggan"]) != as_image(photo)).any(0)
    assert changed[50:170, 50:160].any() and not changed[:, :10].any()
    assert shown.preserved[:40].max() < 0.01 and shown.preserved[-8:].min() > 0.99  # skin may change, cloth may not
    studio.flip("Young")
    assert studio.changes["Young"] == 1
    studio.pick(41)
    assert studio.photo is None and studio.shown().true is not None and studio.main == "maggan"


def test_blending_in_a_photo_leaves_what_is_preserved(with_photos, photo, monkeypatch):
    monkeypatch.setattr("maggan.studio.studio.find_eyes", lambda picture: EYES)
    studio = with_photos
    studio.clear()
    studio.change("Pale_Skin", 1)
    studio.blending = True
    studio.upload(as_png(photo), "me.png")
    shown = studio.shown()
    kept = shown.preserved > 0.999
    assert kept.any()
    apart = (as_image(shown.edits["maggan"]) - as_image(shown.face))[:, kept].abs() * 127.5
    assert apart.max() <= 1  # one level of 255, from what little is not preserved


def test_a_face_may_lie_on_its_side_or_stand_on_its_head(with_photos, photo, monkeypatch):
    monkeypatch.setattr("maggan.studio.studio.find_eyes", lambda picture: EYES)
    studio = with_photos
    studio.clear()
    studio.upload(as_png(photo), "me.png")
    studio.set_eyes(((100, 130), (100, 90)))
    side = studio.shown()
    assert studio.eyes == ((100, 130), (100, 90)) and side.said == ()
    studio.set_eyes(EYES[::-1])
    head = studio.shown()
    assert any("wrong way round" in sentence for sentence in head.said)
    assert len({picture.tobytes() for picture in (side.face, head.face)}) == 2


def test_a_photo_without_a_change_is_the_photo(with_photos, photo, monkeypatch):
    monkeypatch.setattr("maggan.studio.studio.find_eyes", lambda picture: EYES)
    studio = with_photos
    studio.clear()
    studio.upload(as_png(photo), "me.png")
    for _ in range(2):
        shown = studio.shown()
        assert shown.source.tobytes() == shown.results["maggan"].tobytes() == studio.result("stgan").tobytes()
        assert all(edit.tobytes() == shown.face.tobytes() for edit in shown.edits.values()) and shown.said == ()
        assert set(shown.errors.values()) == {0}
        studio.change("Young", 1)
        studio.strength = 0


def test_a_classifier_estimates_what_a_photo_has(with_photos, photo, monkeypatch):
    from test_editor import Reads

    monkeypatch.setattr("maggan.studio.studio.find_eyes", lambda picture: EYES)
    studio = with_photos
    studio.pick(41)
    drawn = [studio.has(name) for name in ATTRIBUTES]
    for editor in studio.photo_editors.values():
        editor.classifier = Reads("Blond_Hair", "Black_Hair", "Male")
    assert not studio.estimated
    studio.upload(as_png(photo), "me.png")
    assert studio.estimated and [name for name in ATTRIBUTES if studio.has(name)] == [
        "Black_Hair", "Blond_Hair", "Male"
    ]  # fmt: skip
    studio.flip("Male")
    studio.flip("Young")
    assert studio.changes["Male"] == -1 and studio.changes["Young"] == 1
    studio.reset()  # both of the hair colours to begin with are there
    assert [name for name, value in studio.changes.items() if value] == ["Blond_Hair"]
    assert studio.shown().said == ("Blond_Hair takes the place of Black_Hair.",)
    assert studio.shown().att_diff[ATTRIBUTES.index("Black_Hair")] == -1
    for _ in range(10):
        studio.random()
        assert all(value == (-1 if studio.has(name) else 1) for name, value in studio.changes.items() if value)
    with pytest.raises(MagganError, match="on one spot"):
        studio.set_eyes(((50, 50), (50, 50)))
    assert studio.estimated and studio.has("Male")
    studio.pick(41)
    assert not studio.estimated and [studio.has(name) for name in ATTRIBUTES] == drawn


def test_a_photo_keeps_its_profile_of_colours(with_photos, photo, monkeypatch):
    monkeypatch.setattr("maggan.studio.studio.find_eyes", lambda picture: EYES)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = io.BytesIO()
    photo.save(file, "PNG", icc_profile=profile)
    for change in (0, 1):
        with_photos.clear()
        with_photos.change("Young", change)
        with_photos.upload(file.getvalue(), "me.png")
        with Image.open(io.BytesIO(with_photos.png())) as saved:
            assert saved.info["icc_profile"] == profile


def test_the_true_edit_is_said_to_be_the_full_one(studio):
    studio.clear()
    full = "The true edit is always the full one, whatever the sliders and the strength."
    assert full not in studio.shown().said
    studio.change("Young", -1)
    assert full not in studio.shown().said
    studio.strength = 0.5
    assert full in studio.shown().said
    studio.strength = 1
    studio.change("Eyeglasses", 0.4)
    assert full in studio.shown().said
    studio.strength = 0
    assert full not in studio.shown().said


def test_eyes_need_a_photo(studio):
    with pytest.raises(MagganError, match="upload one first"):
        studio.set_eyes(EYES)


def test_opening_with_a_model_of_ones_own(tmp_path):
    with pytest.raises(MagganError, match="MODEL=folder PARSER=file"):
        Studio.open(model=tmp_path)
    with pytest.raises(MagganError, match="is not there"):
        Studio.open(model=tmp_path, parser=tmp_path / "parser.safetensors")


@pytest.mark.parametrize("beside", [True, False])
def test_a_model_of_photos_is_shown_beside_stgan_of_the_same_run_if_it_is_there(tmp_path, monkeypatch, beside):
    loaded = []

    def load(path, parser=None):
        loaded.append((path, parser))
        return untrained(path.name.split("-seed")[0], "celeba64" if parser else "drawn64", parser and AllSkin())

    monkeypatch.setattr("maggan.pretrained.path", lambda row: tmp_path / f"{row}-seed0")
    monkeypatch.setattr("maggan.editor.Editor.load", load)
    if beside:
        (tmp_path / "stgan-seed0").mkdir()
        (tmp_path / "stgan-seed0" / "weights.safetensors").touch()
    studio = Studio.open(model=tmp_path / "maggan-seed0", parser="parser.pth")
    assert list(studio.photo_editors) == ["maggan", "stgan"][: 1 + beside]
    assert (tmp_path / "maggan-seed0", "parser.pth") in loaded
    if beside:  # which takes the parser that is loaded
        assert loaded[1][0] == tmp_path / "stgan-seed0" and loaded[1][1] is studio.photo_editors["maggan"].parser
    monkeypatch.setattr("maggan.editor.Editor.load", lambda path, parser=None: untrained("maggan", "drawn64"))
    with pytest.raises(MagganError, match="trained on drawn faces; MODEL must be"):
        Studio.open(model=tmp_path / "maggan-seed0", parser="parser.pth")


def test_models_side_by_side_are_of_one_size():
    with pytest.raises(MagganError, match="of one size"):
        Studio({"maggan": untrained("maggan"), "stgan": untrained("stgan", "drawn64")})
