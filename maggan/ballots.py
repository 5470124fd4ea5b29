"""A rater's votes on the disk: one CSV file a rater, one line a vote, written at once.

A file only grows: a vote taken back is a line too. Each line says which study it is of and who voted, a person or a
program, so that neither can be taken for the other wherever the file lies.
"""

import fcntl
import os
import re
import unicodedata
from datetime import UTC, datetime
from typing import NamedTuple

from .errors import MagganError, nearest

KINDS = ("people", "simulated")
CHOICES = ("left", "same", "right")
UNDO = "undo"  # takes the pair's vote back
LONGEST_NAME = 40


class Vote(NamedTuple):
    """One line. The choice comes last, so that half a line is never a whole vote."""

    time: str
    study: str
    kind: str
    rater: str
    pair: int
    seconds: float  # from the pair's appearance to the vote
    choice: str


HEADER = ",".join(Vote._fields)


def rater_name(text):
    """A rater's name as it stands in file names: lower case, "-" for spaces; MagganError for one that will not do."""
    name = unicodedata.normalize("NFC", str(text)).strip()
    if not name:
        raise MagganError("type a name first, any name you will remember; it becomes the name of your file.")
    if len(name) > LONGEST_NAME:
        raise MagganError(f"a rater's name has at most {LONGEST_NAME} letters; this one has {len(name)}.")
    if not re.fullmatch(r"\w[\w -]*", name):
        raise MagganError(f"a rater's name has letters, digits, spaces, - and _ only, and {name!r} has something else.")
    return re.sub(r"\s+", "-", name.lower())


def ballot_file(study, rater, kind="people"):
    """Where a rater's votes are: <study>/votes/<kind>/<rater>.csv."""
    if kind not in KINDS:
        raise nearest(kind, KINDS, "kind of rater")
    return study.folder / "votes" / kind / f"{rater_name(rater)}.csv"


def read_ballot(file, study, kind="people"):
    """The votes that stand in a rater's file, {pair number: Vote}, oldest first; none where there is no file.

    A last line torn by a kill does not count. Raises MagganError, naming the line, for a vote of another study, kind or
    rater, for a pair that has two, and for anything else that is not a vote.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return {}
    return standing(file, whole_lines(data)[0], study, kind)


def cast(file, study, kind, pair, choice, seconds=0.0):
    """Append a vote on `pair` to a rater's file, on the disk when this returns; False where the pair has one.

    Whoever votes holds the file meanwhile, so two pages of one rater never vote twice. A torn last line is cut off.
    """
    return _append(file, study, kind, lambda votes: None if pair in votes else (pair, choice), seconds) is not None


def take_back(file, study, kind):
    """Take the last vote that stands back: its pair's number, or None where there is none."""
    return _append(file, study, kind, lambda votes: (next(reversed(votes)), UNDO) if votes else None)


def _append(file, study, kind, decide, seconds=0.0):
    """Append the line for which `decide` names (pair, choice) in view of the votes that stand; returns the pair."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(file, "a+b", buffering=0) as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            opened.seek(0)
            data = opened.read()
            lines, kept = whole_lines(data)
            decided = decide(standing(file, lines, study, kind))
            if decided is None:
                return None
            pair, choice = decided
            if kept < len(data):
                opened.truncate(kept)
            time = datetime.now(UTC).isoformat(timespec="seconds")
            vote = Vote(time, study.id, kind, file.stem, pair, round(seconds, 1), choice)
            text = "" if lines else HEADER + "\n"
            text += "\n" if kept and not data[:kept].endswith(b"\n") else ""
            line = (text + ",".join(map(str, vote)) + "\n").encode()
            if opened.write(line) != len(line):
                raise OSError("the disk is full")
            os.fsync(opened.fileno())
            if not data:
                _sync_folder(file.parent)
            return pair
    except OSError as error:
        raise MagganError(f"{file}: the vote could not be saved ({error.strerror or error}); vote again.") from None


def _sync_folder(folder):
    """A new file's name is on the disk only when its folder is."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def whole_lines(data):
    """The lines of a file without a torn last one, and how many bytes they take."""
    *lines, last = data.split(b"\n")
    kept = len(data) - len(last)
    if last and (parsed(last) or last.strip() == HEADER.encode()):  # an editor left the last line's end out
        return [*lines, last], len(data)
    return lines, kept


def parsed(line):
    """A line as a Vote, or None."""
    try:
        cells = line.decode().strip().split(",")
        vote = Vote(*cells[:4], int(cells[4]), float(cells[5]), *cells[6:])
    except (ValueError, IndexError, TypeError):
        return None
    return vote if vote.choice in (*CHOICES, UNDO) else None


def standing(file, lines, study, kind):
    """The votes of these lines that were not taken back, {pair number: Vote}."""
    known, votes = {pair.number for pair in study.pairs}, {}
    if lines and lines[0].decode(errors="replace").strip() != HEADER:
        raise MagganError(f"{file}, line 1: this is no file of votes; it should say {HEADER}")
    for number, line in enumerate(lines[1:], 2):
        vote = parsed(line)
        wrong = None
        if vote is None:
            wrong = "this is no vote; delete the line"
        elif vote.kind != kind:
            what = {"simulated": "a simulated rater", "people": "a person"}.get(vote.kind, "nobody known")
            wrong = f"a vote of {what} among those of votes/{kind}, which are never mixed; move the file out"
        elif vote.study != study.id:
            wrong = f"a vote on another study ({vote.study}, this one is {study.id}); move the file away"
        elif vote.rater != file.stem:
            wrong = f"a vote of '{vote.rater}'; copies count twice, so delete the file or give it its name back"
        elif vote.pair not in known:
            wrong = f"there is no pair {vote.pair}; delete the line"
        elif (vote.choice == UNDO) != (vote.pair in votes):
            wrong = f"pair {vote.pair} has " + ("no vote to take back" if vote.choice == UNDO else "a vote already")
            wrong += "; delete the line"
        if wrong:
            raise MagganError(f"{file}, line {number}: {wrong}.")
        if vote.choice == UNDO:
            del votes[vote.pair]
        else:
            votes[vote.pair] = vote
    return votes
