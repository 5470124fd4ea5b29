"""Figures beyond the paper's: curves, directions, leakage, sweep, blending, distances, truth and cost.

Each function takes `Results` and returns a matplotlib Figure, drawn from metrics files alone. A figure says which row
it cannot do without and what makes it; of the other rows it shows those that were run, and names the rest.
"""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer
from matplotlib.patches import Patch

from ..attributes import ATTRIBUTES
from ..basics.errors import MagganError
from ..config import DEFAULTS
from ..data import source_of
from ..evaluate.summaries import LARGEST_ERROR
from ..variants import COLOURS, PEERS, ROWS, SWEEP, VARIANTS, short_title
from .figures import figure, grouped_bars, values_of

ALWAYS = ("stgan", "maggan")  # what most figures cannot do without
COMPARED = (*VARIANTS, *PEERS)
MRE, SUCCESS = "MRE, pixel range [-1, 1]", "accuracy at strength 1.5, %"
BARE = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # a number on a line stays readable
ACCURACY = ("metrics/accuracy_1.5", *(f"per_attribute/{name}/accuracy_1.5" for name in ATTRIBUTES))
COSTS = {  # panel -> its place in a metrics file, and what it is multiplied by
    "parameters, millions": ("cost/parameters", 1e-6),
    "multiply-adds an edit,\nbillions": ("cost/multiply_adds", 1e-9),
    "ms an edit,\nmany at once": ("wall_seconds/edit", 1e3),
    "peak memory\nin training, MB": ("peak_memory_mb", 1),
    "training, minutes": ("wall_seconds/train", 1 / 60),
}


def needed(results, rows, name):
    """Your metrics, {row: JSON}, once all of `rows` are in them.

    name        of the figure, which the error begins with
    Raises MagganError in one line that names the first missing row and the command that makes it.
    """
    missing = [slug for slug in rows if slug not in results.yours]
    if missing:
        rest = f" (then also {', '.join(missing[1:])})" if missing[1:] else ""
        raise MagganError(f"{name} needs row {missing[0]}: {results.command(missing[0])}{rest}")
    return results.yours


def entry(result, place):
    """What is at a place like "metrics/mre" in a metrics file; None where there is nothing."""
    for name in place.split("/"):
        result = (result or {}).get(name)
    return result


def lacking(result, places):
    """The places at which a metrics file has nothing, being older than what is measured now."""
    return [place for place in places if not entry(result, place)]


def chosen(results, name, rows, places, needs=ALWAYS):
    """What a figure shows, {slug: JSON} in the order of `rows`; the rows not run; a list of what else to say of rows.

    Raises MagganError for rows of `needs` that were not run, or were measured before there was what is at `places`.
    """
    runs, shown, old = needed(results, needs, f"figure {name}"), {}, []
    for slug in (slug for slug in rows if slug in runs):
        missing = lacking(runs[slug], places)
        if missing and slug in needs:
            what = missing[0].split("/")[-1]
            raise MagganError(f"figure {name} needs {what} of row {slug}: {again(slug, results, what)}")
        if missing:
            old.append(short_title(slug))
        else:
            shown[slug] = runs[slug]
    possible = [slug for slug in rows if slug != "true-edit" or source_of(results.profile).true_edits]
    absent = [slug for slug in possible if slug not in runs]
    return shown, absent, [f"measured before there was what is shown here: {', '.join(old)}"] if old else []


def again(slug, results, what):
    """The command that gives a row the number that it lacks, of each of its seeds."""
    if what in ("fid", "kid") and "clean-fid" in " ".join(results.yours[slug].get("notes", [])):
        return "pip install clean-fid==0.1.35"
    seeds = results.yours[slug]["seeds"]
    each = [f"python -m maggan.evaluate {slug} {results.profile.name}{f' --seed {s}' if s else ''}" for s in seeds]
    return " and ".join(each)


def not_run(figure, rows, runs=None, places=ACCURACY, extra=()):
    """Write a small grey note below a figure: on which faces, what its intervals are over, which rows were not run.

    rows        the rows that it would show, had they been run
    runs        {slug: metrics JSON} of the rows it shows, and `places` the entries in them that it draws
    extra       more to say
    """
    about = [intervals(runs, places), *extra] if runs else list(extra)
    if runs and "profile" in (first := next(iter(runs.values()))):
        about.insert(0, f"{first['profile']}, {first['faces']} test faces")
    about += [f"not run: {', '.join(map(short_title, rows))}"] if rows else []
    if text := "; ".join(filter(None, about)):
        letters = int(figure.get_size_inches()[0] * 16)  # of 7 pt
        figure.supxlabel(textwrap.fill(text, letters), x=0.01, ha="left", fontsize=7, color="0.4")


def intervals(runs, places):
    """What the intervals at some places are over, named by row where rows differ; "" where no file says."""
    rows = {}
    for slug, result in runs.items():
        entries = [each for place in places if isinstance(each := entry(result, place), dict)]
        kinds = {each["interval"]: None for each in entries if not each.get("interval", "none").startswith("none")}
        if kinds:
            rows.setdefault(" and ".join(kinds), []).append(short_title(slug))
    most = sorted(rows, key=lambda kind: -len(rows[kind]))
    return "; ".join([f"intervals: {most[0]}", *(f"for {', '.join(rows[k])} {k}" for k in most[1:])]) if most else ""


def pairs(results, name, keys, labels, titles, extra=()):
    """Two panels of two bars a row: the first in the row's colour, the second lighter and hatched."""
    places = [f"metrics/{key}" for pair in keys for key in pair]
    runs, absent, more = chosen(results, name, COMPARED, places)
    own = [COLOURS[slug] for slug in runs]
    colours = dict(zip(labels, (own, [tuple(0.4 * c + 0.6 for c in to_rgb(colour)) for colour in own]), strict=True))
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.2))
    for axes, pair, title in zip(panels, keys, titles, strict=True):
        entries = ([result["metrics"][key] for result in runs.values()] for key in pair)
        drawn = [values_of(each, 100 if title == SUCCESS else 1) for each in entries]
        bars, errors = (dict(zip(labels, each, strict=True)) for each in zip(*drawn, strict=True))
        grouped_bars(axes, bars, errors, colours, [short_title(slug) for slug in runs])
        second = [each for each in axes.containers if isinstance(each, BarContainer)][1]
        for bar, colour in zip(second, own, strict=True):
            bar.set(hatch="/////", edgecolor=colour, linewidth=0)
        handles = [Patch(facecolor="0.4"), Patch(facecolor="0.85", edgecolor="0.4", hatch="/////", linewidth=0)]
        axes.legend(handles, labels, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
        axes.set_ylim(0, 101 if title == SUCCESS else None)
        axes.set(ylabel=title)
        axes.margins(x=0.02)
    not_run(figure, absent, runs, places, [*extra, *more])
    return figure


def across(axes, runs, entries, label, factor=1):
    """A horizontal bar a row with its number; an entry is JSON with an interval, or {"value": ...} without."""
    values, errors = values_of([{"low": None, "high": None, **each} for each in entries], factor)
    where = np.arange(len(runs))
    axes.barh(where, values, 0.7, xerr=errors, color=[COLOURS[slug] for slug in runs], error_kw={"lw": 0.7})
    ends = np.maximum(np.nan_to_num(values + errors[1]), 0)
    for y, value, end in zip(where, values, ends, strict=True):
        number = f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")
        text = "unknown" if np.isnan(value) else number
        look = dict(textcoords="offset points", va="center", fontsize=7, bbox=BARE)
        axes.annotate(text, (end, y), xytext=(3, 0), **look)
    axes.set_yticks(where, [short_title(slug) for slug in runs])
    axes.set(xlabel=label, xlim=(1.2 * np.nanmin([*values, 0]), 1.25 * ends.max() or 1), ylim=(len(runs) - 0.5, -0.5))


@figure("success against preservation as the strength grows")
def curves(results):
    """Success against preservation: accuracy over MRE at five strengths, and the area under each curve."""
    rows, places = ("stgan", "stgan-mre", "maggan-no-mre", "maggan", *PEERS), ("curve", "metrics/area")
    runs, absent, extra = chosen(results, "curves", rows, places)
    points = {slug: [values_of([point[name] for point in result["curve"]], factor)
                     for name, factor in (("mre", 1), ("accuracy", 100))] for slug, result in runs.items()}  # fmt: skip
    widest = max(points, key=lambda slug: np.ptp(points[slug][0][0]))
    furthest = 1.06 * max(LARGEST_ERROR, *(error.max() for (error, _), _ in points.values()))
    limits = (LARGEST_ERROR, furthest) if furthest > 1.5 * LARGEST_ERROR else (furthest,)
    figure, panels = plt.subplots(1, len(limits), figsize=(4 + 3 * len(limits), 3.6), sharey=True, squeeze=False)
    panels = panels[0]
    for axes, limit in zip(panels, limits, strict=True):
        axes.axvspan(0, LARGEST_ERROR, color="0.95", lw=0, zorder=0)
        for slug, ((error, along), (accuracy, up)) in points.items():
            area = runs[slug]["metrics"]["area"]
            look = dict(color=COLOURS[slug], ecolor=(COLOURS[slug], 0.35), elinewidth=0.8, ms=3.5)
            label = f"{short_title(slug)}: {area['value']:.3f} ({area['low']:.3f} to {area['high']:.3f})"
            axes.errorbar(error, accuracy, up, along, "o-", label=label, **look)
        axes.set(xlabel=MRE, xlim=(0, limit), ylim=(0, 103))
    for point, x, y in zip(runs[widest]["curve"], points[widest][0][0], points[widest][1][0], strict=True):
        spot = dict(xytext=(0, 5), textcoords="offset points", ha="center", fontsize=7, color=COLOURS[widest])
        panels[-1].annotate(f"{point['strength']:g}", (x, y), **spot)
    panels[0].set(ylabel="accuracy, %")
    panels[-1].legend(loc="upper left", bbox_to_anchor=(1, 1), title="row: area (interval)", title_fontsize=7)
    grey = f"grey: MRE up to {LARGEST_ERROR:g}, where the area counts"
    first = f"curves over the first {entry(runs['maggan'], 'metrics/area')['n']} of them"
    extra = [first, grey, f"numbers along {short_title(widest)}: strength", *extra]
    not_run(figure, absent, runs, places, extra)
    return figure


@figure("adding and removing an attribute, apart")
def directions(results):
    """Adding and removing an attribute apart: accuracy at strength 1.5, and MRE."""
    keys = ("accuracy_1.5_add", "accuracy_1.5_remove"), ("mre_add", "mre_remove")
    return pairs(results, "directions", keys, ("attribute added", "attribute removed"), (SUCCESS, MRE))


@figure("change outside the region over change inside")
def leakage(results):
    """How much of a change falls outside the attribute's region, over how much falls inside."""
    places = ("metrics/leakage",)
    runs, absent, extra = chosen(results, "leakage", (*COMPARED, "true-edit"), places)
    figure, axes = plt.subplots(figsize=(7, 0.24 * len(runs) + 1))
    label = "leakage: change outside the region over change inside it"
    across(axes, runs, [result["metrics"]["leakage"] for result in runs.values()], label)
    not_run(figure, absent, runs, places, extra)
    return figure


@figure("the weight lambda_3 of L_mre", rows=("maggan-no-mre", "maggan", *SWEEP))
def sweep(results):
    """MRE and accuracy at 1.5 against lambda_3, the weight of L_mre."""
    weights = {slug: (DEFAULTS | ROWS[slug].settings)["lambda_3"] for slug in ("maggan-no-mre", "maggan", *SWEEP)}
    rows, places = sorted(weights, key=weights.get), ("metrics/mre", "metrics/accuracy_1.5")
    runs, absent, extra = chosen(results, "sweep", rows, places, needs=rows)
    figure, panels = plt.subplots(1, 2, figsize=(9, 3))
    x = [weights[slug] for slug in rows]
    for axes, place, factor, label in zip(panels, places, (1, 100), (MRE, SUCCESS), strict=True):
        values, errors = values_of([entry(runs[slug], place) for slug in rows], factor)
        axes.errorbar(x, values, errors, color="0.6", ecolor="0.3", elinewidth=0.8, zorder=1)
        axes.scatter(x, values, 26, [COLOURS[slug] for slug in rows], edgecolors="0.3", linewidths=0.5, zorder=3)
        # equal steps of the root, so that 0 and 10 stand apart
        axes.set_xscale("function", functions=(lambda v: np.sign(v) * np.abs(v) ** 0.5, lambda v: np.sign(v) * v**2))
        axes.set_xticks(x, [f"{slug}: {value:g}" for value, slug in zip(x, rows, strict=True)], rotation=35, ha="right")
        axes.set(xlabel="row: lambda_3 (spaced by its root)", ylabel=label, xlim=(-0.005 * x[-1], 1.1 * x[-1]))
    not_run(figure, absent, runs, places, extra)
    return figure


@figure("the blending trick and its seams")
def blending(results):
    """What blending the edit into the source does: MRE, and the seam on the rim of the region."""
    keys, labels = (("mre", "mre_blended"), ("seam", "seam_blended")), ("as edited", "blended into the source")
    titles = (MRE, "seam score (rim energy)")
    figure = pairs(results, "blending", keys, labels, titles, ["dashed: as smooth as the source"])
    seams = figure.axes[1]
    seams.axhline(1, color="0.3", lw=0.8, ls="--")
    seams.set_ylim(0, max(1.05, seams.get_ylim()[1]))
    return figure


@figure("FID and KID")
def distances(results):
    """FID and KID of all edits to the test faces; the true edits' own as a reference."""
    places = ("metrics/fid", "metrics/kid")
    runs, absent, extra = chosen(results, "distances", (*COMPARED, "true-edit"), places)
    best = runs.pop("true-edit", None)
    figure, panels = plt.subplots(1, 2, figsize=(9, 0.24 * len(runs) + 1.2), sharey=True)
    for axes, place in zip(panels, places, strict=True):
        label = f"{place[-3:].upper()}, features of our own attribute network"
        across(axes, runs, [entry(result, place) for result in runs.values()], label)
        if best:
            value, (left, right) = entry(best, place)["value"], axes.get_xlim()
            axes.axvline(value, color=COLOURS["true-edit"], lw=0.9, ls="--", label=f"true edit: {value:.3g}")
            axes.set_xlim(min(left, 1.2 * value), max(right, 1.1 * value))
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1))
    extra = ["KID of a single seed has no interval", *extra]
    if best:
        extra.insert(0, f"true edit: {entry(best, 'metrics/fid')['n']} faces")
    not_run(figure, absent, runs, places, extra)
    return figure


@figure("distance to the true counterfactual", fits=lambda profile: source_of(profile).true_edits)
def truth(results):
    """How far edits are from the true counterfactual, for each attribute, and how far the face itself is."""
    if not source_of(results.profile).true_edits:
        raise MagganError(f"figure truth needs drawn faces: photos of {results.profile.name} have no counterfactual.")
    places = [f"per_attribute/{name}/truth_distance" for name in ATTRIBUTES]
    runs, absent, extra = chosen(results, "truth", (*ALWAYS, *PEERS, "no-edit"), places)
    drawn = {slug: values_of([entry(result, place) for place in places]) for slug, result in runs.items()}
    idle = drawn.pop("no-edit", None)
    bars, errors = ({short_title(slug): pair[i] for slug, pair in drawn.items()} for i in (0, 1))
    figure, axes = plt.subplots(figsize=(10, 3.2))
    grouped_bars(axes, bars, errors, {short_title(slug): COLOURS[slug] for slug in drawn})
    if idle:
        x, grey = np.arange(len(ATTRIBUTES)), COLOURS["no-edit"]
        axes.hlines(idle[0], x - 0.46, x + 0.46, color=grey, lw=1.8, label=short_title("no-edit"))
    axes.legend(ncols=len(runs), loc="lower right", bbox_to_anchor=(1, 1))
    axes.set(ylabel="mean distance to the true edit\n(pixel range [-1, 1])")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    first = f"over the first {entry(runs['maggan'], places[0])['n']} of them"
    not_run(figure, absent, runs, places, [first, *extra])
    return figure


@figure("what a row costs")
def cost(results):
    """What a row costs: parameters, multiply-adds and time of an edit, memory and time of training."""
    runs, absent, extra = chosen(results, "cost", COMPARED, ("cost", "wall_seconds/edit"))
    figure, panels = plt.subplots(1, len(COSTS), figsize=(10, 0.24 * len(runs) + 1.1), sharey=True)
    for axes, (label, (place, factor)) in zip(panels, COSTS.items(), strict=True):
        across(axes, runs, [{"value": entry(result, place)} for result in runs.values()], label, factor)
    devices = " and ".join(sorted({result.get("device", "") for result in runs.values()}))
    extra = [f"edits on {devices}" if devices else "", "one measurement a row, of its first seed: no intervals",
             "times as measured, other work may have shared the machine", *extra]  # fmt: skip
    not_run(figure, absent, runs, (), extra)
    return figure
