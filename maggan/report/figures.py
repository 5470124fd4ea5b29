"""The project's figures: each function returns a matplotlib Figure in one shared style (maggan.mplstyle).

Images are (B, 3, H, W) in [-1, 1], masks in [0, 1], as everywhere in the package.
"""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Patch

from ..attributes import ATTRIBUTES, PARTS, relation_matrices
from ..basics import paths
from ..variants import COLOURS, short_title

STYLE = Path(__file__).with_name("maggan.mplstyle")
SHEET_COLUMNS = ("source", "rebuilt", *ATTRIBUTES)

# One colour a part, the same in every figure; the two of a pair are shades of one hue.
PART_COLOURS = dict(zip(PARTS, (
    "#d9d9d9", "#f2c09c", "#8c510a", "#bf812d", "#2166ac", "#67a9cf", "#000000", "#c51b7d", "#e9a3c9", "#ffd700",
    "#e08214", "#8b0000", "#e41a1c", "#fb6a6a", "#dfc27d", "#ffee66", "#5e4fa2", "#4d2f17", "#1b9e77",
), strict=True))  # fmt: skip



class Drawing(NamedTuple):
    """A figure of the gallery: what draws it from `Results`, what it shows, which profiles and rows it is for."""

    draw: Callable
    shows: str
    people: bool  # whether it shows faces, who are people where they are photos
    fits: Callable  # whether a Profile can have it
    rows: tuple  # what it cannot do without


FIGURES = {}  # name -> Drawing; filled by `figure`


def figure(shows, people=False, fits=lambda profile: True, rows=()):
    """Make a function of `Results` a figure of the gallery, under its own name and in the shared style."""

    def add(draw):
        FIGURES[draw.__name__] = Drawing(styled(draw), shows, people, fits, rows)
        return FIGURES[draw.__name__].draw

    return add


def styled(draw):
    """Draw with the shared style, and leave showing the figure to whoever asked for it."""

    @wraps(draw)
    def drawn(*args, **options):
        with plt.style.context(STYLE):
            figure = draw(*args, **options)
        plt.close(figure)  # else a notebook shows it twice
        return figure

    return drawn


def save(figure, path):
    """Write a figure as PNG and PDF, beside each other; the same figure gives the same bytes."""
    path = Path(path)
    for kind, about in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
        with paths.replacing(path.with_suffix(f".{kind}")) as partial:
            figure.savefig(partial, format=kind, dpi=150, metadata=about)
    return path.with_suffix(".png")


def pixels(images):
    """Images (..., 3, H, W) in [-1, 1] as arrays (..., H, W, 3) in [0, 1] that matplotlib can show."""
    return (images.detach().float().cpu().clamp(-1, 1) * 0.5 + 0.5).movedim(-3, -1).numpy()


def tiled(rows, gap=1):
    """Pictures (R, K, H, W, 3) as one array, R rows of K, with a white line between them."""
    framed = np.pad(rows, ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)), constant_values=1.0)
    r, k, h, w, c = framed.shape
    return framed.transpose(0, 2, 1, 3, 4).reshape(r * h, k * w, c)


def sheet(rows, columns=(), lines=(), width=None, title=""):
    """A labelled sheet of pictures (R, K, H, W, 3) in [0, 1]; a plain function for the styled ones below."""
    r, k, h, w = rows.shape[:4]
    width = width or min(11, 0.75 * k + 0.5)
    figure, axes = plt.subplots(figsize=(width, width * r * h / (k * w) + 0.9))
    axes.imshow(tiled(rows), interpolation="none")
    axes.set(title=title)
    axes.set_xticks((np.arange(k) + 0.5) * (w + 1), columns or [""] * k, rotation=35, ha="left")
    axes.set_yticks((np.arange(r) + 0.5) * (h + 1), lines or [""] * r)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure


@styled
def faces(images, columns=8, title=""):
    """A sheet of faces, `columns` a line."""
    shown = pixels(images)
    short = -len(shown) % columns
    shown = np.concatenate([shown, np.ones((short, *shown.shape[1:]), shown.dtype)])
    return sheet(shown.reshape(-1, columns, *shown.shape[1:]), title=title)


@styled
def edit_sheet(images, edits, columns=SHEET_COLUMNS, lines=(), title=""):
    """Faces and their edits, one face a line: images (B, 3, H, W), edits (B, K, 3, H, W), K + 1 columns."""
    return sheet(pixels(torch.cat([images[:, None], edits], 1)), columns, lines, title=title)


@styled
def attribute_rates(attributes, others=None):
    """How many of the faces have each attribute; `others` is {label: rates (13,)} to compare with.

    attributes (N, 13) in {0, 1}, or {label: attributes}.
    """
    groups = attributes if isinstance(attributes, dict) else {f"{len(attributes)} faces": attributes}
    bars = {label: 100 * torch.as_tensor(values).float().mean(0).numpy() for label, values in groups.items()}
    bars |= {label: 100 * np.asarray(values) for label, values in (others or {}).items()}
    figure, axes = plt.subplots(figsize=(8, 2.6))
    grouped_bars(axes, bars)
    axes.set(ylabel="% of faces")
    return figure


def grouped_bars(axes, bars, errors=None, colours=None, names=ATTRIBUTES):
    """Bars over the 13 attributes, or other names, side by side for each label of {label: values}."""
    width = 0.8 / len(bars)
    for k, (label, values) in enumerate(bars.items()):
        where = np.arange(len(names)) + (k - (len(bars) - 1) / 2) * width
        look = dict(yerr=(errors or {}).get(label), color=(colours or {}).get(label), error_kw={"lw": 0.7})
        axes.bar(where, values, width, label=label, **look)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
    axes.legend(ncols=len(bars), loc="lower right", bbox_to_anchor=(1, 1))


def values_of(entries, factor=1):
    """Entries of metrics as (values, errors (2, n) for matplotlib); nan where nothing was measured.

    With `factor` 100 they are shares in percent, and intervals end where shares do.
    """
    value, low, high = (
        np.array([np.nan if each is None or each[end] is None else factor * each[end] for each in entries])
        for end in ("value", "low", "high")
    )
    if factor == 100:
        low, high = low.clip(0, 100), high.clip(0, 100)  # Student's t knows of no bounds
    return value, np.nan_to_num(np.stack([value - low, high - value]).clip(0))


@styled
def relation_maps(table="paper"):
    """AR+ and AR- as heat maps: which parts an attribute may touch when it is strengthened, weakened."""
    figure, both = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    for axes, matrix, title in zip(
        both, relation_matrices(table), ("AR+ (strengthened)", "AR- (weakened)"), strict=True
    ):
        axes.pcolormesh(matrix.flip(0), edgecolors="0.85", linewidth=0.5, vmin=0, vmax=1.3)
        axes.set_xticks(np.arange(len(PARTS)) + 0.5, PARTS, rotation=60, ha="right")
        axes.set_yticks(np.arange(len(ATTRIBUTES)) + 0.5, ATTRIBUTES[::-1])
        axes.tick_params(length=0)
        axes.set(title=title)
    return figure


def coloured(parts):
    """Soft parts (B, 19, H, W) as pictures (B, H, W, 3): the mean of the parts' colours, by probability."""
    colours = np.array([[int(PART_COLOURS[name][i : i + 2], 16) / 255 for i in (1, 3, 5)] for name in PARTS])
    return np.einsum("bphw,pc->bhwc", parts.detach().float().cpu().numpy(), colours).clip(0, 1)


@styled
def part_masks(images, parts):
    """Faces, their soft part masks in fixed colours, and both on top of each other, with a legend."""
    shown, masks = pixels(images), coloured(parts)
    rows = np.stack([shown, masks, 0.45 * shown + 0.55 * masks])
    figure = sheet(rows, lines=("face", "parts", "both"), width=8)
    handles = [Patch(facecolor=colour, edgecolor="0.5", label=name) for name, colour in PART_COLOURS.items()]
    figure.legend(handles=handles, ncols=1, loc="outside right center")
    return figure


def greyed(images, preserved):
    """Faces with what an edit may touch in grey: images (B, 3, H, W), preserved mask (B, 1, H, W)."""
    shown, kept = pixels(images), preserved.detach().float().cpu().movedim(1, -1).numpy()
    return kept * shown + (1 - kept) * 0.6


@styled
def preserved_regions(images, preserved, columns=(), lines=(), title=""):
    """Fig. 4's masks: in grey what the change may touch, the rest is to be preserved.

    images (B, 3, H, W), preserved (B, K, 1, H, W), one column for each of the K changes.
    """
    k = preserved.shape[1]
    grey = greyed(images.repeat_interleave(k, 0), preserved.flatten(0, 1))
    rows = grey.reshape(len(images), k, *grey.shape[1:])
    return sheet(np.concatenate([pixels(images)[:, None], rows], 1), ("source", *columns), lines, title=title)


@styled
def maps(values, columns=(), lines=(), limit=1.0, title=""):
    """Signed maps (R, K, H, W), from -limit in blue over white to limit in red."""
    colour = plt.get_cmap("RdBu_r")((values.detach().float().cpu().numpy() / limit + 1) / 2)[..., :3]
    return sheet(colour, columns, lines, title=title)


@styled
def attribute_bars(rows, key="accuracy_1.5", label="accuracy at strength 1.5, %", factor=100):
    """One metric for each attribute and row, with its interval: rows is {slug: metrics JSON}."""
    bars, errors = {}, {}
    for slug, result in rows.items():
        entries = [result["per_attribute"][name].get(key) for name in ATTRIBUTES]
        bars[short_title(slug)], errors[short_title(slug)] = values_of(entries, factor)
    figure, axes = plt.subplots(figsize=(9, 2.8))
    grouped_bars(axes, bars, errors, {short_title(slug): COLOURS[slug] for slug in rows})
    axes.set(ylabel=label)
    return figure


@styled
def judge_bars(report):
    """A judge's accuracy for each attribute, on the faces it was measured on: {where: {"per_attribute": ...}}."""
    bars = {
        where: 100 * np.array([values["per_attribute"][name] for name in ATTRIBUTES])
        for where, values in report.items()
        if isinstance(values, dict)
    }
    figure, axes = plt.subplots(figsize=(9, 2.6))
    grouped_bars(axes, bars)
    axes.set(ylabel="read right, %", ylim=(0, 100))
    return figure


@styled
def trade_off(values):
    """MRE against accuracy at 1.5, a point a row and source, from `tables.values`."""
    yours = set(values[(values.source == "yours") & (values.metric == "mre")].row)
    figure, axes = plt.subplots(figsize=(6, 3.4))
    for marker, face, source in (("s", False, "paper"), ("^", False, "reference"), ("o", True, "yours")):
        some = values[values.source == source].pivot(index="row", columns="metric", values="value")
        if not {"mre", "accuracy_1.5"} <= set(some.columns):
            continue
        some = some[["accuracy_1.5", "mre"]].dropna()
        for slug, point in some.iterrows():
            colour = COLOURS[slug]
            axes.scatter(*point, 22, colour if face else "none", marker, edgecolors=colour)
            if source == "yours" or slug not in yours:
                place = dict(xytext=(5, 2), textcoords="offset points", fontsize=7, color=colour)
                axes.annotate(short_title(slug), point, **place)
    axes.set(xlabel="accuracy at strength 1.5, %", ylabel="MRE (paper: its own pixel range)")
    looks = (("s", "none", "paper"), ("^", "none", "reference"), ("o", "0.3", "yours"))
    axes.legend(handles=[axes.scatter([], [], 22, face, marker, edgecolors="0.3", label=source)
                         for marker, face, source in looks])  # fmt: skip
    return figure


@styled
def verdicts(judged):
    """The verdict on each claim, from `claims.judge`: a square a claim, hollow where there is no verdict either way."""
    looks = {"supported": ("C0", "C0"), "contradicted": ("C1", "C1"), "undecided": ("none", "C0"),
             "not measurable": ("0.8", "0.6"), "not run": ("none", "0.6")}  # fmt: skip
    figure, axes = plt.subplots(figsize=(9, 1))
    handles = []
    for verdict, (face, edge) in looks.items():
        numbers = [each["number"] for each in judged if each["verdict"] == verdict]
        handles.append(axes.scatter(numbers, [0] * len(numbers), 160, face, "s", edgecolors=edge))
        handles[-1].set_label(f"{verdict}: {len(numbers)}")
    axes.set(xticks=range(1, len(judged) + 1), yticks=[], xlabel="claim", ylim=(-1, 1))
    axes.spines[:].set_visible(False)
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=0.5)
    return figure
