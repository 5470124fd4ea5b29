"""What the numbers of each stage are made of: which code, so that make and a run know what an edit makes old.

    python -m maggan.stages FOLDER PROFILE     # a stamp a stage, rewritten only where its code has changed

The standard library is enough, so that make's look takes well under a second.
"""

import argparse
import csv
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from .basics.errors import MagganError, cli
from .basics.fingerprint import PACKAGE, fingerprint
from .basics.paths import write_text
from .profiles import profile

# These decide no number: how a user is told, where things lie, how they are kept. Settings are compared by value, which
# tells a changed number from a changed remark better than the code can.
SETTINGS = ("config", "variants")
NEUTRAL = ("basics.errors", "basics.paths", "basics.progress", "basics.weights", "basics.checkpoints",
           "basics.fingerprint", "stages", "train.disk", "weights", "profiles", *SETTINGS)  # fmt: skip

# Stage -> where its code begins. Worlds and systems are found by name at run time, so they are named here.
FACES = ("data.faces", "data.{world}")
STAGES = {
    "source": ("data.{world}",),
    "data": FACES,
    "fit": ("evaluate.fitting", "networks.judges", *FACES),  # what decides the weights of judges
    "truths": ("evaluate.truths", *FACES),
    "judges": ("evaluate.judges", *FACES),
    "d_att": ("train.d_att", "networks.discriminator", *FACES),
    "train": ("train.run", "train.d_att", "systems.{system}", *FACES),
    "evaluate": ("evaluate.protocol", *FACES),
    "learning": ("evaluate.learning", *FACES),
    "masks": ("masks.build",),
}
# Of these the words count too: they are what is made. What they stand on is measured by then.
SHOWN = {"tables": ("report.tables",), "claims": ("report.claims",), "gallery": ("report.gallery",),
         "report": ("report.page",)}  # fmt: skip
MEASURED_BY_THEN = ("basics", "attributes", "regions", "losses", "metrics", "celeba", "drawnfaces", "parser", "masks",
                    "networks", "systems", "data", "weights", "train", "pretrained", "stages", "evaluate.judges",
                    "evaluate.fitting", "evaluate.truths", "evaluate.rulers", "evaluate.protocol", "evaluate.learning",
                    "evaluate.summaries", "evaluate.kept")  # fmt: skip

# A fingerprint of today's code -> that of an earlier version, in its own way of counting, which gives the same numbers
# bit for bit: what that version made stays.
with open(Path(__file__).with_name("earlier.csv"), newline="") as _file:
    KNOWN_AS = {row["today"]: row["earlier"] for row in csv.DictReader(_file)}


def code_of(stage, world, *systems):
    """The fingerprint of all code that the numbers of a stage depend on, of a world and of one or more systems."""
    roots = {root.format(world=world, system=system) for root in STAGES[stage] for system in systems or ("stgan",)}
    found = fingerprint(sorted(roots), NEUTRAL)
    return KNOWN_AS.get(found, found)


def stamps(profile):
    """The stamps of a profile, {stage: text}: code, and the profile's values, which a changed remark leaves alone."""
    values = json.dumps({**asdict(profile), "note": ""}, sort_keys=True)
    systems = [file.stem for file in (PACKAGE / "systems").glob("[a-z]*.py")]
    found = {stage: f"{code_of(stage, profile.world, *systems)} {values}" for stage in STAGES}
    found["train"] += fingerprint(SETTINGS, words=True)  # of all rows; a run compares its own values
    return found | {stage: fingerprint(roots, MEASURED_BY_THEN, words=True) for stage, roots in SHOWN.items()}


# what make compares -------------------------------------------------------------------------------------------------

# Where the official layout of CelebA, or a flat one, has photos and labels.
CELEBA_PLACES = (".", "Anno", "Img", "img_align_celeba", "Img/img_align_celeba")


def described(name, path):
    """An input as a text that changes with it: its place and a file's size; of photos their names and labels.

    The latter takes less than a second for all of CelebA. "ours" is a parser that need not be there. Raises MagganError
    where another is not.
    """
    place = Path(path).expanduser().absolute()
    if name == "ours" and not place.exists():
        return "none"
    if name != "photos":
        if not place.is_file():
            raise MagganError(f"{place}: there is no such file")
        return f"{place} {place.stat().st_size}"
    if not path or not place.is_dir():
        said = f" ({path} is no folder)" if path else ""
        raise MagganError(
            "this needs CelebA photos: say CELEBA=folder, which holds img_align_celeba, list_attr_celeba.txt and "
            f"list_eval_partition.txt{said}"
        )
    digest = hashlib.sha256()
    for folder in (place / each for each in CELEBA_PLACES):
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
        digest.update("\n".join(each for each in names if each.endswith(".jpg")).encode())
        if "list_attr_celeba.txt" in names:
            digest.update((folder / "list_attr_celeba.txt").read_bytes())
        if "img_align_celeba.zip" in names:
            digest.update(str((folder / "img_align_celeba.zip").stat().st_size).encode())
    return f"{place} {digest.hexdigest()}"


def write_stamp(path, text):
    """Write a stamp; one that says the same already keeps its time."""
    if not path.exists() or path.read_text() != text + "\n":
        write_text(path, text + "\n")


def as_old_as_before(stamp, world):
    """A first stamp is as old as that of an earlier version where that named the same code: nothing is made again."""
    before = stamp.parents[2] / ".code" / world / stamp.name  # where stamps were kept once
    if before.exists() and before.read_text().strip() == stamp.read_text().split()[0]:
        os.utime(stamp, ns=(before.stat().st_mtime_ns,) * 2)


def main():
    parser = argparse.ArgumentParser(prog="python -m maggan.stages", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("profile", nargs="?", type=profile, help="writes the stamps of all stages of this profile")
    parser.add_argument("--input", action="append", default=[], metavar="NAME=PATH", help="writes that of an input")
    args = parser.parse_args()
    inputs = (each.partition("=") for each in args.input)
    found = {"parser" if name == "ours" else name: described(name, path) for name, _, path in inputs}
    try:
        found |= stamps(args.profile) if args.profile else {}
    except SyntaxError as error:
        raise MagganError(f"{error.filename}, line {error.lineno}: {error.msg}") from None
    for name, text in found.items():
        fresh = not (args.folder / name).exists()
        write_stamp(args.folder / name, text)
        if fresh and args.profile and name in STAGES:
            as_old_as_before(args.folder / name, args.profile.world)


if __name__ == "__main__":
    cli(main)
