"""The edit studio as a page of widgets, in JupyterLab and in Voila: a thin front for `Studio`."""

import os
import re
from contextlib import contextmanager

import ipywidgets as widgets
from IPython.display import Markdown

from ..attributes import ATTRIBUTES, NEVER_EDITABLE, PAIRS, PARTS, TABLES
from ..basics import paths
from ..basics.errors import MagganError
from ..editor.photo import FIRST_EYE, NoEyesError
from ..variants import short_title
from .html import STYLE, card, cards, eye_photo, faces_style, save_link, sentences, wipe
from .pictures import overlay
from .studio import LIMIT, Studio, as_png

# Columns of the relation: a pair of parts is one, what is never editable is none.
COLUMNS = [part for part in PARTS if part not in NEVER_EDITABLE and part not in [right for _, right in PAIRS]]
PAIRED = {left: left.removeprefix("l_") + "s" for left, _ in PAIRS}
SIGNS = {"strengthened (+)": "+", "weakened (−)": "-"}
SAVED_AT_ONCE = 1_000_000  # pixels; the PNG of a larger photo takes seconds, so it is made when asked for
INTRODUCTION = (
    "<h2>Edit a face</h2><p>Move a slider to the right to strengthen an attribute, to the left to weaken it; "
    "● marks what a drawn face has, ○ what a classifier reads in a photo, an estimate. MRE is what an edit changed "
    "where the source was to be preserved: the mean of |edit − source| there, pixels from −1 to 1.</p>"
)


class StudioPage:
    """Widgets around a Studio. `view` is what to display."""

    def __init__(self, studio=None):
        self.studio = studio or Studio()
        self._quiet = False
        self._build_faces()
        self._build_changes()
        self._build_pictures()
        self._build_relation()
        left = box([self.wipe, row([self.compare, self.save, self.prepare]), self.said], "mg-picture")
        right = box([self.grid, row([self.strength, self.blending]), row([*self.buttons, self.signed]), self.cards],
                    "mg-sliders")  # fmt: skip
        titles = ("Which part may change", "MODEL_CARD.md: about the models, and a note on use")
        more = widgets.Accordion([self.relation, self.about], titles=titles)
        self.view = box(
            [widgets.HTML(STYLE), widgets.HTML(INTRODUCTION), self.faces, row(self.strip),
             row([self.redraw, self.upload]), self.error, self.eyes, row([left, right], "mg-top"), more], "mg",
        )  # fmt: skip
        self._show()

    @classmethod
    def open(cls):
        """The page with the models for photos that MAGGAN_MODEL and MAGGAN_PARSER name, if they do."""
        try:
            return cls(Studio.open(os.environ.get("MAGGAN_MODEL"), os.environ.get("MAGGAN_PARSER")))
        except MagganError as error:
            page = cls()
            page.error.value = sentences([error], "mg-error")
            return page

    def _repr_mimebundle_(self, **options):
        # without a kernel, or on a page that shows no widgets, this line is what is left of them
        left = "the edit studio: run this notebook to use it, or make demo"
        return self.view._repr_mimebundle_(**options) | {"text/plain": left}

    # ---------------------------------------------------------------------------------------- the widgets

    def _build_faces(self):
        self.faces = widgets.HTML()
        self.strip = [widgets.Button(tooltip=f"face {i + 1}") for i in range(len(self.studio.strip))]
        for i, button in enumerate(self.strip):
            button.add_class("mg-face")
            button.add_class(f"mg-face-{i}")
            button.on_click(lambda _, i=i: self._do(lambda: self.studio.pick(self.studio.strip[i])))
        self.redraw = widgets.Button(description="Another face")
        self.redraw.on_click(lambda _: self._do(self.studio.redraw))
        self.upload = widgets.FileUpload(accept="image/*", description="Upload a photo", icon="")
        self.upload.add_class("mg-upload")
        self.upload.observe(self._uploaded, "value")
        self.error = widgets.HTML()
        self.photo = widgets.HTML()
        self.eye_field = widgets.Text(description="eyes", placeholder="x, y, x, y", continuous_update=False)
        self.eye_field.add_class("mg-eyes")
        self.eye_field.observe(self._eyes_said, "value")
        hint = widgets.HTML(f"Click on both eyes, first {FIRST_EYE}, or write their places in pixels.")
        self.eyes = box([hint, self.photo, self.eye_field])

    def _build_changes(self):
        self.sliders = {}
        for name in ATTRIBUTES:
            self.sliders[name] = slider(-LIMIT, 0.0)
            self.sliders[name].observe(lambda change, name=name: self._do(
                lambda: self.studio.change(name, change["new"])), "value")  # fmt: skip
        self.grid = box(list(self.sliders.values()), "mg-grid")
        self.strength = slider(0.0, 1.0, "Strength")
        self.strength.layout.flex = "1 1 280px"
        self.strength.observe(lambda change: self._do(lambda: self._set("strength", change["new"])), "value")
        self.blending = widgets.Checkbox(description="Blending (eq. 13)", indent=False, layout={"width": "auto"})
        self.blending.observe(lambda change: self._do(lambda: self._set("blending", change["new"])), "value")
        actions = {"Reset": self.studio.reset, "No change": self.studio.clear, "Random": self.studio.random}
        self.buttons = []
        for name, action in actions.items():
            button = widgets.Button(description=name, layout={"width": "auto"})
            button.on_click(lambda _, action=action: self._do(action))
            self.buttons.append(button)

    def _build_pictures(self):
        self.wipe, self.save, self.said, self.cards = (widgets.HTML() for _ in range(4))
        self.compare = widgets.Dropdown(layout={"width": "150px"}, tooltip="what the source is compared with")
        self.compare.observe(lambda _: self._do(lambda: None), "value")
        self.prepare = widgets.Button(description="Make PNG", layout={"display": "none"})
        self.prepare.on_click(lambda _: self._do(lambda: None, save=True))
        self.signed = widgets.Checkbox(description="signed differences", indent=False, layout={"width": "auto"})
        self.signed.observe(lambda _: self._do(lambda: None), "value")

    def _build_relation(self):
        self.table = widgets.Dropdown(options=[*TABLES, "edited"], description="table", layout={"width": "220px"})
        self.table.observe(self._table_chosen, "value")
        self.sign = widgets.ToggleButtons(options=SIGNS, style={"button_width": "auto"})
        self.sign.observe(lambda _: self._do(lambda: None), "value")
        self.look = widgets.Dropdown(options=ATTRIBUTES, value="Blond_Hair", description="region of")
        self.look.observe(lambda _: self._do(lambda: None), "value")
        self.region = widgets.HTML()
        self.cells, grid = {}, [named("", "mg-name")] + [named(PAIRED.get(part, part), "mg-part") for part in COLUMNS]
        shared = {}  # one layout and one style for all cells: each of its own would be hundreds of messages
        for name in ATTRIBUTES:
            grid.append(named(name, "mg-name"))
            for part in COLUMNS:
                button = widgets.ToggleButton(**shared)
                shared = {"layout": button.layout, "style": button.style}
                button.observe(lambda change, at=(name, part): self._cell_set(*at, change["new"]), "value")
                self.cells[name, part] = button
                grid.append(button)
        hint = widgets.HTML(
            "A part that is marked may change with the attribute; all others are to be preserved. "
            f"{', '.join(NEVER_EDITABLE)} are never editable, and pairs go together."
        )
        table = box([box(grid, "mg-cells")], "mg-table")
        self.relation = box([hint, row([self.table, self.sign]), row([table, box([self.look, self.region])], "mg-top")])
        self.about = widgets.Output()
        card_file = paths.ROOT / "MODEL_CARD.md"
        text = card_file.read_text(encoding="utf-8") if card_file.exists() else "MODEL_CARD.md is not here."
        # links to other files of the project lead nowhere from this page
        self.about.append_display_data(Markdown(re.sub(r"\[([^\]]*)\]\((?!https?:)[^)]*\)", r"\1", text)))

    # ---------------------------------------------------------------------------------------- what they do

    @contextmanager
    def _silently(self):
        """Set widgets without what they do when a person sets them."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def _do(self, action, save=False):
        """Do what a person asked for and show it; a mistake of theirs becomes one sentence, and all else stays."""
        if self._quiet:
            return
        self.error.value = ""
        try:
            action()
            self._show(save)
        except NoEyesError as error:
            self._refuse(f"{error.reason}; click on both eyes below.")
        except MagganError as error:
            self._refuse(error)

    def _refuse(self, said):
        self.error.value = sentences([said], "mg-error")
        self._settings()

    def _set(self, name, value):
        setattr(self.studio, name, value)

    def _uploaded(self, change):
        if not change["new"]:
            return
        file = change["new"][0]
        self._do(lambda: self.studio.upload(bytes(file["content"]), file["name"]))
        with self._silently():
            self.upload.value = ()  # so that the same file can be chosen again

    def _eyes_said(self, change):
        def told():
            numbers = [part for part in change["new"].replace(";", ",").split(",") if part.strip()]
            try:
                x, y, u, v = (float(number) for number in numbers)
            except ValueError:
                if len(numbers) < 4:  # the first of two clicks
                    return
                raise MagganError(f"eyes are four numbers: x, y, x, y, first {FIRST_EYE}.") from None
            self.studio.set_eyes(((x, y), (u, v)))

        self._do(told)

    def _table_chosen(self, change):
        self._do(lambda: change["new"] == "edited" or self.studio.use_table(change["new"]))

    def _cell_set(self, attribute, part, on):
        if not self._quiet:
            with self._silently():
                self.look.value = attribute
        self._do(lambda: self.studio.relate(attribute, self.sign.value, part, on))

    # ---------------------------------------------------------------------------------------- what they show

    def _show(self, save=False):
        """Show the edit as it is set now."""
        shown = self.studio.shown()
        self._settings()
        rows = {short_title(row): row for row in shown.edits}
        choices = (*rows, *(["true edit"] if shown.true else []))
        with self._silently():
            if self.compare.options != choices:
                self.compare.options, self.compare.index = choices, 0
        after = self.studio.result(rows[self.compare.value]) if self.compare.value in rows else shown.true
        self.wipe.value = wipe(shown.source, after, self.compare.value)
        self.cards.value = cards(shown, self.signed.value)
        self.said.value = sentences(shown.said)
        at_once = save or shown.source.width * shown.source.height <= SAVED_AT_ONCE
        self.prepare.layout.display = "none" if at_once else ""
        # what is saved is what is looked at, and its name says whose it is
        name = f"{rows[self.compare.value]}-edit.png" if self.compare.value in rows else "true-edit.png"
        self.save.value = save_link(as_png(after), name) if at_once else ""
        region = self.studio.region(self.look.value, self.sign.value)
        self.region.value = card(overlay(shown.face, region), f"{self.look.value} {self.sign.label}")

    def _settings(self):
        """Set the widgets as the studio is set."""
        with self._silently():
            for name, one in self.sliders.items():
                one.value = self.studio.changes[name]
                mark = ("○ " if self.studio.estimated else "● ") if self.studio.has(name) else ""
                one.description = f"{mark}{name.replace('_', ' ')}"
            self.strength.value, self.blending.value = self.studio.strength, self.studio.blending
            for (name, part), cell in self.cells.items():
                cell.value = self.studio.related(name, self.sign.value, part)
                # a cell has no text: this is its name, for those who hear the page too
                may = "may change" if cell.value else "is to stay"
                cell.tooltip = f"{name.replace('_', ' ')}: {PAIRED.get(part, part)}, {may}"
            table = self.studio.table
            self.table.value = table if isinstance(table, str) else "edited"
            for seed, button in zip(self.studio.strip, self.strip, strict=True):
                picked = self.studio.photo is None and seed == self.studio.seed
                (button.add_class if picked else button.remove_class)("mg-picked")
            if (drawn := tuple(self.studio.strip)) != getattr(self, "_drawn", None):
                self._drawn, self.faces.value = drawn, faces_style(self.studio.thumbnails())
            photo = self.studio.unaligned or self.studio.photo
            self.eyes.layout.display = "none" if photo is None else ""
            if photo is not getattr(self, "_clicked", None):
                self._clicked, self.photo.value, self.eye_field.value = photo, photo and eye_photo(photo) or "", ""


def slider(least, value, description=""):
    """A slider up to the limit that tells its value when it is let go."""
    return widgets.FloatSlider(
        value=value, min=least, max=LIMIT, step=0.1, readout_format=".1f", description=description,
        continuous_update=False, style={"description_width": "148px"},
    )  # fmt: skip


def box(children, name=None):
    """Children below each other; `name` is the class that the style goes by."""
    made = widgets.VBox(children)
    if name:
        made.add_class(name)
    return made


def row(children, name=None):
    """Children beside each other, in more lines where they do not fit."""
    made = box(children, "mg-row")
    if name:
        made.add_class(name)
    return made


def named(text, name):
    """A word in the grid of the relation."""
    made = widgets.HTML(text)
    made.add_class(name)
    return made
