"""A claim's atoms: each one predicate over the metrics, with its own numbers, interval and verdict."""

from collections.abc import Callable
from math import inf
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest, fisher_exact, norm
from statsmodels.stats.proportion import confint_proportions_2indep

from ..metrics import wilson_interval
from .quantities import NotMeasurable, Quantity, Unjudged, mean
from .statistics import LEVEL, MANY, POWER, holm, p_values, seeds_needed

VERDICTS = ("supported", "contradicted", "undecided", "not measurable", "not run")  # from the strongest
WOULD = "would be decided by "


class Finding(NamedTuple):
    """What an atom found: the p-values of both verdicts, the numbers as text, and the interval it was judged by.

    `needs(tested)` says what would decide it where that many atoms are tested: how many seeds a row, or None, and the
    same in words.
    """

    supported: float
    contradicted: float
    numbers: str
    seeds: dict  # row: its seeds
    interval: tuple  # value, low, high
    needs: Callable


class Comparison(NamedTuple):
    """Whether a number of one row, over or less that of another, lies between `low` and `high`.

    The edges are on the scale of comparison, logarithms for ratios. A row may be (row, factor): that row on the profile
    `factor` times the size. With `other` None the row's own number lies there. What does not decide stands beside.
    """

    says: str
    quantity: Quantity
    row: str | tuple
    other: str | tuple | None
    low: float
    high: float
    decides: bool = True

    def measure(self, runs):
        """The Finding; raises Unjudged."""
        terms = [(each if isinstance(each, tuple) else (each, 1)) for each in (self.row, self.other) if each]
        quantity, found = self.quantity, runs.of_rows(self.quantity, terms)
        estimate, lender = runs.contrast(quantity, terms)
        value, low, high = (quantity.shown(each) for each in (estimate.value, *estimate.interval()))
        seeds = {row_name(term): list(of) for term, of in zip(terms, found, strict=True)}
        each = [f"{mean(quantity, of):.4g} (seed{'s' * (len(of) > 1)} {', '.join(map(str, of))})" for of in found]
        numbers = f"{' against '.join(each)}, {'ratio' if quantity.ratio else 'difference'} "
        numbers = (numbers if self.other else "") + as_text(value, low, high)
        numbers += f" ({each[0].split(' (')[1]}" * (not self.other)
        numbers += f", seed deviation borrowed from {lender}" * bool(lender)

        def needs(tested):
            wanted = seeds_needed(estimate, self.low, self.high, tested)
            if 0 < wanted < inf:
                wanted = max(wanted, 1 + min(map(len, found)))
                return wanted, f"about {wanted} seeds a row"
            if min(abs(estimate.value - edge) for edge in (self.low, self.high)) < estimate.deviation:
                return None, "a longer training: the difference is about nothing"
            return None, "more test faces" if wanted == inf else f"more than {MANY} seeds a row"

        return Finding(*p_values(estimate, self.low, self.high), numbers, seeds, (value, low, high), needs)


class Raters(NamedTuple):
    """Whether people's share of MagGAN, of the pairs that they did not call a tie, is above one half.

    With `hats`: whether it is larger on faces with a hat than on those without. Pairs count as independent; the tests
    are exact.
    """

    says: str
    hats: bool
    decides: bool = True

    def measure(self, runs):
        """The Finding; NotRun until the paper's number of people have rated every pair."""
        won, of = zip(*(runs.decided(hat) for hat in ((True, False) if self.hats else (None,))), strict=True)
        shares = [wilson_interval(*each) for each in zip(won, of, strict=True)]
        said = [as_text(*map(float, each)) for each in shares]
        if self.hats:
            table = [[w, n - w] for w, n in zip(won, of, strict=True)]
            p = [float(fisher_exact(table, side).pvalue) for side in ("greater", "less")]
            ends = confint_proportions_2indep(won[0], of[0], won[1], of[1], method="newcomb")
            interval = (shares[0][0] - shares[1][0], *(float(np.clip(end, -1, 1)) for end in ends))
            numbers = f"with hat {said[0]}, without {said[1]}, difference {as_text(*interval)}"
        else:
            p = [float(binomtest(won[0], of[0], 0.5, side).pvalue) for side in ("greater", "less")]
            interval, numbers = tuple(map(float, shares[0])), f"{won[0]} of {of[0]} pairs, {said[0]}"

        def needs(tested):
            wanted = norm.isf(LEVEL / (2 * tested)) + norm.ppf(POWER)
            times = (wanted / max(norm.isf(min(p)), 1e-9)) ** 2
            return None, f"about {max(10, round(times * sum(of), -1)):.0f} pairs" if times < MANY else "far more pairs"

        return Finding(*p, numbers, {}, interval, needs)


class Unasked(NamedTuple):
    """An atom that can't be measured whatever is run, or not on this profile; `reason` says why."""

    says: str
    reason: str
    decides: bool = True

    def measure(self, runs):
        """Raises NotMeasurable."""
        raise NotMeasurable(self.reason)


def as_text(value, low, high):
    """A number with its 95 % interval."""
    return f"{value:.4g} [{low:.4g}, {high:.4g}]"


def row_name(row):
    """A row in words: its name, and its size where that is not the profile's; `row` as in Comparison."""
    name, factor = row if isinstance(row, tuple) else (row, 1)
    return name if factor == 1 else f"{name} at {factor:g} x the size"


def judge_atoms(atoms, runs):
    """The verdicts of atoms, all at once for Holm's correction: a list of {says, verdict, decides, numbers, ...}.

    Of those without a test `numbers` is empty and `why` says what is missing; of the undecided it says what would
    decide.
    """
    found = []
    for atom in atoms:
        try:
            found.append(atom.measure(runs))
        except Unjudged as why:
            found.append(why)
    tested = [each for each in found if isinstance(each, Finding)]
    stands = iter(holm([(each.supported, each.contradicted) for each in tested]))
    return [judged(atom, each, stands, len(tested)) for atom, each in zip(atoms, found, strict=True)]


def judged(atom, found, stands, tested):
    """One atom's verdict as JSON."""
    line = {"says": atom.says, "decides": atom.decides, "verdict": "undecided", "numbers": "", "seeds": {}, "why": "",
            "seeds_needed": None}  # fmt: skip
    if not isinstance(found, Finding):
        return line | {"verdict": found.verdict, "why": str(found)}
    supported, contradicted = next(stands)
    if supported or contradicted:
        line["verdict"] = "supported" if supported else "contradicted"
    else:
        line["seeds_needed"], words = found.needs(tested)
        line["why"] = WOULD + words
    names = ("value", "low", "high", "p_supported", "p_contradicted")
    numbers = (*found.interval, found.supported, found.contradicted)
    measured = {name: float(f"{number:.6g}") for name, number in zip(names, numbers, strict=True)}
    return line | {"numbers": found.numbers, "seeds": found.seeds} | measured
