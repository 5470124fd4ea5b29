"""What was measured: the metrics files of a profile's rows, their seeds taken together."""

import json
import re

from . import paths
from .errors import MagganError
from .evaluate import metrics_file
from .profiles import PROFILES
from .seeds import combined
from .summaries import add_fid
from .variants import ROWS

EXTRA_ROWS = {"true-edit": "true edit (floor)", "no-edit": "no edit"}
SAME = ("faces", "size", "iterations", "trained_with", "settings_hash")  # what seeds must share to be one row


def metrics_files(slug, profile, source="yours"):
    """The metrics files of a row's seeds: {seed: path}, in order; `source` is "reference" or "yours"."""
    folder = (paths.reference() if source == "reference" else paths.results()) / profile.name / "metrics"
    found = {}
    for file in folder.glob(f"{slug}-seed*.json"):
        if number := re.fullmatch(rf"{slug}-seed(\d+)", file.stem):
            found[int(number[1])] = file
    return dict(sorted(found.items()))


def read_metrics(profile, source):
    """The metrics of the rows that were run: {slug: JSON}, of several seeds their means (`seeds.combined`).

    Raises MagganError for a damaged file, and for seeds that were not trained and measured alike.
    """
    found = {}
    for slug in [*ROWS, *EXTRA_ROWS]:
        runs = {}
        for seed, file in metrics_files(slug, profile, source).items():
            try:
                runs[seed] = add_fid(file) if source == "yours" else json.loads(file.read_text())
            except ValueError:
                raise MagganError(f"{file} is damaged; delete it and run: {command(slug, profile, seed)}") from None
        for seed, run in runs.items():
            for name in SAME:
                if run.get(name) != next(iter(runs.values())).get(name):
                    file, both = metrics_file(slug, profile, seed), f"{next(iter(runs))} {seed}"
                    again = command(slug, profile, both)
                    raise MagganError(f"{file} has other {name} than the seed before it; one of them is old: {again}")
        if runs:
            found[slug] = combined(runs)
    return found


def command(slug, profile, seed=0):
    """What trains and evaluates a row, of one seed or several ("0 1")."""
    photos = " CELEBA=folder" if profile.world == "celeba" else ""
    seeds = f' SEEDS="{seed}"' if isinstance(seed, str) else f" SEEDS={seed}" if seed else ""
    return f"make row ROW={slug} PROFILE={profile.name}{seeds}{photos}"


def resized(profile, factor):
    """The profile of the same world at another size, of the same recipe if there is one, or None."""
    if factor == 1:
        return profile
    there = [each for each in PROFILES.values() if (each.world, each.size) == (profile.world, factor * profile.size)]
    there = [each for each in there if "smoke" not in (each.name, profile.name)]  # which has no other sizes
    return min(there, key=lambda each: each.recipe != profile.recipe, default=None)
