"""A study on the disk, as raters and the table find it: `results/<profile>/study`.

| file | what it is |
|---|---|
| `study.json` | the pairs: face, attribute, direction, hat; the weights; nothing of which side is whose |
| `key.json` | which row is on the left; only the table reads it |
| `pictures/` | a source a face, a left and a right result a pair |
| `votes/people/`, `votes/simulated/` | one CSV file a rater (`ballots.py`) |
| `notes.md` | what it was drawn from |
"""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from ..attributes import ATTRIBUTES
from ..basics.errors import MagganError

FORMAT = 1
ROWS = ("stgan", "maggan")  # the two that the paper's raters compared


class Pair(NamedTuple):
    """One comparison: the change of `attribute` on `face`, direction "+" (add) or "-" (remove)."""

    number: int
    face: str
    attribute: str
    direction: str
    hat: bool  # whether the face wears a hat or scarf


class Study(NamedTuple):
    """A finished study; `id` changes with anything in it, and every vote carries it."""

    folder: Path
    id: str
    about: dict
    pairs: tuple

    @classmethod
    def open(cls, folder):
        """The study in `folder`; MagganError where there is none, or it is damaged."""
        folder = Path(folder)
        file = folder / "study.json"
        text, about = read_json(file)
        if about.get("format") != FORMAT:
            raise MagganError(f"{file} is of another version; move the folder away and: make study")
        try:
            pairs = tuple(Pair(**pair) for pair in about["pairs"])
        except (KeyError, TypeError):
            raise damaged(file) from None
        if not isinstance(about.get("seed"), int) or "profile" not in about or not all(map(sound, pairs)):
            raise damaged(file)
        return cls(folder, id_of(text), about, pairs)

    def picture(self, pair, which):
        """The PNG file of a pair's "source", "left" or "right"."""
        return picture_file(self.folder, pair, which)

    def key(self):
        """{pair number: the row on the left}; MagganError where the key is of another study, or damaged."""
        file = self.folder / "key.json"
        _, key = read_json(file)
        if key.get("study") != self.id:
            raise MagganError(f"{file} is the key of another study than study.json; put the right one back.")
        left, numbers = key.get("left"), {str(pair.number) for pair in self.pairs}
        if not (isinstance(left, dict) and set(left) == numbers and all(row in ROWS for row in left.values())):
            raise damaged(file)
        return {int(number): row for number, row in left.items()}


def picture_file(folder, pair, which):
    """A face's source is shared by its pairs; the names of results tell the side, never the row."""
    name = Path(pair.face).stem if which == "source" else f"{pair.number:03d}-{which}"
    return Path(folder) / "pictures" / f"{name}.png"


def id_of(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sound(pair):
    """Whether a pair names what a pair must, each as what it is."""
    return (
        isinstance(pair.number, int) and isinstance(pair.face, str) and isinstance(pair.hat, bool)
        and pair.attribute in ATTRIBUTES and pair.direction in ("+", "-")
    )  # fmt: skip


def read_json(file):
    """The text of a JSON file and the object that it holds; MagganError where it is missing or damaged."""
    try:
        text = file.read_text(encoding="utf-8")
        held = json.loads(text)
    except FileNotFoundError:
        raise MagganError(f"{file} is not there: make study PROFILE={file.parent.parent.name}") from None
    except OSError as error:
        raise MagganError(f"{file} could not be read ({error.strerror or error}); make it readable.") from None
    except ValueError:
        raise damaged(file) from None
    if not isinstance(held, dict):
        raise damaged(file)
    return text, held


def damaged(file):
    """The error for a file of a study that does not hold what it should."""
    again = f"make study PROFILE={file.parent.parent.name}"
    return MagganError(f"{file} is damaged; put a whole copy back, or delete it and draw the study again: {again}")
