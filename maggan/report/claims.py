"""The paper's claims, each a predicate over the metrics files: supported, not supported, or not run.

A claim is supported where the whole 95 % interval of what it compares says so; "about" is within a quarter of the
paper's own ratio. The intervals of two rows are combined as if the rows were independent: they are measured on the
same faces, so over those faces this errs on the careful side. What another seed would give is in no interval of a
row with one seed. `python -m maggan.claims PROFILE` judges all of them.
"""

import json
from collections.abc import Callable
from math import hypot
from typing import NamedTuple

import pandas as pd

from ..basics import markdown, paths
from ..basics.errors import MagganError
from ..metrics import wilson_interval
from ..study import votes
from ..variants import discriminator_rows

HAIR = ("Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair")
NEARLY = 0.10  # "hardly matters", "leaves as it is": within a tenth; "fails": by more than that
ABOUT = 0.25  # "to about": within a quarter of the paper's ratio


class NotRun(Exception):
    """What is missing for a verdict, and how to get it."""


class Value(NamedTuple):
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self):
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"

    def minus(self, other):
        """The difference."""
        down = hypot(self.value - self.low, other.high - other.value)
        up = hypot(self.high - self.value, other.value - other.low)
        value = self.value - other.value
        return Value(value, value - down, value + up)

    def over(self, other):
        """The ratio, to first order."""
        ratio = self.value / other.value
        down = ratio * hypot(1 - self.low / self.value, other.high / other.value - 1)
        up = ratio * hypot(self.high / self.value - 1, 1 - other.low / other.value)
        return Value(ratio, ratio - down, ratio + up)


class Runs:
    """The results of a profile, as predicates ask for them; what was asked for stays in `said`."""

    def __init__(self, results):
        self.results, self.profile, self.said = results, results.profile, []

    def get(self, slug, key, factor=1):
        """A row's metric on the profile, or on the one `factor` times as large; NotRun where it is missing."""
        at = self.results.at(factor)
        if at is None:
            raise NotRun(f"there is no profile {factor} times the size of {self.profile.name}")
        value = self.value(self.row(slug, at)["metrics"].get(key), slug, at)
        self.said.append(f"{key} of {slug}{f' at {at.profile.size} px' if factor != 1 else ''} {value}")
        return value

    def learnt(self, slug, share, key="accuracy_1.5"):
        """A row's metric on validation faces after a share of its training; NotRun where its curve is missing."""
        try:
            points = self.results.learning(slug)
        except MagganError as error:
            raise NotRun(str(error).replace(str(paths.results()), "results")) from None  # not this machine's folders
        point = min(points, key=lambda each: abs(each["iteration"] - share * points[-1]["iteration"]))
        value = self.value(point["metrics"].get(key), slug, self.results)
        self.said.append(f"{key} of {slug} after {point['iteration']} iterations, validation faces, {value}")
        return value

    def mean(self, slug, attributes, key):
        """The mean of a row's metric over some attributes; its interval is wide enough for any correlation."""
        each = self.row(slug, self.results).get("per_attribute", {})
        values = [self.value(each.get(name, {}).get(key), slug, self.results) for name in attributes]
        center = sum(value.value for value in values) / len(values)
        mean = Value(center, *(sum(value[end] for value in values) / len(values) for end in (1, 2)))
        self.said.append(f"{key} of {slug} on {', '.join(attributes)} {mean}")
        return mean

    def preferred(self, hat):
        """MagGAN's share of the pairs that people did not call a tie, of faces with (True) or without (False) a hat."""
        found, name = votes.outcome(self.profile), self.profile.name
        if found is None:
            raise NotRun(f"no ratings yet: make study PROFILE={name}, then make rate PROFILE={name}")
        study, counted, _ = found
        done = int((counted.sum(axis=1) >= votes.RATERS).sum())
        if done < len(study.pairs):  # no verdict on the way, when it could still turn
            raise NotRun(f"{done} of {len(study.pairs)} pairs have {votes.RATERS} raters: make rate PROFILE={name}")
        won, of = votes.decided(study, counted, hat)
        if not of:
            raise NotRun("people called every pair a tie")
        value, faces = Value(*wilson_interval(won, of)), {None: "", True: ", with hat", False: ", without hat"}[hat]
        self.said.append(f"pairs that people give maggan of those without ties{faces} {value}")
        return value

    def has(self, slug, factor):
        """Whether a row was run on the profile `factor` times as large."""
        at = self.results.at(factor)
        return at is not None and slug in at.yours

    def row(self, slug, at):
        """The metrics of a row in the results of a size."""
        if slug not in at.yours:
            raise NotRun(at.command(slug))
        return at.yours[slug]

    def value(self, entry, slug, at):
        """An entry of the metrics as a Value; NotRun where it was not measured, or has no interval."""
        if entry is None or None in (entry["value"], entry["low"], entry["high"]):
            what = "a metric or its interval is missing (no face to measure on, or clean-fid not installed)"
            raise NotRun(f"{what} in {slug} on {at.profile.name}")
        return Value(entry["value"], entry["low"], entry["high"])

    def lower(self, low, high, key, factor=1):
        """Whether a metric of one row is below another's, intervals apart; `key` may name one metric for each."""
        a, b = (key, key) if isinstance(key, str) else key
        return self.get(low, a, factor).minus(self.get(high, b, factor)).high < 0

    def ratio(self, a, b, key):
        """The ratio of two rows' metric, said too."""
        value = self.get(a, key).over(self.get(b, key))
        self.said.append(f"ratio {value}")
        return value


def both_together(runs):
    return all([runs.lower("maggan", each, "mre") for each in ("stgan-mre", "maggan-no-mre")])


def to_a_third(runs):
    paper, ratio = 0.0163 / 0.0530, runs.ratio("maggan", "stgan", "mre")
    return (1 - ABOUT) * paper <= ratio.low and ratio.high <= (1 + ABOUT) * paper


def spade_hardly_matters(runs):
    ratio = runs.ratio("maggan-no-spade", "maggan", "mre")
    return 1 - NEARLY <= ratio.low and ratio.high <= 1 + NEARLY


def accuracy_stays(runs):
    difference = runs.get("maggan", "accuracy_1.5").minus(runs.get("stgan", "accuracy_1.5"))
    return difference.low >= -0.01


def reconstruction_improves(runs):
    decibels = runs.get("maggan", "psnr").minus(runs.get("stgan", "psnr"))
    return (decibels.low >= 2) & runs.lower("stgan", "maggan", "ssim")


def cycle(runs):
    ratio = runs.ratio("stgan-cycle", "stgan", "mre")
    worse = [runs.lower("stgan-cycle", "stgan", key) for key in ("accuracy_1.5", "psnr")]
    return all(worse) and 1 - NEARLY <= ratio.low and ratio.high <= 1 + NEARLY


def best_fid(runs):
    others = ("stgan", "stgan-cycle", "stgan-mre", "maggan-no-mre", "maggan-no-spade", "maggan-seg")
    return all([runs.lower("maggan", other, "fid") for other in others])


def hats(runs):
    stgan, maggan = ([runs.mean(row, HAIR, f"accuracy_1.5_{hat}") for hat in ("with_hat", "without_hat")]
                     for row in ("stgan", "maggan"))  # fmt: skip
    return maggan[0].minus(stgan[0]).high < 0 and maggan[1].minus(stgan[1]).low >= -0.01


def sizes(runs):
    steps = [(1, 2)] + [(2, 4)] * runs.has("maggan", 4)  # the paper's three sizes, as far as they were run
    grows = [runs.get("maggan", key, b).minus(runs.get("maggan", key, a)).low > 0
             for a, b in steps for key in ("psnr", "ssim")]  # fmt: skip
    falls = [runs.get("maggan", "mre", b).minus(runs.get("maggan", "mre", a)).high < 0 for a, b in steps]
    return all(grows + falls)


def stgan_beats_attgan(runs):
    factor = 0.5 if runs.has("attgan", 0.5) else 1  # the paper compares them at half the size of Table 3
    better = [runs.lower("attgan", "stgan", key, factor) for key in ("accuracy_1.5", "psnr", "ssim")]
    return runs.lower("stgan", "attgan", "mre", factor) and all(better)


def order_of_accuracy(runs):
    low, middle, high = ("icgan", "fadernet"), ("stargan", "attgan"), ("stgan", "maggan")
    pairs = [(a, b) for a in low for b in middle + high] + [(a, b) for a in middle for b in high]
    return all([runs.lower(a, b, "accuracy_1.5") for a, b in pairs])


def discriminators(runs):
    """The rows with one shallow and with multi-level discriminators; NotRun where the profile is too small for two."""
    rows = discriminator_rows(runs.profile)
    if rows["single"] == rows["multilevel"]:
        raise NotRun(f"at {runs.profile.size} px one discriminator is the multi-level ones, P = 1 (docs/readings.md)")
    return rows["single"], rows["multilevel"]


def sooner(runs):
    single, several = discriminators(runs)
    return all([runs.learnt(several, share).minus(runs.learnt(single, share)).low > 0 for share in (0.5, 1)])


def blending(runs):
    """That MRE falls is arithmetic, M (1 - M) being below M; that the seam grows is not."""
    seen = runs.lower("maggan", "maggan", ("seam", "seam_blended"))
    return runs.lower("maggan", "maggan", ("mre_blended", "mre")) and seen


def one_scale_fails_on_male(runs):
    one, several = (runs.mean(row, ("Male",), "accuracy_1.5") for row in discriminators(runs))
    return one.minus(several).high < -NEARLY


def raters(runs):
    """Of the pairs that one of the two won; judged once the paper's number of people have rated every pair."""
    overall, hat, none = (runs.preferred(hat) for hat in (None, True, False))
    return overall.low > 0.5 and hat.minus(none).low > 0


class Claim(NamedTuple):
    """What the paper says, its numbers, and the predicate over our runs."""

    says: str
    paper: str
    holds: Callable


CLAIMS = (
    Claim("L_mre lowers MRE", "0.0289 against 0.0530", lambda runs: runs.lower("stgan-mre", "stgan", "mre")),
    Claim("mask-guided conditioning alone lowers MRE", "0.0397 against 0.0530",
          lambda runs: runs.lower("maggan-no-mre", "stgan", "mre")),
    Claim("both together are lowest", "0.0163 against 0.0289 and 0.0397", both_together),
    Claim("MRE falls to about 31 % of STGAN's", "0.0163 / 0.0530", to_a_third),
    Claim("SPADE hardly matters to MRE", "0.0161 without, 0.0163 with", spade_hardly_matters),
    Claim("accuracy stays within a point of STGAN's", "90.0 against 90.4", accuracy_stays),
    Claim("reconstruction gains 2 dB or more, SSIM too", "40.25 against 37.61 dB, 0.984 against 0.959",
          reconstruction_improves),
    Claim("the segmentation branch is worse in MRE and FID", "0.0612 against 0.0163, 2.39 against 1.10",
          lambda runs: runs.lower("maggan", "maggan-seg", "mre") & runs.lower("maggan", "maggan-seg", "fid")),
    Claim("cycle consistency lowers accuracy and PSNR and leaves MRE", "87.3 against 90.4, 36.14 against 37.61, 0.0530",
          cycle),
    Claim("MagGAN has the best FID of Table 3", "1.10", best_fid),
    Claim("hats cost MagGAN accuracy on hair, against STGAN; without a hat nothing is lost", "Fig. 7", hats),
    Claim("MRE falls, PSNR and SSIM rise with the size", "0.0163, 0.0141, 0.0130 at 256, 512, 1024 px", sizes),
    Claim("STGAN beats AttGAN in MRE, accuracy, PSNR and SSIM", "0.0627 against 0.0713, 85.8 against 64.9",
          stgan_beats_attgan),
    Claim("IcGAN and FaderNet have the lowest accuracy, STGAN and MagGAN the highest", "Fig. 6", order_of_accuracy),
    Claim("multi-level discriminators reach higher accuracy sooner", "Fig. 9, at 1024 px", sooner),
    Claim("raters prefer MagGAN, more so with hats", "55.7 % against 41.5 %, with hats 59.2 % against 37.7 %",
          raters),
    Claim("blending lowers MRE further and adds visible seams", "section 3.3", blending),
    Claim("one discriminator of the whole image fails on Male", "Fig. 9, at 1024 px", one_scale_fails_on_male),
)  # fmt: skip


def judge(results):
    """All claims on a profile's results: a list of {number, claim, verdict, numbers, paper}.

    verdict is "supported", "not supported" or "not run", and then `numbers` says what is missing.
    """
    verdicts = []
    for number, claim in enumerate(CLAIMS, 1):
        runs = Runs(results)
        try:
            verdict = "supported" if claim.holds(runs) else "not supported"
            numbers = "; ".join(dict.fromkeys(runs.said))
        except NotRun as reason:
            verdict, numbers = "not run", str(reason)
        verdicts.append(
            {"number": number, "claim": claim.says, "verdict": verdict, "numbers": numbers, "paper": claim.paper}
        )
    return verdicts


def write_claims(results):
    """Write results/<profile>/tables/claims.{json,md}; returns the Markdown file."""
    profile, verdicts = results.profile, judge(results)
    frame = pd.DataFrame(verdicts).rename(columns={"paper": "the paper's numbers", "numbers": "ours"})
    counts = ", ".join(f"{count} {verdict}" for verdict, count in frame.verdict.value_counts().items())
    said = [f"{profile.name}: {profile.note}."] if profile.note else []
    several = [f"{slug} ({len(run['seeds'])})" for slug, run in results.yours.items() if len(run["seeds"]) > 1]
    said += [f"{counts}. Faces of {profile.size} px. Intervals are over test images, and over seeds for the rows with "
             f"several: {', '.join(several) or 'none'}."]  # fmt: skip
    paths.write_text(paths.table_file("claims", profile, "json"), json.dumps(verdicts, indent=1) + "\n")
    text = markdown.table(frame.columns, frame.itertuples(index=False), said)
    return paths.write_text(paths.table_file("claims", profile), text)
