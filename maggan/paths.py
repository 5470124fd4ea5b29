"""Where things lie: absolute, so that nothing depends on the folder a notebook or a command runs in."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

from .errors import MagganError, no_room

ROOT = Path(__file__).resolve().parent.parent
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


def celeba_folder():
    """The folder named by CELEBA, which holds CelebA in its official layout."""
    folder = os.environ.get("CELEBA")
    if not folder:
        raise MagganError(
            "this profile needs CelebA: get img_align_celeba.zip, list_attr_celeba.txt and "
            "list_eval_partition.txt, put them into one folder and name it: make table3 CELEBA=folder"
        )
    return Path(folder).expanduser().absolute()


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
