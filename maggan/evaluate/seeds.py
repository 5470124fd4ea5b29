"""Several seeds of rows as one: means, with intervals over training seeds and test images.

A row of three seeds tells little of how far seeds lie apart; all rows of a profile together tell more. So every row has
the same deviation of seeds, also one that was trained once, and each adds its own variance over test images.
"""

import math
from typing import NamedTuple

import numpy as np

from ..variants import LIMITS

LEVEL = 0.95
OVER_SEEDS = "over seeds, whose deviation all rows share, and test images, 95 %"
WIDTH = 2 * 1.959964  # of such an interval over images, in deviations
LOGARITHMIC = ("mre", "fid", "kid")  # their seeds lie apart by so many percent; all else by so much
RANGES = {"accuracy": (0, 1), "judge": (0, 1), "effectiveness": (0, 1), "area": (0, 1), "ssim": (-1, 1)}


class Spread(NamedTuple):
    """How far the seeds of a row lie apart: variance and degrees of freedom, of logarithms where `logarithmic`."""

    variance: float
    freedom: int
    logarithmic: bool


def combined(rows):
    """The metrics of rows and their seeds, {row: {seed: JSON}}, as one JSON a row of the same form.

    What is not a number comes from a row's first seed; "seeds" lists all of them. A number that a seed lacks is left
    out. Where no row has two seeds, intervals stay those over test images, and so they do for what is not trained.
    """
    return {row: together(row, runs, rows) for row, runs in rows.items()}


def together(row, runs, rows):
    """One row's seeds as one JSON; the other rows lend their spread."""
    first = next(iter(runs.values()))
    of_all = [list(seeds.values()) for slug, seeds in rows.items() if slug not in LIMITS]

    def over(take):
        lenders = [] if row in LIMITS else of_all
        return over_seeds(list(map(take, runs.values())), [list(map(take, seeds)) for seeds in lenders])

    return {
        **first,
        "seeds": list(runs),
        "metrics": over(lambda run: run["metrics"]),
        "per_attribute": {
            name: over(lambda run, name=name: run.get("per_attribute", {}).get(name, {}))
            for name in first.get("per_attribute", {})
        },
        "curve": [
            {"strength": point["strength"], **over(lambda run, i=i: measured(run.get("curve", []), i))}
            for i, point in enumerate(first.get("curve", [])[: min(len(run.get("curve", [])) for run in runs.values())])
        ],
    }


def measured(points, i):
    """The numbers of a curve's i-th point."""
    return {name: entry for name, entry in points[i].items() if name != "strength"} if i < len(points) else {}


def over_seeds(entries, rows=()):
    """{name: entry} of each seed to {name: entry} over seeds; `rows` are all rows' seeds, for their spread."""
    names = [name for name in entries[0] if all(name in each for each in entries)]
    return {name: one(name, [each[name] for each in entries], spread(name, rows or [entries])) for name in names}


def spread(name, rows):
    """The Spread of one number over all rows, lists of {name: entry}; None where no row has two seeds of it."""
    values = [[each[name]["value"] for each in seeds if each.get(name) and each[name]["value"] is not None]
              for seeds in rows]  # fmt: skip
    freedom = sum(len(seeds) - 1 for seeds in values if seeds)
    if not freedom:
        return None
    logarithmic = name.split("_")[0] in LOGARITHMIC and min(min(seeds) for seeds in values if seeds) > 0
    scaled = [np.log(seeds) if logarithmic else np.asarray(seeds) for seeds in values if seeds]
    return Spread(sum(float(seeds.var() * len(seeds)) for seeds in scaled) / freedom, freedom, logarithmic)


def one(name, entries, spread):
    """An entry over seeds; `n` stays the number of faces or flips behind each seed's value."""
    values = [entry["value"] for entry in entries]
    said = {name: entries[0][name] for name in ("n", "interval") if name in entries[0]}
    reasons = [each["cannot_judge"] for each in entries if each.get("cannot_judge")]
    said |= {"cannot_judge": reasons[0]} if reasons else {}
    if None in values:
        return {"value": None, "low": None, "high": None, **said}
    if spread is None:
        return {**entries[0], **said}
    mean = float(np.mean(values))
    low, high = interval(name, mean, entries, spread)
    said["interval"] = OVER_SEEDS
    return {"value": mean, "low": low, "high": high, **said}


def interval(name, mean, entries, spread):
    """The interval by Student's t around the mean of seeds that look at the same test images."""
    from scipy.special import stdtrit  # which not every GPU machine has, and a single seed does without

    widths = [entry["high"] - entry["low"] for entry in entries if None not in (entry["low"], entry["high"])]
    images = float(np.mean(widths)) / WIDTH if widths else 0.0  # more seeds don't lessen what the images add
    if spread.logarithmic:
        images /= mean
    reach = stdtrit(spread.freedom, (1 + LEVEL) / 2) * math.hypot(math.sqrt(spread.variance / len(entries)), images)
    if spread.logarithmic:
        return mean * math.exp(-reach), mean * math.exp(reach)
    lowest, highest = RANGES.get(name.split("_")[0], (-math.inf, math.inf))
    return max(mean - float(reach), lowest), min(mean + float(reach), highest)
