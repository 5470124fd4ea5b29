"""The paper's figures of edits and of accuracy: 1, 2, 6 to 9; 3 is in `architecture.py`, 4 and 5 in `diagrams.py`.

Each function takes `Results` and returns a matplotlib Figure, drawn from trained rows and metrics on disk. Faces are
chosen by rules, never by taste; each figure says its rule.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Rectangle
from torch.nn import functional as F

from .. import metrics
from ..attributes import ATTRIBUTES, PARTS, attribute_index, single_flips
from ..basics import paths
from ..basics.errors import MagganError
from ..data import open_faces, source_of
from ..evaluate.judges import true_counterfactuals
from ..evaluate.protocol import HAT_SHARE, faces_at_once, load_row
from ..regions import affected_parts, preserved_change
from ..systems import SYSTEMS
from ..variants import COLOURS, VARIANTS, discriminator_rows, short_title
from .figures import figure, grouped_bars, pixels, sheet, values_of
from .morefigures import needed, not_run

SHOWN = ("Bangs", "Blond_Hair", "Bushy_Eyebrows", "Eyeglasses", "Mouth_Slightly_Open", "Mustache", "Pale_Skin")
GLOBAL = ("Eyeglasses", "Male")  # Fig. 9's
IN_ORDER = (*SYSTEMS, "maggan")  # as Fig. 6 has them
WAYS = {"single": "one shallow discriminator", "deep": "one deep", "multilevel": "multi-level"}  # of section 3.4


@torch.inference_mode()
def flips_of(slug, profile, batch, names):
    """A row's single flips of some attributes, (B, len(names), 3, S, S), and their MRE, (B, len(names))."""
    generator, _ = load_row(slug, profile, 0, "cpu")
    wanted = [attribute_index(name) for name in names]
    att_diffs = single_flips(batch.attributes)[:, wanted]
    edits = generator.edits(batch.images, att_diffs, batch.parts, batch.attributes)
    preserved = metrics.preserved_of_flips(batch.parts, batch.attributes)[:, wanted]
    return edits, preserved_change(edits, batch.images[:, None], preserved).mean(dim=(2, 3, 4))


def shares(profile, part, count=None):
    """The share of the picture that a part takes in each of the first `count` test faces: (N,)."""
    faces = open_faces(profile, "test")
    numbers = torch.arange(len(faces))[:count].split(faces_at_once(profile.size))
    return torch.cat([faces.batch(some).parts[:, PARTS.index(part)].mean(dim=(1, 2)) for some in numbers])


def signed(attributes):
    """The 13 attributes' names with the sign of their flip, of a face's attributes (13,)."""
    return [f"{'−' if has else '+'} {name}" for has, name in zip(attributes, ATTRIBUTES, strict=True)]


def bare(axes):
    """Axes for a picture: no ticks, no frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return axes


def region_square(parts, change):
    """The square around what a change may touch, but for the skin where there is more: (top, left, side) in pixels.

    parts (19, H, W) of a face, change (13,); a third of the picture at least, all of it where nothing is touched.
    """
    affected, size = affected_parts(change[None])[0], parts.shape[-1]
    if affected.sum() > 1:
        affected[PARTS.index("skin")] = 0
    inside = (affected @ parts.flatten(1)).view(size, size) > 0.5
    spans = [torch.nonzero(inside.any(dim)).flatten().tolist() for dim in (1, 0)]
    if not spans[0]:
        return 0, 0, size
    side = min(size, max(size // 3, *(span[-1] + 1 - span[0] for span in spans)))
    return *(min(max(0, (span[0] + span[-1] + 1 - side) // 2), size - side) for span in spans), side


def enlarged(image, square, to):
    """A square of an image (3, H, W), `to` pixels wide."""
    top, left, side = square
    crop = image[None, :, top : top + side, left : left + side]
    return pixels(F.interpolate(crop, (to, to), mode="nearest"))[0]


@figure("edits at the largest size trained, with crops", people=True)
def fig1(results):
    """Fig. 1: MagGAN's edits at the largest size trained, the region of each enlarged beside the source's."""
    sizes = [at.profile for at in (results.at(factor) for factor in (4, 2)) if at]
    at = next((at for at in sizes if paths.weights_file(at, "maggan").exists()), results.profile)
    faces = open_faces(at, "test")
    batch = faces.batch(range(min(3, len(faces))))
    edits, _ = flips_of("maggan", at, batch, SHOWN)
    n = len(batch.images)
    figure, grid = plt.subplots(2 * n, 1 + len(SHOWN), figsize=(9, 0.4 + 2 * n), height_ratios=(2, 1) * n)
    for i, (above, below, image) in enumerate(zip(grid[::2], grid[1::2], batch.images, strict=True)):
        bare(above[0]).imshow(pixels(image))
        bare(below[0])
        flips = single_flips(batch.attributes[i])
        for upper, lower, edit, name in zip(above[1:], below[1:], edits[i], SHOWN, strict=True):
            change = flips[attribute_index(name)]
            square = region_square(batch.parts[i], change)
            bare(upper).imshow(pixels(edit))
            top, left, side = square
            frame = dict(fill=False, edgecolor=COLOURS["maggan"], linewidth=1.2)
            upper.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, **frame))
            upper.set_title(f"{'+' if change.sum() > 0 else '−'} {name}", fontsize=7)
            pair = [enlarged(picture, square, 2 * at.size) for picture in (image, edit)]
            bare(lower).imshow(np.concatenate([pair[0], np.ones_like(pair[0][:, : at.size // 8]), pair[1]], 1))
    grid[0, 0].set_title("source", fontsize=7)
    figure.suptitle(f"MagGAN, {at.name}: the first three test faces; below, where the edit acts, before and after")
    return figure


@figure("hats and scarves, MagGAN over STGAN", people=True)
def fig2(results):
    """Fig. 2: the faces with the largest hats made blond, those with the most cloth made pale; MagGAN over STGAN."""
    profile = results.profile
    faces, columns, labels = open_faces(profile, "test"), [], []
    for part, name in (("hat", "Blond_Hair"), ("cloth", "Pale_Skin")):
        without = torch.as_tensor(faces.attributes)[:, attribute_index(name)] == 0
        chosen = torch.where(without, shares(profile, part), -1.0).argsort(descending=True, stable=True)[:3]
        batch = faces.batch(chosen)
        edits = {slug: flips_of(slug, profile, batch, (name,)) for slug in ("maggan", "stgan")}
        for i in range(len(chosen)):
            columns.append([batch.images[i], *(own[i, 0] for own, _ in edits.values())])
            errors = " / ".join(f"{error[i, 0]:.3f}" for _, error in edits.values())
            labels.append(f"+ {name}\nMRE {errors}")
    rows = torch.stack([torch.stack(column) for column in columns], 1)  # (3, 6, 3, S, S)
    figure = sheet(pixels(rows), width=7.5, lines=("source", "MagGAN", "STGAN"))
    figure.set_figheight(4.3)
    places = (np.arange(len(labels)) + 0.5) * (profile.size + 1)
    figure.axes[0].set_xticks(places, labels, rotation=0, ha="center")
    figure.suptitle(f"{profile.name}: test faces with the most hat and the most cloth (scarves); MRE of MagGAN / STGAN")
    return figure


@figure("accuracy of each attribute, all systems")
def fig6(results):
    """Fig. 6: accuracy at strength 1.5 for each attribute, in the paper's order of systems, and the mean."""
    runs = needed(results, ("stgan", "maggan"), "fig6")
    systems = [slug for slug in IN_ORDER if slug in runs]
    bars, errors = {}, {}
    for slug in systems:
        each = [runs[slug]["per_attribute"][name].get("accuracy_1.5") for name in ATTRIBUTES]
        label = short_title(slug)
        bars[label], errors[label] = values_of([*each, runs[slug]["metrics"].get("accuracy_1.5")], 100)
    figure, axes = plt.subplots(figsize=(10, 3.4))
    colours = {short_title(slug): COLOURS[slug] for slug in systems}
    grouped_bars(axes, bars, errors, colours, (*ATTRIBUTES, "mean"))
    axes.axvline(len(ATTRIBUTES) - 0.5, color="0.7", lw=0.8)
    axes.set(ylabel="accuracy at strength 1.5, %", ylim=(0, 105))
    axes.legend(ncols=len(bars), loc="lower center", bbox_to_anchor=(0.5, 1))
    shown = {slug: runs[slug] for slug in systems}
    not_run(figure, [slug for slug in IN_ORDER if slug not in runs], shown)
    return figure


@figure("accuracy with and without a hat, STGAN and MagGAN")
def fig7(results):
    """Fig. 7: accuracy of STGAN and MagGAN on faces with and without a hat, with the number of faces."""
    profile = results.profile
    runs = needed(results, ("stgan", "maggan"), "fig7")
    rows = ("stgan", "maggan")
    figure, panels = plt.subplots(2, 1, figsize=(9, 5))
    for axes, hat in zip(panels, ("with_hat", "without_hat"), strict=True):
        key, bars, errors, counts = f"accuracy_1.5_{hat}", {}, {}, []
        for slug in rows:
            entries = [runs[slug]["per_attribute"][name].get(key) for name in ATTRIBUTES]
            if None in entries:
                raise MagganError(f"fig7 needs {key} of row {slug}: python -m maggan.evaluate {slug} {profile.name}")
            counts = [entry["n"] for entry in entries]
            label = short_title(slug)
            bars[label], errors[label] = values_of([*entries, runs[slug]["metrics"].get(key)], 100)
        colours = {short_title(slug): COLOURS[slug] for slug in rows}
        grouped_bars(axes, bars, errors, colours, (*ATTRIBUTES, "mean"))
        axes.axvline(len(ATTRIBUTES) - 0.5, color="0.7", lw=0.8)
        relation = "above" if hat == "with_hat" else "at most"
        axes.set(ylabel="accuracy at 1.5, %", ylim=(0, 105))
        where = f"{hat.replace('_', ' a ')} ({relation} {HAT_SHARE:g} of the picture)"
        axes.set_title(f"{counts[0]} faces {where}", loc="left")
        axes.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    not_run(figure, [], {slug: runs[slug] for slug in rows})
    return figure


@figure("the rows of Table 3 on one face", people=True)
def fig8(results):
    """Fig. 8: all flips of one face, a line for each row of Table 3; on drawn faces also the true edits."""
    profile = results.profile
    runs = [slug for slug in VARIANTS if paths.weights_file(profile, slug).exists()]
    for slug in ("stgan", "maggan"):
        load_row(slug, profile, 0, "cpu")  # its error says what to do
    truths = true_counterfactuals(profile) if source_of(profile).true_edits else None
    number = int(shares(profile, "hat", None if truths is None else len(truths)).argmax())
    batch = open_faces(profile, "test").batch([number])
    lines = {short_title(slug): pixels(flips_of(slug, profile, batch, ATTRIBUTES)[0][0]) for slug in runs}
    if truths is not None:
        lines = {"true edit": truths[number].permute(0, 2, 3, 1).numpy() / 255, **lines}
    source = pixels(batch.images)
    rows = np.stack([np.concatenate([source, edits]) for edits in lines.values()])
    figure = sheet(rows, ["source", *signed(batch.attributes[0])], list(lines), width=10)
    figure.suptitle(f"{profile.name}: the test face with the largest hat, each attribute flipped at strength 1.0")
    not_run(figure, [slug for slug in VARIANTS if slug not in runs])
    return figure


@figure("a face through every system", people=True)
def peers(results):
    """The first test face through every system that was trained: reconstruction and all flips, in Fig. 6's order."""
    profile = results.profile
    rows = [slug for slug in IN_ORDER if paths.weights_file(profile, slug).exists()]
    for slug in ("stgan", "maggan"):
        load_row(slug, profile, 0, "cpu")  # its error says what to do
    batch, lines = open_faces(profile, "test").batch([0]), []
    for slug in rows:
        generator, _ = load_row(slug, profile, 0, "cpu")
        flips = torch.cat([torch.zeros_like(batch.attributes)[:, None], single_flips(batch.attributes)], 1)
        with torch.inference_mode():
            edits = generator.edits(batch.images, flips, batch.parts, batch.attributes)
        lines.append(pixels(torch.cat([batch.images, edits[0]])))
    columns = ["source", "rebuilt", *signed(batch.attributes[0])]
    figure = sheet(np.stack(lines), columns, [short_title(slug) for slug in rows], width=10)
    figure.suptitle(f"{profile.name}: the first test face, rebuilt and with each attribute flipped at strength 1.0")
    not_run(figure, [slug for slug in IN_ORDER if slug not in rows])
    return figure


def has_ways(profile):
    """Whether one shallow, one deep and multi-level discriminators are three different rows at a profile's size."""
    return len(set(discriminator_rows(profile).values())) == len(WAYS)


@figure("one discriminator against multi-level ones, over training", people=True, fits=has_ways)
def fig9(results):
    """Fig. 9: one discriminator, shallow and deep, against multi-level ones: accuracy over training, and two faces."""
    profile = results.profile
    rows = discriminator_rows(profile)
    if not has_ways(profile):
        raise MagganError(
            f"fig9 needs another size than {profile.size} px, where one discriminator is the multi-level ones "
            "(docs/readings.md); take another PROFILE."
        )
    curves = {way: results.learning(rows[way]) for way in WAYS}
    colours = {way: COLOURS[f"maggan-{way}"] for way in WAYS}
    figure = plt.figure(figsize=(10, 4))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.1))
    panels = left.subplots(1, 2, sharex=True)
    for axes, which in zip(panels, ("mean of 13", "Male"), strict=True):
        for way, label in WAYS.items():
            entries = [(point["metrics"] if which != "Male" else point["per_attribute"]["Male"])["accuracy_1.5"]
                       for point in curves[way]]  # fmt: skip
            value, error = values_of(entries, 100)
            steps = [point["iteration"] for point in curves[way]]
            axes.plot(steps, value, "o-", ms=3, color=colours[way], label=label)
            axes.fill_between(steps, value - error[0], value + error[1], color=colours[way], alpha=0.18, lw=0)
        axes.set(title=which, xlabel="iteration", ylim=(0, 100))
    panels[0].set_ylabel("accuracy at 1.5 on validation faces, %")
    panels[0].legend(loc="lower right")
    left.suptitle("(a)", fontsize=9)
    batch = open_faces(profile, "test").batch(range(2))
    shown = signed(batch.attributes[0]), signed(batch.attributes[1])
    grid = right.subplots(len(WAYS), 2 * (1 + len(GLOBAL)))
    for line, (way, label) in zip(grid, WAYS.items(), strict=True):
        edits = pixels(flips_of(rows[way], profile, batch, GLOBAL)[0])
        pictures = np.concatenate([pixels(batch.images)[:, None], edits], 1)  # (2, 1 + len(GLOBAL), S, S, 3)
        for axes, image in zip(line, pictures.reshape(-1, *pictures.shape[2:]), strict=True):
            bare(axes).imshow(image)
        line[0].set_ylabel(label.removesuffix(" discriminator"), fontsize=7, color=colours[way])
    for face, start in enumerate((0, 1 + len(GLOBAL))):
        names = ("source", *(shown[face][attribute_index(name)] for name in GLOBAL))
        for axes, name in zip(grid[0][start:], names, strict=False):
            axes.set_title(name, fontsize=7)
    right.suptitle("(b) the first two test faces", fontsize=9)
    first = curves["multilevel"][-1]
    kind = first["metrics"]["accuracy_1.5"].get("interval", "95 %").replace("test images", "validation faces")
    said = f"{profile.name}, seed {' and '.join(map(str, first['seeds']))}; bands: {kind}"
    not_run(figure, [], extra=[said])
    return figure
