"""The edit studio without its page: a face, what to change in it, and everything one sees of the edit.

Every control of the page is a method or an attribute here; tests and notebooks use it without a browser.
"""

import io
import random
import time
from pathlib import Path

import torch

from .. import pretrained
from ..attributes import ATTRIBUTES, attribute_index
from ..basics.errors import MagganError
from ..basics.images import as_picture
from ..data.drawn import FIRST_SEED
from ..drawnfaces import draw
from ..editor import Editor
from ..editor.photo import checked_eyes, find_eyes, read_upload
from ..regions import preserved_mask
from .pictures import Shown, edit_error, true_edit
from .relation import Relation

ROWS = ("maggan", "stgan")  # the first is the one whose regions, difference and PNG are shown
LIMIT = 1.5  # of a change and of the strength; STGAN's published edits are at 1.5
STRIP = 6  # faces to choose from
START = ("Blond_Hair", "Black_Hair")  # the first of them that the face has not: an edit to look at from the beginning


class Studio(Relation):
    """A face and an edit of it by two rows, MagGAN and STGAN."""

    def __init__(self, editors=None, photo_editors=None, seed=0):
        """Start with a drawn face and a first change.

        editors        {row: Editor} for drawn faces; the models that come with the package if None
        photo_editors  {row: Editor} for photos, with a parser; without them a photo is refused in one sentence
        seed           of the faces and changes that the studio draws at random
        """
        self.drawn_editors = editors or {row: Editor.load(pretrained.path(row)) for row in ROWS}
        self.photo_editors = photo_editors or {}
        for some in (self.drawn_editors, self.photo_editors):
            if len({editor.config.size for editor in some.values()}) > 1:
                raise MagganError("the models side by side must be of one size; choose rows of one profile.")
        self._random = random.Random(seed)
        self.strip = [self._next_seed() for _ in range(STRIP)]
        self.pick(self.strip[0])
        self.reset()

    @classmethod
    def open(cls, model=None, parser=None, seed=0):
        """A studio whose photos are edited by the run folder `model`, with the face parser's weights `parser`.

        Where `model` is a MagGAN row, STGAN's run with the same seed beside it is shown next to it if it is there.
        Raises MagganError where one is given without the other, or is not there.
        """
        if bool(model) != bool(parser):
            raise MagganError("photos need both, a model and a parser: make demo MODEL=folder PARSER=file")
        photos = {}
        if model:
            model = Path(model).expanduser().absolute()
            first = Editor.load(model, parser=parser)
            if not first.of_photos:
                raise MagganError(f"{model} was trained on drawn faces; MODEL must be a row trained on photos.")
            photos[first.config.variant] = first
            beside = model.with_name(f"stgan-seed{first.config.seed}")
            if first.config.variant != "stgan" and (beside / "weights.safetensors").exists():
                photos["stgan"] = Editor.load(beside, parser=first.parser)
        return cls(photo_editors=photos, seed=seed)

    # ------------------------------------------------------------------------------------------ the face

    @property
    def editors(self):
        """{row: Editor} of what is edited now, a drawn face or a photo."""
        return self.photo_editors if self.photo is not None else self.drawn_editors

    @property
    def main(self):
        """The row whose regions, difference and PNG are shown."""
        return next(iter(self.editors))

    @property
    def size(self):
        """Pixels of a drawn face's side."""
        return next(iter(self.drawn_editors.values())).config.size

    def _next_seed(self):
        # From the test faces on: no model was trained on these.
        return FIRST_SEED["test"] + self._random.randrange(10_000_000)

    def pick(self, seed):
        """Edit the drawn face of `seed`, a whole number from 0; the changes stay as they are."""
        if not isinstance(seed, int) or not 0 <= seed < 2**62:
            raise MagganError(f"a face is chosen by a whole number from 0 on, not by {seed!r}.")
        drawn = draw([seed], self.size)
        # `photo` is the one that is edited, `unaligned` one that waits for its `eyes`
        self.seed, self.photo, self.unaligned, self.eyes = seed, None, None, None
        self.face, self.parts, self.attributes = as_picture(drawn.images[0]), drawn.parts[0], drawn.attributes[0]
        self._shown = None

    def redraw(self):
        """Put a new drawn face at the head of the strip and edit it; the last one drops off."""
        self.strip = [self._next_seed(), *self.strip[:-1]]
        self.pick(self.strip[0])

    def thumbnails(self):
        """The faces of the strip as PIL images, in order."""
        return [as_picture(image) for image in draw(self.strip, self.size).images]

    def upload(self, data, name):
        """Edit an uploaded picture, given as bytes with its file name.

        Raises MagganError, and goes on with what was there, where the bytes are no usable picture, the models know
        no photos, or no eyes were found; the last leaves the photo in `unaligned` for `set_eyes`.
        """
        photo = read_upload(data, name)
        if not self.photo_editors:
            raise MagganError(
                "these models were trained on drawn faces and cannot edit a photo; with a model for photos, start the "
                "page by: make demo MODEL=folder PARSER=file"
            )
        self._try_photo(photo, None)

    def set_eyes(self, eyes):
        """Say where the eyes are in the photo, ((x, y), (x, y)) in its pixels.

        The first is the one on the left when the face is upright. Raises MagganError for eyes that make no face.
        """
        photo = self.unaligned or self.photo
        if photo is None:
            raise MagganError("eyes are set on a photo; upload one first.")
        self._try_photo(photo, tuple(map(tuple, checked_eyes(eyes, photo.size).tolist())))

    def _try_photo(self, photo, eyes):
        before = self.photo, self.eyes, self.attributes, self._shown
        try:
            self.photo, self.eyes, self._shown = photo, eyes or find_eyes(photo), None
            self.shown()
            self.unaligned = None
        except MagganError:
            self.photo, self.eyes, self.attributes, self._shown = before
            self.unaligned = photo
            raise

    # --------------------------------------------------------------------------------------- the changes

    def change(self, attribute, value):
        """Change an attribute by `value` in [-1.5, 1.5]: above 0 strengthens it, below weakens, 0 leaves it."""
        attribute_index(attribute)
        value = checked(value, -LIMIT, "a change")
        self.changes.pop(attribute)
        self.changes[attribute] = value  # at the end: the last one wins a conflict
        self._shown = None

    def has(self, attribute):
        """Whether the face has the attribute; of a photo that is the classifier's estimate, None if there is none."""
        index = attribute_index(attribute)
        return None if self.attributes is None else bool(self.attributes[index])

    @property
    def estimated(self):
        """Whether what `has` tells is a classifier's estimate."""
        return self.photo is not None and self.attributes is not None

    def flip(self, attribute):
        """The change that turns the attribute around; for a photo without a classifier, the one that strengthens it."""
        self.change(attribute, -1.0 if self.has(attribute) else 1.0)

    @property
    def strength(self):
        """Multiplies all changes; in [0, 1.5]."""
        return self._strength

    @strength.setter
    def strength(self, value):
        self._strength = checked(value, 0.0, "the strength")
        self._shown = None

    @property
    def blending(self):
        """Whether the source is taken where it is to be preserved (eq. 13)."""
        return self._blending

    @blending.setter
    def blending(self, on):
        self._blending = bool(on)
        self._shown = None

    def reset(self):
        """One change to look at, strength 1, no blending, the paper's relation; the face stays."""
        self.clear()
        self.change(next((name for name in START if not self.has(name)), START[0]), 1.0)
        self.strength, self.blending = 1.0, False
        self.use_table("paper")

    def clear(self):
        """No change at all; all else stays."""
        self.changes = dict.fromkeys(ATTRIBUTES, 0.0)
        self._shown = None

    def random(self):
        """One to three attributes turned around, the others left alone."""
        self.clear()
        for attribute in self._random.sample(ATTRIBUTES, self._random.randint(1, 3)):
            self.flip(attribute)

    # ---------------------------------------------------------------------------------------- the result

    def shown(self):
        """The edit as it is set now; a `Shown`. Made anew only after something was set."""
        if self._shown is None:
            self._shown = (self._edit_drawn if self.photo is None else self._edit_photo)(self._wanted())
        return self._shown

    def _wanted(self):
        return {name: value for name, value in self.changes.items() if value and self.strength}

    def _edit_drawn(self, wanted):
        edits, seconds = {}, {}
        for row, editor in self.drawn_editors.items():
            begun = time.perf_counter()
            edits[row] = editor.edit(self.face, wanted, self.strength, self.parts, self.attributes, self.blending,
                                     self.table)  # fmt: skip
            seconds[row] = time.perf_counter() - begun
        changes, said = self._resolved(wanted, self.attributes)
        true, missing = true_edit(self.seed, changes, self.size)
        if missing:
            said = [*said, f"No drawn face can have all of this: the true edit leaves {', '.join(missing)} alone."]
        if any(abs(change * self.strength) != 1 for change in wanted.values()):
            said = [*said, "The true edit is always the full one, whatever the sliders and the strength."]
        return self._show(self.face, edits, self.face, edits, as_picture(true), self.parts, changes, seconds, said)

    def _edit_photo(self, wanted):
        how = self.strength, self.eyes, self.blending, self.table
        editor, begun = self.photo_editors[self.main], time.perf_counter()
        first = editor.edit_photo(self.photo, wanted, *how)
        seconds, edits = {self.main: time.perf_counter() - begun}, {}
        for row, other in self.photo_editors.items():
            # pasting into a large photo takes seconds: of the other row that is left to `result`
            edits[row] = first.edited if row == self.main or not wanted else other.edit(
                first.face, wanted, self.strength, first.parts, None, self.blending, self.table)  # fmt: skip
        self.attributes = editor.classifier and editor.attributes_of(first.face)
        changes, _ = self._resolved(wanted, self.attributes)
        results = {self.main: first.result}
        return self._show(self.photo, results, first.face, edits, None, first.parts, changes, seconds, first.said)

    def result(self, row):
        """The picture as `row` edits it, a PIL image in the size of the source."""
        shown = self.shown()
        if row not in shown.results:
            how = self.strength, self.eyes, self.blending, self.table
            shown.results[row] = self.editors[row].edit_photo(self.photo, self._wanted(), *how).result
        return shown.results[row]

    def _resolved(self, wanted, attributes):
        """What the editors make of the changes, {attribute: entry of att_diff}, and their sentences on it."""
        changes, said = self.editors[self.main].resolved(wanted, attributes)
        # what is released is so at strength 1, as the editors do
        return {name: change * (self.strength if name in wanted else 1) for name, change in changes.items()}, said

    def _show(self, source, results, face, edits, true, parts, changes, seconds, said):
        att_diff = torch.tensor([float(changes.get(name, 0)) for name in ATTRIBUTES])
        preserved = preserved_mask(parts[None], att_diff[None], self.table)[0, 0]
        errors = {row: edit_error(face, edited, preserved) for row, edited in edits.items()}
        return Shown(source, results, face, edits, true, parts, att_diff, preserved, errors, seconds, tuple(said))

    def region(self, attribute, sign):
        """The influence region that the relation gives one attribute on this face, (S, S) in [0, 1]."""
        parts = self.shown().parts
        return (self.relation[sign][attribute_index(attribute)][:, None, None] * parts).sum(0).clamp(0, 1)

    def png(self, row=None):
        """The picture as `row` edits it as a PNG file's bytes, in the size of the source; the main row's if None."""
        return as_png(self.result(row or self.main))


def as_png(picture):
    """A PIL image as the bytes of a PNG file, with its colour profile if it has one."""
    file = io.BytesIO()
    picture.save(file, "PNG", icc_profile=picture.info.get("icc_profile"))
    return file.getvalue()


def checked(value, least, what):
    """`value` as a number between `least` and the limit; MagganError otherwise."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not least <= number <= LIMIT:
        raise MagganError(f"{what} is a number from {least:g} to {LIMIT:g}, not {value!r}.")
    return number
