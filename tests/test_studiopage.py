"""The studio's page: what each widget does to the picture, and mistakes that become one sentence."""

import base64
import io
import json
import re
from datetime import UTC, datetime

import pytest
from PIL import Image

from maggan.attributes import ATTRIBUTES, NEVER_EDITABLE
from maggan.basics.paths import ROOT
from maggan.editor.photo import NoEyesError
from maggan.studio import Studio
from maggan.studio import html as studiohtml
from maggan.studio.page import COLUMNS, StudioPage


@pytest.fixture(scope="module")
def editors():
    """The models that come with the package, read once."""
    return Studio().drawn_editors


@pytest.fixture
def page(editors):
    return StudioPage(Studio(editors, seed=3))


def pictures(widget):
    """The pictures inside an HTML widget, as PIL images."""
    found = re.findall(r"data:image/(?:png|jpeg);base64,([A-Za-z0-9+/=]+)", widget.value)
    return [Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB") for data in found]


def same(picture, other):
    return picture.tobytes() == other.tobytes()


def file_of(picture, name="me.png"):
    """What the upload widget gets from a browser."""
    content = picture
    if isinstance(picture, Image.Image):
        file = io.BytesIO()
        picture.save(file, "PNG")
        content = file.getvalue()
    return ({"name": name, "type": "image/png", "size": len(content), "content": memoryview(content),
             "last_modified": datetime(2020, 1, 1, tzinfo=UTC)},)  # fmt: skip


def everything(widget, seen=None):
    """A widget and all below it."""
    seen = [] if seen is None else seen
    seen.append(widget)
    for child in getattr(widget, "children", ()):
        everything(child, seen)
    return seen


def test_the_first_edit_is_there_at_once(page):
    source, edited = pictures(page.wipe)
    assert same(source, page.studio.face) and same(edited, page.studio.shown().results["maggan"])
    assert not page.error.value and len(pictures(page.faces)) == len(page.strip) == 6
    assert "picked" in str(page.strip[0]._dom_classes)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_slider_changes_the_picture(page, name):
    before = page.wipe.value, page.cards.value
    page.sliders[name].value = -0.8 if page.studio.has(name) else 0.8
    assert page.wipe.value != before[0] and page.cards.value != before[1]
    assert page.studio.changes[name] == page.sliders[name].value
    assert page.sliders[name].description.startswith("● ") == page.studio.has(name)


def test_strength_blending_and_signed_differences(page):
    before = page.wipe.value
    page.strength.value = 0.4
    assert page.studio.strength == 0.4 and page.wipe.value != before
    before = page.wipe.value
    page.blending.value = True
    assert page.studio.blending and page.wipe.value != before
    before = page.cards.value
    page.signed.value = True
    assert page.cards.value != before and "blue" in page.cards.value


def test_faces_are_picked_and_redrawn(page):
    page.strip[2].click()
    assert page.studio.seed == page.studio.strip[2] and same(pictures(page.wipe)[0], page.studio.face)
    assert ["mg-picked" in button._dom_classes for button in page.strip].index(True) == 2
    strip = page.faces.value
    page.redraw.click()
    assert page.faces.value != strip and same(pictures(page.wipe)[0], page.studio.face)
    assert "mg-picked" in page.strip[0]._dom_classes and "mg-picked" not in page.strip[2]._dom_classes


def test_reset_no_change_and_random_move_the_sliders(page):
    buttons = {button.description: button for button in page.buttons}
    buttons["No change"].click()
    assert not any(slider.value for slider in page.sliders.values())
    page.sliders["Young"].value = 0.5
    page.strength.value, page.blending.value = 0.5, True
    buttons["Random"].click()
    moved = {name: slider.value for name, slider in page.sliders.items() if slider.value}
    assert 1 <= len(moved) <= 3 and moved == {name: value for name, value in page.studio.changes.items() if value}
    buttons["Reset"].click()
    assert page.strength.value == 1 and not page.blending.value
    assert sum(slider.value != 0 for slider in page.sliders.values()) == 1


def test_the_wipe_compares_with_either_row_and_the_true_edit(page):
    shown = page.studio.shown()
    assert page.compare.options == ("MagGAN", "STGAN", "true edit")
    for name, picture in zip(page.compare.options, (*shown.results.values(), shown.true), strict=True):
        page.compare.value = name
        assert same(pictures(page.wipe)[1], picture) and f">{name}<" in page.wipe.value
    page.sliders["Male"].value = 1.0
    assert page.compare.value == "true edit"  # another edit does not change what is looked at


def test_the_divider_is_dragged_by_an_input_over_the_picture(page):
    assert '<input type="range"' in page.wipe.value and "--wipe" in page.wipe.value
    assert "clip-path: inset(0 0 0 var(--wipe" in studiohtml.STYLE


def test_errors_of_both_rows_are_shown(page):
    for row in ("maggan", "stgan"):
        assert f"MRE {page.studio.shown().errors[row]:.4f}" in page.cards.value


def test_what_is_saved_is_the_edit(page):
    page.sliders["Eyeglasses"].value = 1.0
    assert 'download="maggan-edit.png"' in page.save.value
    shown = page.studio.shown()
    assert same(pictures(page.save)[0], shown.results["maggan"])
    page.compare.value = "STGAN"  # what is looked at is saved
    assert 'download="stgan-edit.png"' in page.save.value
    assert same(pictures(page.save)[0], shown.results["stgan"])
    page.compare.value = "true edit"
    assert 'download="true-edit.png"' in page.save.value and same(pictures(page.save)[0], shown.true)


def test_what_is_seen_has_a_name_for_those_who_hear_it(page):
    cell = page.cells["Bald", "hair"]
    assert cell.value and cell.tooltip == "Bald: hair, may change"
    cell.value = False
    assert cell.tooltip == "Bald: hair, is to stay"
    assert len({cell.tooltip for cell in page.cells.values()}) == len(page.cells) == 169
    assert "setAttribute(" in page.wipe.value and "aria-label" in page.wipe.value and '"' not in studiohtml.NAMED
    assert all(slider.description for slider in (*page.sliders.values(), page.strength))


def test_colours_are_the_themes():
    """White on white in a dark theme otherwise: what has no background of its own has no colour of its own."""
    rules = dict(re.findall(r"^\.mg(?: \.(mg-\w+))? \{([^}]*)\}", studiohtml.STYLE, re.MULTILINE))
    assert "background: var(--jp-layout-color1" in rules["mg-name"] and "color: var(--jp-ui" in rules["mg-said"]
    assert "color: var(--jp-ui-font-color1" in rules[""]


def test_what_a_photo_has_is_marked_as_an_estimate(page, monkeypatch):
    from test_editor import Reads
    from test_studio import EYES, AllSkin, untrained

    monkeypatch.setattr("maggan.studio.studio.find_eyes", lambda picture: EYES)
    editor = untrained("maggan", "celeba64", AllSkin().eval())
    editor.classifier = Reads("Male")
    page.studio.photo_editors = {"maggan": editor}
    page.upload.value = file_of(Image.new("RGB", (200, 240), (200, 150, 120)))
    assert not page.error.value
    assert [name for name, slider in page.sliders.items() if slider.description.startswith("○ ")] == ["Male"]
    assert not any(slider.description.startswith("●") for slider in page.sliders.values())


def test_what_was_done_otherwise_is_said(page):
    page.sliders["Blond_Hair"].value = 1.0
    page.sliders["Black_Hair"].value = 1.0
    assert "Blond_Hair" in page.said.value


def test_a_cell_of_the_relation_changes_the_region(page):
    page.look.value = "Bangs"
    before = page.region.value
    cell = page.cells["Pale_Skin", "hair"]
    cell.value = not cell.value
    assert page.studio.related("Pale_Skin", "+", "hair") == cell.value
    assert page.look.value == "Pale_Skin" and page.region.value != before and page.table.value == "edited"
    page.sign.value = "-"
    assert not page.studio.related("Pale_Skin", "-", "hair") and not page.cells["Pale_Skin", "hair"].value
    page.table.value = "paper"
    assert page.studio.table == "paper"
    page.sign.value = "+"
    assert not page.cells["Pale_Skin", "hair"].value
    page.table.value = "extended"
    assert page.cells["Pale_Skin", "nose"].value


def test_the_relation_has_every_part_that_is_editable_once(page):
    assert len(page.cells) == 13 * len(COLUMNS) and not set(COLUMNS) & set(NEVER_EDITABLE)
    assert len(COLUMNS) + 3 + len(NEVER_EDITABLE) == 19  # three pairs are one column each
    for (name, part), cell in page.cells.items():
        assert cell.value == page.studio.related(name, "+", part)


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"", "empty.jpg"), (b"only text", "text.jpg"), (b"\xff\xd8\xff\xe0\x00", "cut.jpg"), (b"x", "../<b>up</b>.png")],
)
def test_a_bad_upload_is_one_sentence_and_keeps_the_picture(page, content, name):
    before = page.wipe.value
    page.upload.value = file_of(content, name)
    said = re.sub(r"<[^>]*>", "", page.error.value)
    assert said.count(".") <= 3 and "Traceback" not in said and "\n" not in said and said
    assert page.error.value.count("<p") == 1 and "<b>" not in page.error.value and 'role="alert"' in page.error.value
    assert page.wipe.value == before and page.upload.value == ()
    page.sliders["Young"].value = -1.0
    assert not page.error.value and page.wipe.value != before


def test_a_photo_is_refused_by_models_of_drawn_faces(page):
    before = page.wipe.value
    page.upload.value = file_of(Image.new("RGB", (90, 90)))
    assert "trained on drawn faces" in page.error.value and page.wipe.value == before
    assert page.eyes.layout.display == "none"


def test_a_photo_waits_for_two_clicks_on_its_eyes(page, monkeypatch):
    from test_studio import EYES, AllSkin, untrained

    def blind(picture):
        raise NoEyesError("no face found that looks at the camera")

    monkeypatch.setattr("maggan.studio.studio.find_eyes", blind)
    page.studio.photo_editors = {"maggan": untrained("maggan", "celeba64", AllSkin().eval())}
    before = page.wipe.value
    photo = Image.new("RGB", (200, 240), (200, 150, 120))
    page.upload.value = file_of(photo)
    assert "no face found that looks at the camera; click on both eyes below.<" in page.error.value
    assert page.wipe.value == before
    assert page.eyes.layout.display == "" and same(pictures(page.photo)[0], photo)
    page.eye_field.value = "88, 110"  # the first click
    assert not page.error.value and page.wipe.value == before
    page.eye_field.value = "88, 110, x, 110"
    assert "eyes are four numbers" in page.error.value
    page.eye_field.value = ", ".join(str(number) for eye in EYES for number in eye)
    assert not page.error.value and same(pictures(page.wipe)[0], photo)
    assert page.compare.options == ("MagGAN",) and not any(s.description.startswith("●") for s in page.sliders.values())
    page.strip[1].click()
    assert page.eyes.layout.display == "none" and page.compare.options == ("MagGAN", "STGAN", "true edit")


def test_the_file_of_a_large_photo_is_made_when_asked_for(page, monkeypatch):
    monkeypatch.setattr("maggan.studio.page.SAVED_AT_ONCE", 100)
    page.sliders["Young"].value = -1.0
    assert not page.save.value and page.prepare.layout.display == ""
    page.prepare.click()
    assert same(pictures(page.save)[0], page.studio.shown().results["maggan"])
    page.sliders["Young"].value = 0.0
    assert not page.save.value  # never the file of another edit


def test_large_pictures_are_shown_small_and_small_ones_as_they_are():
    small, large = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (1600, 1000), "red")
    assert studiohtml.data_uri(small).startswith("data:image/png")
    shown = studiohtml.data_uri(large)
    assert shown.startswith("data:image/jpeg")
    assert Image.open(io.BytesIO(base64.b64decode(shown.split(",")[1]))).size == (800, 500)
    assert large.size == (1600, 1000)


def test_a_model_that_is_not_there_is_said_in_the_page(monkeypatch, tmp_path):
    monkeypatch.setenv("MAGGAN_MODEL", str(tmp_path / "run"))
    monkeypatch.setenv("MAGGAN_PARSER", str(tmp_path / "parser.safetensors"))
    page = StudioPage.open()
    assert "is not there" in page.error.value and pictures(page.wipe)
    monkeypatch.delenv("MAGGAN_PARSER")
    assert "MODEL=folder PARSER=file" in StudioPage.open().error.value
    monkeypatch.delenv("MAGGAN_MODEL")
    assert not StudioPage.open().error.value


def test_nothing_on_the_page_is_fetched_from_elsewhere(page):
    values = [widget.value for widget in everything(page.view) if isinstance(getattr(widget, "value", None), str)]
    assert values and not any(re.search(r"(src|href)=\"(?!data:)|url\((?!data:)|@import", value) for value in values)
    template = (ROOT / "page" / "voila" / "templates" / "maggan" / "index.html.j2").read_text()
    assert "default-src 'self'" in template and "replace('https://cdn.jsdelivr.net/'" in template


def test_the_page_is_for_this_machine_alone_and_shows_no_code():
    settings = json.loads((ROOT / "page" / "voila.json").read_text())
    assert settings["Voila"]["ip"] == "127.0.0.1"
    assert settings["VoilaConfiguration"]["strip_sources"] and not settings["VoilaConfiguration"]["show_tracebacks"]


def test_the_model_card_is_on_the_page(page):
    text = page.about.outputs[0]["data"]["text/markdown"]
    assert text.startswith("# ") and not re.search(r"\]\((?!https?:)", text)


def test_without_a_kernel_a_line_is_left_of_it(page):
    bundle = page._repr_mimebundle_()
    assert "make demo" in bundle["text/plain"] and "application/vnd.jupyter.widget-view+json" in bundle
