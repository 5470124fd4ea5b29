"""Where things lie: absolute, so that nothing depends on the folder a notebook or a command runs in.

Every path under runs/ and results/ is spelled here and nowhere else. Profiles come as objects, of which only the name
counts.
"""

import fcntl
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

from .errors import MagganError, no_room

ROOT = Path(__file__).resolve().parents[2]
FULL = 2**20  # bytes: with less left, the disk is full


def runs():
    """Faces, judges and weights of every profile (large, never in git); MAGGAN_RUNS moves it."""
    return Path(os.environ.get("MAGGAN_RUNS", ROOT / "runs")).absolute()


def results():
    """Metrics, tables and figures made here; MAGGAN_RESULTS moves it."""
    return Path(os.environ.get("MAGGAN_RESULTS", ROOT / "results")).absolute()


def reference():
    """The project's own committed runs."""
    return ROOT / "results" / "reference"


def paper():
    """The numbers the paper prints, as CSV."""
    return ROOT / "results" / "paper"


def notebooks():
    """The numbered notebooks."""
    return ROOT / "notebooks"


def settle():
    """Make the folders that the environment names absolute, for processes that run in another folder than this one."""
    for name in ("MAGGAN_RUNS", "MAGGAN_RESULTS", "MASKS", "CELEBA"):
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).expanduser().absolute())


# ------------------------------------------------------------------------------------- below runs/


def faces_folder(profile):
    """What is prepared of a profile's faces."""
    return runs() / profile.name / "faces"


def judges_folder(profile):
    """The weights of a profile's judges."""
    return runs() / profile.name / "judges"


def run_folder(profile, variant, seed=0):
    """Where a row's run lives: runs/<profile>/<row>-seed<seed>."""
    return runs() / profile.name / f"{variant}-seed{seed}"


def weights_file(profile, variant, seed=0):
    """The trained generator of a row."""
    return run_folder(profile, variant, seed) / "weights.safetensors"


def mask_folder():
    """Where the masks of photos are stored: MASKS, or runs/masks."""
    return Path(os.environ.get("MASKS") or runs() / "masks")


def parser_file():
    """The face parser that is trained here."""
    return runs() / "parser" / "parser.safetensors"


# ---------------------------------------------------------------------------------- below results/


def results_folder(profile, source="yours"):
    """The results of a profile, "yours" or the "reference"."""
    return (reference() if source == "reference" else results()) / profile.name


def metrics_file(variant, profile, seed=0):
    """Where a row's metrics are: results/<profile>/metrics/<row>-seed<seed>.json."""
    return results_folder(profile) / "metrics" / f"{variant}-seed{seed}.json"


def metrics_files(variant, profile, source="yours"):
    """The metrics files of a row's seeds: {seed: path}, in order."""
    return numbered((results_folder(profile, source) / "metrics").glob("*.json"), variant)


def judges_file(profile, source="yours"):
    """What the judges of a profile say of themselves."""
    return results_folder(profile, source) / "metrics" / "judges.json"


def learning_file(variant, profile, seed=0):
    """Where the curve of a row is: results/<profile>/learning/<row>-seed<seed>.json."""
    return results_folder(profile) / "learning" / f"{variant}-seed{seed}.json"


def learning_files(variant, profile):
    """The curves of a row's seeds: {seed: path}, in order."""
    return numbered((results_folder(profile) / "learning").glob("*.json"), variant)


def table_file(name, profile, kind="md"):
    """A table, or the claims, in one of its formats."""
    return results_folder(profile) / "tables" / f"{name}.{kind}"


def figure_file(name, profile, kind="png"):
    """A figure as a picture."""
    return results_folder(profile) / "figures" / f"{name}.{kind}"


def study_folder(profile):
    """The user study of a profile."""
    return results_folder(profile) / "study"


def executed_notebooks(profile):
    """The folder of the notebooks that were executed with a profile."""
    return results_folder(profile) / "notebooks"


def numbered(files, name):
    """Those of some paths that are called <name>-seed<number>, or that with .json: {number: path}, in order."""
    named = ((re.fullmatch(rf"{re.escape(name)}-seed(\d+)(\.json)?", path.name), path) for path in files)
    return dict(sorted((int(found[1]), path) for found, path in named if found))


# --------------------------------------------------------------------------------------- writing


@contextmanager
def replacing(path):
    """A temporary path beside `path` to write to; it takes `path`'s place once it is whole.

    A reader sees the old file or the new one, never half of one, whenever the process is killed.
    Raises MagganError where the disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except Exception as error:
        # libraries raise errors of their own where a file can't be written, hence the look at the disk
        if no_room(error) or shutil.disk_usage(path.parent).free < FULL:
            raise MagganError(
                f"no room to write {path}: the disk is full; make room, and the same command goes on from here."
            ) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def locked(path):
    """Alone at making `path`: another process that wants it too says so and waits. One that dies lets go by itself."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f".{path.name}.lock"), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another process is at {path.name} of {path.parent.name}: waiting for it", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_text(path, text):
    """Write a text file whole or not at all; returns its path."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return Path(path)
