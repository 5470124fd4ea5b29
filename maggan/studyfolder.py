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

from . import paths
from .errors import MagganError
from .profiles import profile as get_profile

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
        text, about = read_json(folder / "study.json")
        if about.get("format") != FORMAT:
            raise MagganError(f"{folder / 'study.json'} is of another version; move the folder away and: make study")
        return cls(folder, id_of(text), about, tuple(Pair(**pair) for pair in about["pairs"]))

    def picture(self, pair, which):
        """The PNG file of a pair's "source", "left" or "right"."""
        return picture_file(self.folder, pair, which)

    def key(self):
        """{pair number: the row on the left}; MagganError where the key is of another study."""
        file = self.folder / "key.json"
        _, key = read_json(file)
        if key.get("study") != self.id:
            raise MagganError(f"{file} is the key of another study than study.json; put the right one back.")
        return {int(number): row for number, row in key["left"].items()}


def study_folder(profile):
    """Where the study of a profile is: results/<profile>/study."""
    return paths.results() / get_profile(profile).name / "study"


def picture_file(folder, pair, which):
    """A face's source is shared by its pairs; the names of results tell the side, never the row."""
    name = Path(pair.face).stem if which == "source" else f"{pair.number:03d}-{which}"
    return Path(folder) / "pictures" / f"{name}.png"


def id_of(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_json(file):
    """The text of a JSON file and what it says; MagganError where it is missing or damaged."""
    try:
        text = file.read_text(encoding="utf-8")
        return text, json.loads(text)
    except FileNotFoundError:
        raise MagganError(f"{file} is not there: make study PROFILE={file.parent.parent.name}") from None
    except ValueError:
        raise MagganError(f"{file} is damaged; delete it and draw the study again: make study") from None
