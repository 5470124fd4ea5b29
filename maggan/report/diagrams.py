"""The paper's Fig. 4 and 5 drawn from what runs here: a test face's own masks and patches; and the drawing of boxes.

Each figure takes `Results` and returns a matplotlib Figure. Places are in inches from the top left.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from torch import nn

from ..attributes import ATTRIBUTES, PARTS, attribute_index
from ..data.faces import open_faces
from ..evaluate.protocol import HAT_SHARE, load_row
from ..networks.discriminator import MultiLevelDiscriminator
from ..regions import preserved_change, preserved_mask
from ..variants import resolve
from .figures import figure, greyed, pixels

# Okabe-Ito, one colour a role
COLOURS = {"face": "#666666", "encoder": "#0072B2", "STU": "#E69F00", "change": "#CC79A7", "decoder": "#009E73",
           "critic": "#D55E00"}  # fmt: skip
CHANGES = ("Blond_Hair", "Pale_Skin", "Eyeglasses", "Mouth_Slightly_Open")
ATT = r"$\mathrm{Att_{diff}}$"


def canvas(width, height):
    """An empty page, a unit an inch, y downwards."""
    axes = plt.figure(figsize=(width, height), layout="none").add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return axes


def box(axes, x, y, w, h, text, kind):
    """A labelled box in the colour of its kind, which is its gid too."""
    pale = [0.72 + 0.28 * channel for channel in to_rgb(COLOURS[kind])]
    axes.add_patch(Rectangle((x, y), w, h, facecolor=pale, edgecolor=COLOURS[kind], lw=1, zorder=3, gid=kind))
    axes.text(x + w / 2, y + h / 2, text, ha="center", va="center", fontsize=7.5, linespacing=1.25, zorder=4)


def arrow(axes, *points, kind="face", dashed=False):
    """An arrow along points; where two cross, the later one is seen to pass over the other."""
    axes.add_patch(FancyArrowPatch(
        path=Path(points), arrowstyle="-|>", mutation_scale=8, color=COLOURS[kind], lw=1.1, zorder=2,
        linestyle=(0, (3, 2)) if dashed else "-", path_effects=[withStroke(linewidth=3.5, foreground="white")],
        joinstyle="miter", capstyle="butt",
    ))  # fmt: skip


def note(axes, x, y, text, size=7.5, **options):
    """A line of text, its left middle at (x, y) unless told otherwise."""
    axes.text(x, y, text, fontsize=size, zorder=5, **{"va": "center", "linespacing": 1.25, **options})


def picture(axes, image, x, y, side, gid=None, **options):
    """An image or a map as a square of this side, in a thin frame."""
    axes.autoscale(False)
    axes.add_patch(Rectangle((x, y), side, side, fill=False, edgecolor="0.5", lw=0.6, zorder=2))
    return axes.imshow(image, extent=(x, x + side, y + side, y), zorder=1, gid=gid, **options)


def traced(network, *inputs):
    """Run a network and note each module's shapes, without the batch: {name: ([of tensors it took], of what it gave)}.

    A module that gives several is noted with the first. Nothing is computed where network and inputs are "meta".
    """
    seen = {}

    def hook(name):
        def look(_, took, gave):
            gave = gave if torch.is_tensor(gave) else gave[0]
            seen[name] = [tuple(each.shape[1:]) for each in took if torch.is_tensor(each)], tuple(gave.shape[1:])

        return look

    handles = [module.register_forward_hook(hook(name)) for name, module in network.named_modules() if name]
    network.eval()(*inputs)
    for handle in handles:
        handle.remove()
    return seen


def as_one(config):
    """The config of a discriminator whose D_att is part of it, also where that is trained ahead of the rows."""
    return replace(config, attribute_trunk="own") if config.attribute_trunk == "ahead" else config


def by(shape):
    """A shape as text."""
    return "×".join(map(str, shape))


def kinds(layers, between=", "):
    """What a layer or a sequence of layers is made of, as text."""
    return between.join(type(layer).__name__ for layer in (layers if isinstance(layers, nn.Sequential) else [layers]))


def face_with_hat(profile):
    """The first test face that counts as one with a hat, else the first: (its number, a Batch of it)."""
    faces, hat = open_faces(profile, "test"), PARTS.index("hat")
    for i in range(len(faces)):
        batch = faces.batch([i])
        if batch.parts[0, hat].mean() > HAT_SHARE:
            return i, batch
    return 0, faces.batch([0])


@figure("the losses, with real masks", people=True)
def fig4(results, changes=CHANGES, seed=0):
    """Fig. 4: what each loss of the trained row `maggan` compares, on one test face; grey: what a change may touch.

    The face is the first with a hat, else the first; each of `changes` flips one attribute of it. The losses
    written beside are of this face alone. Raises MagganError with the command if the row is not trained.
    """
    profile = results.profile
    G, _ = load_row("maggan", profile, seed, "cpu")
    number, (x, parts, attributes) = face_with_hat(profile)
    which = [attribute_index(name) for name in changes]
    att_diff = torch.zeros(len(which) + 1, len(ATTRIBUTES))  # the last row is no change, for L_rec
    att_diff[range(len(which)), which] = 1 - 2 * attributes[0, which]
    with torch.inference_mode():
        edits = G.edits(x, att_diff[None], parts, attributes)[0]
    kept = preserved_mask(parts.expand(len(att_diff), -1, -1, -1), att_diff, G.table)
    xs = x.expand_as(edits)
    far = preserved_change(xs, edits, kept).mean(1)
    limit = far.quantile(0.998).item()  # a few pixels would leave the rest white

    side, step, left, top = 1.3, 1.42, 1.2, 1.12
    last = top + len(which) * step + 0.3
    axes = canvas(left + 6 * step + 0.6, last + side + 0.1)
    rule = "the first with a hat" if parts[0, PARTS.index("hat")].mean() > HAT_SHARE else "the first, none has a hat"
    about = f"Test face {number} of {profile.name} ({rule}); grey: the change may touch it (eq. 5)"
    note(axes, 0.1, 0.17, about, 9, weight="bold")
    G_x, M = r"G(x, \mathrm{att_{diff}})", r"M(\mathrm{att_{diff}}, x)"
    titles = ["x", G_x, M, r"M \cdot x", rf"M \cdot {G_x}", rf"|M \cdot (x - {G_x})|"]
    for j, title in enumerate(titles):
        note(axes, left + j * step + side / 2, top - 0.13, f"${title}$", 8, ha="center")
    for j, title in ((1, "G(x, 0)"), (5, "|x - G(x, 0)|")):
        note(axes, left + j * step + side / 2, last - 0.13, f"${title}$", 8, ha="center")
    terms = {name: rf"$L_\mathrm{{{name}}}$" for name in ("gan", "rec", "cls", "mre")}
    heard = rf"$D_\mathrm{{adv}}$ judges it: {terms['gan']}, eq. 8"
    heard += "\n" + rf"$D_\mathrm{{att}}$ reads it: {terms['cls']}, eq. 10"
    spans = (("encoder", 1, 1, heard), ("critic", 2, 5, f"{terms['mre']}, eq. 3: what is to be preserved stays"))
    for kind, first, until, text in spans:
        a, b = left + first * step, left + until * step + side
        axes.plot((a, a, b, b), (top - 0.28, top - 0.35, top - 0.35, top - 0.28), color=COLOURS[kind])
        note(axes, (a + b) / 2, top - 0.41, text, ha="center", va="bottom")

    grey = greyed(xs, kept), greyed(edits, kept)
    rows = zip(pixels(xs), pixels(edits), kept[:, 0].numpy(), *grey, far.numpy(), strict=True)
    for i, row in enumerate(rows):
        rebuilt = i == len(which)
        y = last if rebuilt else top + i * step
        for j, image in enumerate(row):
            if not rebuilt or j in (0, 1, 5):
                look = {2: {"cmap": "gray", "vmin": 0, "vmax": 1}, 5: {"vmin": 0, "vmax": limit}}.get(j, {})
                shown = picture(axes, image, left + j * step, y, side, **look)
        sign = "\N{MINUS SIGN}" if att_diff[i].sum() < 0 else "+"
        title = "no change" if rebuilt else f"{sign} {changes[i].replace('_', chr(10))}"
        loss = terms["rec" if rebuilt else "mre"]
        note(axes, left - 0.1, y + side / 2, f"{title}\n\n{loss} = {far[i].mean():.3f}", ha="right")
    width, height = axes.figure.get_size_inches()
    place = ((left + 6 * step - 0.02) / width, 0.1 / height, 0.1 / width, side / height)
    axes.figure.colorbar(shown, cax=axes.figure.add_axes(place), extend="max")
    config = G.config
    weights = {"gan": 1, "rec": config.lambda_1, "cls": config.lambda_2, "mre": config.lambda_3}
    total = " + ".join(("" if w == 1 else f"{w:g} ") + terms[name] for name, w in weights.items())
    middle = left + 2 * step + 0.1
    note(axes, middle, last + 0.4 * side, f"{terms['rec']}, eq. 6: what is not to change comes back as it was", 8)
    note(axes, middle, last + 0.65 * side, f"$L_G$ = {total}, eq. 11", 8)
    return axes.figure


def patch_corners(D, places):
    """Where the views of a MultiLevelDiscriminator begin, read off its own views: (y, x) in pixels of each level."""
    line = torch.arange(float(D.views.size)).expand(D.views.size, -1)
    views = D.views(torch.stack([line.T, line, line])[None], places)
    # pixels of the face in one of the level
    steps = [D.views.size / (D.views.base << level) for level in range(len(views))]
    return [tuple(round(((v[0, c, 0, 0] - (s - 1) / 2) / s).item()) for c in (0, 1))
            for v, s in zip(views, steps, strict=True)]  # fmt: skip


@figure("the multi-level patch-wise discriminators", people=True)
def fig5(results, levels=None, face=0, seed=0):
    """Fig. 5: what each of the `levels` discriminators of eq. 14 sees of one test face, and what it makes of it.

    `levels` is P, as in the row `maggan-multilevel` unless told otherwise; `face` the number of the test face, and
    `seed` decides where the patches lie. Raises MagganError where the levels are too many for the profile.
    """
    profile = results.profile
    config = resolve("maggan-multilevel", profile, **({"critic_levels": levels} if levels else {}))
    with torch.device("meta"):  # only shapes and views are asked of it
        D = MultiLevelDiscriminator(as_one(config))
    places = torch.rand(config.critic_levels - 1, 1, 2, generator=torch.Generator().manual_seed(seed)).tolist()
    image = open_faces(profile, "test").batch([face]).images

    big, small, top = 2.4, 1.15, 0.7  # how large the finest face is drawn, and what each discriminator sees
    sides = [D.views.base << level for level in range(len(D.levels))]
    heights = [max(big * side / D.views.size, small) + 0.45 for side in sides]
    axes = canvas(9.5, top + sum(heights))
    base = D.views.base
    about = f"$P$ = {len(sides)} discriminators of {base}×{base} px for {profile.name}; test face {face}"
    note(axes, 0.1, 0.17, about, 9, weight="bold")
    columns = {1.3: "face at level $i$", 3.63: "what $D_i$ sees", 5.08: "trunk", 6.13: "features", 7.13: "heads"}
    for x, text in columns.items():
        note(axes, x, top - 0.2, text, 8, ha="center")
    mean = f"mean over\n$i$ = 1 to {len(sides)}\n(eq. 14)\n\nof $D$'s losses,\neq. 7 and 9;\n\nof $G$'s,\neq. 8 and 10"
    box(axes, 7.9, top, 1.5, sum(heights) - 0.45, mean, "face")
    cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]  # "C0" itself would be looked up once the style is gone
    for level, (view, corner) in enumerate(zip(D.views(image, places), patch_corners(D, places), strict=True)):
        side, number, colour = sides[level], level + 1, cycle[level]
        shown = big * side / D.views.size
        middle = top + sum(heights[:level]) + (heights[level] - 0.45) / 2
        x, y, scale = 0.1 + (big - shown) / 2, middle - shown / 2, shown / side
        picture(axes, pixels(F.adaptive_avg_pool2d(image, side))[0], x, y, shown, f"face {number}")
        picture(axes, pixels(view)[0], 3.05, middle - small / 2, small, f"view {number}")
        note(axes, x + shown / 2, y + shown + 0.12, f"level {number}: {side}×{side} px", ha="center")
        what = f"patch of {base}×{base} px" if level else "the whole face"
        note(axes, 3.05 + small / 2, middle + small / 2 + 0.12, what, ha="center")
        patch = x + corner[1] * scale, y + corner[0] * scale, base * scale
        for left, up, width, gid in ((*patch, f"patch {number}"), (3.05, middle - small / 2, small, None)):
            frame = {"fill": False, "edgecolor": colour, "lw": 2, "zorder": 3, "gid": gid}
            axes.add_patch(Rectangle((left, up), width, width, **frame))
        for end in (0, 1):  # the patch magnified
            ys = patch[1] + end * patch[2], middle + (end - 0.5) * small
            axes.plot((patch[0] + patch[2], 3.05), ys, color=colour, lw=0.9, zorder=2)
        draw_heads(axes, D.levels[level], number, base, middle)
    return axes.figure


def draw_heads(axes, D, number, base, middle):
    """What one of the multi-level discriminators makes of its view: the features its heads take, and the heads."""
    seen = traced(D, torch.empty(1, 3, base, base, device="meta"))
    if D.own_trunk is None:
        box(axes, 4.65, middle - 0.46, 0.85, 0.92, f"shared\n{by(seen['trunk'][1])}", "critic")
    for name, y in (("adv", middle - 0.26), ("att", middle + 0.26)):
        head = getattr(D, name)
        weighted = nn.Linear | nn.Conv2d
        takes = next(seen[f"{name}.{j}"][0][0] for j, layer in enumerate(head) if isinstance(layer, weighted))
        kinds = [type(layer) for layer in head]
        how = "map" if nn.Conv2d in kinds else "averaged" if nn.AdaptiveAvgPool2d in kinds else "flat"
        if D.own_trunk is not None:
            trunk = seen["trunk" if name == "adv" else "own_trunk"][1]
            box(axes, 4.65, y - 0.2, 0.85, 0.4, f"its own\n{by(trunk)}", "critic")
        box(axes, 5.75, y - 0.2, 0.75, 0.4, f"{how}\n{by(takes)}", "critic")
        box(axes, 6.75, y - 0.2, 0.75, 0.4, rf"$D_\mathrm{{{name}}}^{number}$" + f"\n{by(seen[name][1])}", "critic")
        for left, right in ((4.22, 4.65), (5.5, 5.75), (6.5, 6.75), (7.5, 7.9)):
            arrow(axes, (left, y), (right, y), kind="critic")
