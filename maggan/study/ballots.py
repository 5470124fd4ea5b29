"""A rater's votes on the disk: one CSV file a rater, one line a vote, written at once.

A file only grows: a vote taken back is a line too. Each line says which study it is of and who voted, a person or a
program, so that neither can be taken for the other wherever the file lies.
"""

import fcntl
import os
import re
import unicodedata
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from ..basics.errors import MagganError, nearest

KINDS = ("people", "simulated")
CHOICES = ("left", "same", "right")
UNDO = "undo"  # takes the pair's vote back
LONGEST_NAME = 40
APART = " .'\u2019"  # what stands between the parts of a name: spaces, a full stop, either apostrophe


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
    """A rater's name as it stands in file names: lower case, "-" for spaces, ' and .; MagganError where it will not do.

    Letters may be of any script, vowel signs included. A name that went through stays as it is.
    """
    name = composed(str(text).lower()).strip().rstrip(APART)
    if not name:
        raise MagganError("type a name first, any name you will remember; it becomes the name of your file.")
    kinds = "".join(letter if letter in f"-_{APART}" else unicodedata.category(letter)[0] for letter in name)
    if not re.fullmatch(rf"[LN_][LMN_{APART}Z-]*", kinds) or name.endswith(".csv"):  # that is the file's name
        raise MagganError(
            "a rater's name starts with a letter or digit and has letters, digits, spaces and - _ . ' only, no .csv at "
            f"its end; {str(text)!r} will not do."
        )
    name = re.sub(rf"[\s{APART}]+", "-", name)
    if len(name) > LONGEST_NAME:
        raise MagganError(f"a rater's name has at most {LONGEST_NAME} letters; this one has {len(name)}.")
    return name


def composed(name):
    """A name with its accents in their letters (NFC): some computers take them apart in the names of files."""
    return unicodedata.normalize("NFC", name)


def ballot_file(study, rater, kind="people"):
    """Where a rater's votes are: <study>/votes/<kind>/<rater>.csv."""
    if kind not in KINDS:
        raise nearest(kind, KINDS, "kind of rater")
    file = study.folder / "votes" / kind / f"{rater_name(rater)}.csv"
    there = [other for other in file.parent.glob("*.csv") if composed(other.name) == file.name]
    return there[0] if there and file not in there else file


def read_ballot(file, study, kind="people"):
    """The votes that stand in a rater's file, {pair number: Vote}, oldest first; none where there is no file.

    A last line torn by a kill does not count. Raises MagganError, naming the line, for a vote of another study, kind or
    rater, for a pair that has two, for anything else that is not a vote, and where the file cannot be read.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise MagganError(
            f"{file}: votes could not be read ({error.strerror or error}); make it readable, or move it away if it is "
            "no file of votes."
        ) from None
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
    """Append the line for which `decide` names (pair, choice) in view of the votes that stand; returns the pair.

    A line that did not get to the disk is taken out again: the rater is told to vote again, and that vote must count.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "a+b", buffering=0) as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            opened.seek(0)
            data = opened.read()
            lines, kept = whole_lines(data)
            decided = decide(standing(file, lines, study, kind))
            if decided is None:
                return None
            pair, choice = decided
            time = datetime.now(UTC).isoformat(timespec="seconds")
            vote = Vote(time, study.id, kind, composed(file.stem), pair, round(seconds, 1), choice)
            text = "\n" if kept and not data[:kept].endswith(b"\n") else ""
            text += "" if not all(map(blank, lines)) else HEADER + "\n"
            line = (text + ",".join(map(str, vote)) + "\n").encode()
            try:
                if kept < len(data):
                    opened.truncate(kept)
                if opened.write(line) != len(line):
                    raise OSError("the disk is full")
                os.fsync(opened.fileno())
                if not data:
                    _sync_folder(file.parent)
            except OSError:
                with suppress(OSError):
                    opened.truncate(kept)
                    os.fsync(opened.fileno())
                raise
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
    if last and (parsed(last) or is_header(last)):  # an editor left the last line's end out
        return [*lines, last], len(data)
    return lines, kept


def blank(line):
    """Whether a line says nothing; spreadsheets write empty ones, and empty cells."""
    return not line.strip(b" \t\r,")


def is_header(line):
    """Whether a line names the columns; spreadsheets put a mark of their encoding before it."""
    return line.decode("utf-8-sig", errors="replace").strip() == HEADER


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
    lines = [(number, line) for number, line in enumerate(lines, 1) if not blank(line)]
    if lines and not is_header(lines[0][1]):
        raise MagganError(f"{file}, line {lines[0][0]}: this is no file of votes; it should say {HEADER}")
    for number, line in lines[1:]:
        vote = parsed(line)
        wrong = None
        if vote is None:
            wrong = "this is no vote; delete the line"
        elif vote.kind != kind:
            what = {"simulated": "a simulated rater", "people": "a person"}.get(vote.kind, "nobody known")
            wrong = f"a vote of {what} among those of votes/{kind}, which are never mixed; move the file out"
        elif vote.study != study.id:
            wrong = f"a vote on another study ({vote.study}, this one is {study.id}); move the file away"
        elif composed(vote.rater) != composed(file.stem):
            wrong = f"a vote of '{vote.rater}'; copies count twice, so give the file its name back or move it away"
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
