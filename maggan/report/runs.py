"""A profile's results as the atoms of claims ask for them: a row's seeds, and contrasts of rows."""

from collections import defaultdict
from contextlib import suppress
from functools import cached_property

import numpy as np

from ..basics import paths
from ..basics.errors import MagganError
from ..evaluate.results import read_seeds
from ..profiles import profile
from ..study import votes
from ..variants import ROWS, VARIANTS
from .quantities import NotMeasurable, NotRun, Unjudged
from .statistics import Levels

LENDER = "drawn64"  # the reference run whose deviation of seeds is borrowed where a profile has none


class Runs:
    """A profile's results as atoms ask for them."""

    def __init__(self, results):
        self.results, self.profile, self._levels = results, results.profile, {}

    def at(self, factor):
        """The results at `factor` times the size."""
        at = self.results.at(factor)
        if at is None:
            raise NotMeasurable(f"there is no profile {factor:g} times the size of {self.profile.name}")
        return at

    def has(self, row, factor):
        """Whether a row was run at `factor` times the size."""
        at = self.results.at(factor)
        return at is not None and row in at.seeds

    def of_rows(self, quantity, terms):
        """The seeds of each row that have the number: a list of {seed: Sample}; terms are (row, factor).

        Raises NotMeasurable where any of them can't tell, else NotRun with what makes those that are missing.
        """
        found, commands, lacking = [], [], []
        for row, factor in terms:
            self.check_true_edits(quantity, factor)
            try:
                found.append(self.of_row(quantity, row, factor))
            except NotRun as missing:
                commands.append(missing.args[0])
                lacking += missing.args[1:]
        if commands:
            raise NotRun("; ".join(dict.fromkeys(commands)) + "".join(f" (for {key})" for key in lacking[:1]))
        return found

    def of_row(self, quantity, row, factor):
        """A row's seeds that have the number, {seed: Sample}.

        Raises NotMeasurable, or NotRun with a command and, where the row itself was run, what its metrics lack.
        """
        found = {}
        for seed, run in self.seeds(quantity, row, factor).items():
            try:
                found[seed] = quantity.take(run)
            except NotMeasurable as why:
                raise NotMeasurable(f"{row}: {why}") from None
            except NotRun as key:
                lacks = str(key)
        if not found:
            lacks += ", with clean-fid installed" * lacks.startswith("fid")
            raise NotRun(self.at(factor).command(row), lacks)
        return found

    def seeds(self, quantity, row, factor):
        """A row's metrics; with a share, the points of its curves nearest to it: {seed: JSON}."""
        at = self.at(factor)
        if quantity.share is None:
            if row not in at.seeds:
                raise NotRun(at.command(row))
            return at.seeds[row]
        try:
            curves = at.curves(row)
        except MagganError as error:
            raise NotRun(str(error).replace(str(paths.results()), "results")) from None  # not this machine's folders
        return {seed: min(points, key=lambda point: abs(point["iteration"] - quantity.share * points[-1]["iteration"]))
                for seed, points in curves.items()}  # fmt: skip

    def check_true_edits(self, quantity, factor):
        """NotMeasurable where an FID finds the true edits of drawn faces worse than every row of Table 3."""
        seeds = self.at(factor).seeds
        rows = [row for row in VARIANTS if row in seeds]
        if quantity.name.startswith("fid") and rows and "true-edit" in seeds:
            try:
                best, *values = (np.mean([quantity.take(run).value for run in seeds[row].values()])
                                 for row in ("true-edit", *rows))  # fmt: skip
            except NotRun:
                return  # `of_row` says which
            if best > max(values):
                raise NotMeasurable("the true edits themselves score worse than every row of Table 3")

    def contrast(self, quantity, terms):
        """The Estimate of the first term less the second, and who lent the deviation of seeds ("" for nobody).

        Terms are (row, factor). Raises Unjudged where no row has two seeds and nobody can lend.
        """
        total, lender = None, ""
        for factor in dict.fromkeys(factor for _, factor in terms):
            levels = self.levels(quantity, factor)
            if levels.spread is None:
                raise Unjudged(f"needs two seeds of any row on {self.at(factor).profile.name}")
            weights = {row: (1.0, -1.0)[i] for i, (row, size) in enumerate(terms) if size == factor}
            part = levels.contrast(weights)
            total, lender = part if total is None else total.plus(part), lender or levels.spread.lender
        return total, lender

    def levels(self, quantity, factor):
        """The Levels of a number over all rows of the profile that have it."""
        key = (quantity.name, factor)
        if key not in self._levels:
            samples = self.all_rows(lambda row: self.of_row(quantity, row, factor))
            alone = all(len(seeds) == 1 for seeds in samples.values())
            self._levels[key] = Levels(samples, self.lent(quantity) if alone else None)
        return self._levels[key]

    def lent(self, quantity):
        """The Spread of the reference run of LENDER, with its name; None where that has none."""
        if quantity.share is not None:
            return None
        samples = self.all_rows(lambda row: {seed: quantity.take(run) for seed, run in self.lender[row].items()})
        spread = Levels(samples).spread if samples else None
        return spread and spread._replace(lender=LENDER)

    @cached_property
    def lender(self):
        """The metrics of the reference run of LENDER: {row: {seed: JSON}}."""
        return defaultdict(dict, read_seeds(profile(LENDER), "reference"))

    @staticmethod
    def all_rows(take):
        """{row: take(row)} of all rows that have it."""
        samples = {}
        for row in ROWS:
            with suppress(Unjudged):
                samples[row] = take(row)
        return {row: seeds for row, seeds in samples.items() if seeds}

    def decided(self, hat):
        """How many pairs MagGAN won, and of how many that one of the two won; of faces with a hat, without, or all."""
        found, name = votes.outcome(self.profile), self.profile.name
        if found is None:
            raise NotRun(f"no ratings yet: make study PROFILE={name}, then make rate PROFILE={name}")
        study, counted, _ = found
        done = int((counted.sum(axis=1) >= votes.RATERS).sum())
        if done < len(study.pairs):  # no verdict on the way, when it could still turn
            raise NotRun(f"{done} of {len(study.pairs)} pairs have {votes.RATERS} raters: make rate PROFILE={name}")
        won, of = votes.decided(study, counted, hat)
        if not of:
            raise NotMeasurable("people called every pair a tie")
        return won, of
