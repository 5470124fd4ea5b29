"""What several training seeds say of a difference between rows: estimates, tests, Holm's correction.

The unit is the training seed. A number has one level a row, and one deviation of seeds that all rows share, so that a
row of one seed is judged by the deviation of those that have more. The test faces add their own sampling variance.
"""

from math import inf, sqrt
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests

LEVEL = 0.05  # of any wrong verdict among all of a profile
POWER = 0.8  # with which the number of seeds that is named would decide
MANY = 20  # seeds a row; what needs more is about nothing


class Sample(NamedTuple):
    """A number of one seed, and its variance over test faces."""

    value: float
    faces: float


class Spread(NamedTuple):
    """How far the seeds of a row lie apart: their variance, its degrees of freedom, and who lent it."""

    variance: float
    freedom: float
    lender: str = ""


class Estimate(NamedTuple):
    """A contrast of rows: its value and what makes it vary.

    `seeds` and `faces` are the two parts of its variance, `each` what `seeds` would be with one seed a row, `freedom`
    the degrees of freedom behind `seeds`, `rows` how many rows it compares.
    """

    value: float
    seeds: float
    faces: float
    each: float
    freedom: float
    rows: int

    @property
    def deviation(self):
        """Of the value; seeds and faces count as independent."""
        return sqrt(self.seeds + self.faces)

    def interval(self, level=1 - LEVEL):
        """The two-sided interval by Student's t: (low, high)."""
        reach = stdtrit(self.freedom, (1 + level) / 2) * self.deviation
        return self.value - reach, self.value + reach

    def below(self, edge):
        """The p of a one-sided test whose support is a value below the edge; 0 of infinity."""
        apart = self.value - edge
        if not self.deviation or abs(apart) == inf:
            return float(apart > 0) if apart else 1.0
        return float(stdtr(self.freedom, apart / self.deviation))

    def above(self, edge):
        """The p of a one-sided test whose support is a value above the edge."""
        mirrored = self._replace(value=-self.value)
        return mirrored.below(-edge)

    def plus(self, other):
        """The sum of two that share no run; degrees of freedom by Welch and Satterthwaite."""
        seeds = self.seeds + other.seeds
        parts = self.seeds**2 / self.freedom + other.seeds**2 / other.freedom
        freedom = seeds**2 / parts if parts else min(self.freedom, other.freedom)
        return Estimate(self.value + other.value, seeds, self.faces + other.faces, self.each + other.each, freedom,
                        self.rows + other.rows)  # fmt: skip


class Levels:
    """One number of several rows and their seeds by least squares: a level a row, one spread of seeds for all.

    samples {row: {seed: Sample}}. Where no row has two seeds the spread is `lent`; without that it is None, and there
    are no contrasts.
    """

    def __init__(self, samples, lent=None):
        self.rows = list(samples)
        number = {row: i for i, row in enumerate(self.rows)}
        lines = [(number[row], sample) for row, seeds in samples.items() for sample in seeds.values()]
        self.faces = [np.mean([sample.faces for sample in seeds.values()]) for seeds in samples.values()]
        model = OLS([sample.value for _, sample in lines], np.eye(len(self.rows))[[row for row, _ in lines]])
        if len(lines) > len(self.rows):
            self.fit = model.fit()
            self.spread = Spread(float(self.fit.scale), float(self.fit.df_resid))
        else:
            self.fit = lent and model.fit(cov_type="fixed scale", cov_kwds={"scale": lent.variance})
            self.spread = lent

    def contrast(self, weights):
        """The Estimate of a weighted sum of rows, {row: weight}.

        All seeds of a row are measured on the same faces, so more seeds don't lessen what those add.
        """
        line = np.array([weights.get(row, 0.0) for row in self.rows])
        test, squares = self.fit.t_test(line), line**2
        return Estimate(float(test.effect[0]), float(test.sd[0, 0]) ** 2, float(squares @ self.faces),
                        float(squares.sum()) * self.spread.variance, self.spread.freedom, len(weights))  # fmt: skip


def p_values(estimate, low, high):
    """The two p-values of "the value lies between low and high", (supported, contradicted); either may be infinite.

    Between two edges these are the two one-sided tests of equivalence, and that the value lies outside on either side.
    """
    supported = max(estimate.above(low), estimate.below(high))
    outside = [p for edge, p in ((low, estimate.below(low)), (high, estimate.above(high))) if abs(edge) != inf]
    return supported, min(1.0, len(outside) * min(outside))


def holm(pairs, level=LEVEL):
    """Which of the p-values, a pair an atom, stand after Holm's correction over all of both kinds; (n, 2) bool.

    One family: no more than `level` of all sets of verdicts hold any that is wrong, supported or contradicted.
    """
    pairs = np.asarray(pairs, dtype=float).reshape(-1, 2)
    return multipletests(pairs.ravel(), level, "holm")[0].reshape(-1, 2) if pairs.size else pairs.astype(bool)


def seeds_needed(estimate, low, high, tested):
    """About how many seeds a row would decide whether a value like this one lies between low and high.

    By the first step of Holm's correction over `tested` atoms. 0 where more than MANY would be needed, infinity where
    no number would, for the test faces alone leave it open.
    """
    inside = low < estimate.value < high
    both = not inside and inf not in (-low, high)
    level = LEVEL / (2 * tested) / (1 + both)
    distance = min(abs(estimate.value - edge) for edge in (low, high))
    if distance <= (stdtrit(inf, 1 - level) + stdtrit(inf, POWER)) * sqrt(estimate.faces):
        return inf
    seeds = np.arange(2, MANY + 1)
    freedom = np.maximum(estimate.freedom, estimate.rows * (seeds - 1))
    reach = stdtrit(freedom, 1 - level) + stdtrit(freedom, POWER)
    enough = reach * np.sqrt(estimate.each / seeds + estimate.faces) <= distance
    return int(seeds[enough.argmax()]) if enough.any() else 0
