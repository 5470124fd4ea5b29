"""The numbers that claims are about: how each is taken from the JSON of one seed, and on which scale rows compare."""

from collections.abc import Callable
from math import exp, inf, log
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from ..evaluate.seeds import LOGARITHMIC
from .statistics import Sample

WIDTH = 2 * norm.ppf(0.975)  # of a 95 % interval, in deviations
RANGE = {"accuracy": 1.0, "ssim": 2.0}  # how large a difference can be


class Unjudged(Exception):
    """Why an atom has no test; `verdict` is what it has instead."""

    verdict = "undecided"


class NotMeasurable(Unjudged):
    """The number can't tell; the text says why."""

    verdict = "not measurable"


class NotRun(Unjudged):
    """A number is missing; the text is the command that makes it."""

    verdict = "not run"


class Quantity(NamedTuple):
    """A number of one seed of a row: how to take it from the JSON, and on which scale rows are compared.

    `take(run)` gives a Sample, the logarithm where `ratio`. `share` is the part of the training after which it is
    measured on validation faces; None is test faces, at its end.
    """

    name: str
    take: Callable
    ratio: bool = False
    reach: float = inf  # the largest difference
    share: float | None = None

    def shown(self, value):
        """A value on the scale of comparison as the ratio or the difference that it is, inside its range."""
        return exp(min(value, 700.0)) if self.ratio else float(np.clip(value, -self.reach, self.reach))


def sample(entries, key, ratio=False):
    """The Sample of `key` among {key: entry}; its variance over faces is that of its 95 % interval.

    Raises NotRun with the key where it was not measured, and NotMeasurable where it can't be compared.
    """
    entry = entries.get(key)
    if entry and entry.get("cannot_judge"):
        raise NotMeasurable(f"{key} cannot judge here: {entry['cannot_judge']}")
    if entry is None:
        raise NotRun(key)
    if entry["value"] is None:
        raise NotMeasurable(f"{key} has no test face to measure on")
    if entry["low"] is None or entry["high"] is None:
        raise NotMeasurable(f"{key} has no interval over test faces")
    value, deviation = entry["value"], (entry["high"] - entry["low"]) / WIDTH
    if not ratio:
        return Sample(value, deviation**2)
    if value <= 0:
        raise NotMeasurable(f"{key} is not above 0 and has no ratio")
    return Sample(log(value), (deviation / value) ** 2)


def metric(key, share=None):
    """A metric as it stands in the files; MRE, FID and KID by their ratios."""
    kind = key.split("_")[0]
    ratio = kind in LOGARITHMIC  # compared by their ratio; all else by its difference
    name = key if share is None else f"{key} after {100 * share:.0f} % of the training, validation faces"
    return Quantity(name, lambda run: sample(run["metrics"], key, ratio), ratio, RANGE.get(kind, inf), share)


def mean_over(attributes, key):
    """The mean of an accuracy over attributes; its deviation is large enough for any correlation of theirs."""

    def take(run):
        each = [sample(run.get("per_attribute", {}).get(name, {}), key) for name in attributes]
        return Sample(np.mean([one.value for one in each]), np.mean([one.faces**0.5 for one in each]) ** 2)

    return Quantity(f"{key} on {', '.join(attributes)}", take, reach=1.0)


def quotient(key, other):
    """One metric over another of the same run, as if they were independent."""

    def take(run):
        a, b = (sample(run["metrics"], each, ratio=True) for each in (key, other))
        return Sample(a.value - b.value, a.faces + b.faces)

    return Quantity(f"{key} over {other}", take, ratio=True)


def farther(key, other):
    """By how much more a metric is away from 0 than another of the same run, as if they were independent."""

    def take(run):
        a, b = (sample(run["metrics"], each) for each in (key, other))
        return Sample(abs(a.value) - abs(b.value), a.faces + b.faces)

    return Quantity(f"|{key}| less |{other}|", take)


def mean(quantity, seeds):
    """The mean of seeds as the tables have it, not on the scale of comparison."""
    return np.mean([exp(one.value) if quantity.ratio else one.value for one in seeds.values()])
