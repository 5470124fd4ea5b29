"""From raters' votes to Table 2: which row wins each pair, shares with intervals, and how far raters agree.

A row wins a pair that more than half of its raters give it; all other pairs count as a tie. So of the paper's three
raters two decide; of two both must agree; one rater decides alone.
`python -m maggan.votes PROFILE` prints people's table, `--simulated` that of simulated raters, under its own title.
"""

import math

import numpy as np
import pandas as pd

from ..basics import markdown, paths
from ..basics.errors import MagganError
from ..metrics import wilson_interval
from .ballots import composed, read_ballot
from .folder import ROWS, Study

WINNERS = {"MagGAN": "maggan", "STGAN": "stgan", "Tie": "tie"}  # as the paper's Table 2 lists them
GROUPS = {"with_hat": "with hat", "without_hat": "without hat", "overall": "overall"}
RATERS = 3  # the paper's, for each pair
SIMULATED = "SIMULATED raters, no people: to try the tool"


def read_votes(study, kind="people"):
    """All votes of one kind that stand, one a line: pair, rater, choice, row ("maggan", "stgan" or "tie").

    Raises MagganError for a file that `read_ballot` refuses, such as a simulated rater's among people's, and for two
    files of one rater.
    """
    files = {}
    for file in sorted((study.folder / "votes" / kind).glob("*.csv")):
        if (other := files.setdefault(composed(file.stem), file)) != file:
            raise MagganError(f"{file}: {other.name} is the same rater's, with other accents; move one away.")
    lines = [
        (pair, rater, vote.choice)
        for rater, file in files.items()
        for pair, vote in read_ballot(file, study, kind).items()
    ]
    votes = pd.DataFrame(lines, columns=["pair", "rater", "choice"])
    left = study.key() if lines else {}
    votes["row"] = [preferred(choice, left[pair]) for pair, _, choice in lines]
    return votes


def preferred(choice, left):
    """The row that a choice prefers, where `left` is the row on the left; "tie" for "same"."""
    right = next(row for row in ROWS if row != left)
    return {"left": left, "right": right, "same": "tie"}[choice]


def counts(votes):
    """How many raters said what of each pair: a frame, a line a rated pair, a column for each of WINNERS' rows."""
    table = pd.crosstab(votes.pair, votes.row)
    return table.reindex(columns=list(WINNERS.values()), fill_value=0)


def majority(counted):
    """Who wins each pair: the row that more than half of its raters gave it, else "tie". A Series by pair."""
    most = counted.idxmax(axis=1)
    return most.where(2 * counted.max(axis=1) > counted.sum(axis=1), "tie")


def shares(study, winners):
    """Table 2 as numbers, one a line: winner, group, value, low, high, n; of pairs, with 95 % Wilson intervals."""
    hats = {pair.number: pair.hat for pair in study.pairs}
    hat = winners.index.map(hats).astype(bool)
    lines = []
    for group, inside in (("with_hat", hat), ("without_hat", ~hat), ("overall", hat | ~hat)):
        here = winners[inside]
        for title, row in WINNERS.items():
            value, low, high = wilson_interval(int((here == row).sum()), len(here))
            lines.append((title, group, value, low, high, len(here)))
    return pd.DataFrame(lines, columns=["winner", "group", "value", "low", "high", "n"])


def fleiss_kappa(counted):
    """Fleiss' kappa and the mean share of agreeing pairs of raters behind it; nan where they are not defined.

    counted (pairs, choices) how many raters chose what. Pairs may differ in their number of raters, those with one
    are left out; where all have the same number it is Fleiss' own kappa.
    """
    counted = np.asarray(counted, dtype=float)
    counted = counted[counted.sum(axis=1) >= 2]
    if not len(counted):
        return math.nan, math.nan
    raters = counted.sum(axis=1)
    agreeing = ((counted**2).sum(axis=1) - raters) / (raters * (raters - 1))
    chance = ((counted.sum(axis=0) / counted.sum()) ** 2).sum()
    observed = agreeing.mean()
    return (float((observed - chance) / (1 - chance)) if chance < 1 else math.nan), float(observed)


def outcome(profile, kind="people"):
    """What raters said of a profile's study: (Study, counts a pair, shares); None without a study or a vote."""
    if not (paths.study_folder(profile) / "study.json").exists():
        return None
    study = Study.open(paths.study_folder(profile))
    votes = read_votes(study, kind)
    if votes.empty:
        return None
    counted = counts(votes)
    return study, counted, shares(study, majority(counted))


def decided(study, counted, hat=None):
    """How many pairs MagGAN won and how many either row won, of all faces or those with or without a hat."""
    winners = majority(counted)
    hats = {pair.number: pair.hat for pair in study.pairs}
    here = winners[[hat is None or hats[pair] == hat for pair in winners.index]]
    return int((here == "maggan").sum()), int((here != "tie").sum())


def cell(line, factor=100):
    """A share in percent, with its interval if it has one."""
    value, low, high = (factor * number for number in (line.value, line.low, line.high))
    return "–" if pd.isna(value) else f"{value:.1f}" if pd.isna(low) else f"{value:.1f} [{low:.1f}, {high:.1f}]"


def notes(study, counted):
    """What a reader must know of the votes, one line each."""
    each = counted.sum(axis=1)
    kappa, agreement = fleiss_kappa(counted)
    spread = ", ".join(f"{number} by {raters}" for raters, number in each.value_counts().sort_index().items())
    lines = [
        f"Rated: {len(counted)} of {len(study.pairs)} pairs, {int(each.sum())} votes (pairs by number of raters: "
        f"{spread}). A row wins where more than half of a pair's raters prefer it, all else is a tie. In brackets 95 % "
        "(Wilson) over pairs, as if pairs of one face were independent.",
    ]
    if not math.isnan(agreement):
        kappa = "not defined" if math.isnan(kappa) else f"{kappa:.2f}"
        lines.append(f"Two raters of a pair agree in {100 * agreement:.0f} % of cases; Fleiss' kappa {kappa}.")
    if len(counted) < len(study.pairs) or each.min() < RATERS:
        lines.append(f"Not finished: the paper has {RATERS} raters for each pair.")
    return lines


def simulated_table(profile):
    """Write the table of simulated raters to study/simulated.md, under its own title; returns the file."""
    found = outcome(profile, "simulated")
    if found is None:
        again = f"python -m maggan.rating {profile.name} --simulate 3"
        raise MagganError(f"{paths.study_folder(profile)} has no simulated votes: {again}")
    study, counted, table = found
    text = f"# {SIMULATED}\n\n" + as_markdown(study, counted, table)
    return paths.write_text(study.folder / "simulated.md", text)


def as_markdown(study, counted, table):
    """Shares and notes as Markdown."""
    heads = ["winner", *(f"{title} %" for title in GROUPS.values())]
    rows = [[winner, *map(cell, table[table.winner == winner].itertuples())] for winner in WINNERS]
    return markdown.table(heads, rows, notes(study, counted))
