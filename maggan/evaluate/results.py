"""What was measured of a profile, read once: metrics of rows, their seeds taken together, curves, judges."""

import json
from functools import cached_property

from ..basics import paths
from ..basics.errors import MagganError
from ..data import source_of
from ..profiles import resized
from ..variants import LIMITS, ROWS
from .seeds import combined
from .summaries import add_fid

SAME = ("faces", "size", "iterations", "trained_with", "settings_hash")  # what seeds must share to be one row


class Results:
    """The results of a Profile; each file is read when it is first asked for, and once.

    yours, reference   {row: metrics JSON} of the rows that were run, of several seeds their means (`combined`)
    seeds              {row: {seed: metrics JSON}}, the same before their means are taken
    judges             the judges' report on themselves, or None
    """

    def __init__(self, profile):
        self.profile, self._at, self._learning = profile, {}, {}

    @cached_property
    def seeds(self):
        return read_seeds(self.profile, "yours")

    @property
    def several(self):
        """The rows that were trained with several seeds, with how many, as text."""
        return ", ".join(f"{slug} ({len(runs)})" for slug, runs in self.seeds.items() if len(runs) > 1)

    @cached_property
    def yours(self):
        return combined(self.seeds)

    @cached_property
    def reference(self):
        return read_metrics(self.profile, "reference")

    @cached_property
    def judges(self):
        file = paths.judges_file(self.profile)
        return json.loads(file.read_text()) if file.exists() else None

    def at(self, factor):
        """The results at `factor` times the size, or None where there is no such profile."""
        if factor not in self._at:
            profile = resized(self.profile, factor)
            self._at[factor] = self if profile is self.profile else profile and Results(profile)
        return self._at[factor]

    def learning(self, slug):
        """The points of a row's curve, first to last, its seeds taken together.

        MagganError with the command where there is no curve, half of one, or curves of different lengths.
        """
        if slug in self._learning:
            return self._learning[slug]
        curves = self.curves(slug)
        points = zip(*curves.values(), strict=True)
        self._learning[slug] = [combined({slug: dict(zip(curves, each, strict=True))})[slug] for each in points]
        return self._learning[slug]

    def curves(self, slug):
        """The points of each seed of a row, {seed: points}; MagganError as `learning`."""
        seeds = paths.learning_files(slug, self.profile) or [0]
        curves = {seed: read_learning(slug, self.profile, seed)["points"] for seed in seeds}
        lengths = {seed: [point["iteration"] for point in points] for seed, points in curves.items()}
        for seed, points in lengths.items():
            if points != next(iter(lengths.values())):
                file = paths.learning_file(slug, self.profile, seed)
                raise MagganError(f"{file} has other iterations than the seed before it; delete the older one of them.")
        return curves

    def command(self, slug, seed=0):
        """What trains and evaluates a row."""
        return command(slug, self.profile, seed)


def read_metrics(profile, source):
    """The metrics of the rows that were run: {slug: JSON}, of several seeds their means; `source` as in `Results`.

    Raises MagganError as `read_seeds`.
    """
    return combined(read_seeds(profile, source))


def read_seeds(profile, source):
    """The metrics of every seed of the rows that were run: {slug: {seed: JSON}}; `source` is "yours" or "reference".

    Raises MagganError for a damaged file, and for seeds that were not trained and measured alike.
    """
    found = {}
    for slug in [*ROWS, *LIMITS]:
        runs = {}
        for seed, file in paths.metrics_files(slug, profile, source).items():
            try:
                runs[seed] = add_fid(file) if source == "yours" else json.loads(file.read_text())
            except ValueError:
                raise MagganError(f"{file} is damaged; delete it and run: {command(slug, profile, seed)}") from None
        for seed, run in runs.items():
            for name in SAME:
                if run.get(name) != next(iter(runs.values())).get(name):
                    file, both = paths.metrics_file(slug, profile, seed), f"{next(iter(runs))} {seed}"
                    again = command(slug, profile, both)
                    raise MagganError(f"{file} has other {name} than the seed before it; one of them is old: {again}")
        if runs:
            found[slug] = runs
    return found


def read_learning(variant, profile, seed=0, whole=True):
    """The curve that `learning` wrote; MagganError with the command where there is none, or half of one."""
    file = paths.learning_file(variant, profile, seed)
    make = f"make learning PROFILE={profile.name}{source_of(profile).needs}"
    if not file.exists():
        raise MagganError(f"{file} is not there: {make}")
    try:
        curve = json.loads(file.read_text())
    except ValueError:
        raise MagganError(f"{file} is damaged; delete it and run: {make}") from None
    if whole and (not curve["points"] or curve["points"][-1]["iteration"] != curve.get("iterations")):
        raise MagganError(f"{file} is half measured: {make} goes on from there")
    return curve


def command(slug, profile, seed=0):
    """What trains and evaluates a row, of one seed or several ("0 1")."""
    seeds = f' SEEDS="{seed}"' if isinstance(seed, str) else f" SEEDS={seed}" if seed else ""
    return f"make row ROW={slug} PROFILE={profile.name}{seeds}{source_of(profile).needs}"
