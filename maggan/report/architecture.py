"""Fig. 3: the architecture, drawn from the live networks with the shapes that pass through them."""

from math import log2

import torch
from torch import nn

from ..attributes import ATTRIBUTES, PARTS
from ..data import source_of
from ..networks.discriminator import Discriminator
from ..systems import build_generator
from ..variants import resolve
from .diagrams import ATT, arrow, as_one, box, by, canvas, kinds, note, traced
from .figures import figure

GAP, PIECE, STEP = 0.32, 0.29, 0.12  # between levels; one line of a box; how much taller a box is at twice the side


@figure("the architecture, with the shapes of the live networks")
def fig3(results, variant="maggan", **overrides):
    """Fig. 3: a row's generator and discriminator, from the modules themselves and the shapes they pass on.

    `overrides` are settings of the Config, as for `resolve`. Boxes are taller at a larger side, by its logarithm.
    """
    profile = results.profile
    config = resolve(variant, profile, **overrides)
    with torch.device("meta"):
        G, D = build_generator(config), Discriminator(as_one(config))
    # Outside of the `with`: inside, the relation table, which is read once, would be kept without its numbers.
    x, parts = (torch.empty(1, d, config.size, config.size, device="meta") for d in (3, len(PARTS)))
    of_g, of_d = traced(G, x, torch.empty(1, len(ATTRIBUTES), device="meta"), parts), traced(D, x)

    sides = [config.size, *(of_g[f"encoder.layers.{i}"][1][-1] for i in range(config.levels))]
    pieces = len(decoder_pieces(config))
    heights = [PIECE * pieces + STEP * (log2(side / sides[-1]) - 1) for side in sides]
    tops = [0.4 + sum(heights[:i]) + GAP * i for i in range(len(sides))]
    separate = D.own_trunk is not None or bool(D.noise)
    bottom = tops[-1] + heights[-1] + 0.45
    each = max(1.1, 0.6 + STEP * log2(config.size / of_d["trunk"][1][-1]))
    axes = canvas(max(5.4 + config.levels, 7.5 + 0.5 * config.levels), bottom + 0.15 + each * (1 + separate))
    for y, name, network in ((0.17, "Generator $G$", G), (bottom, "Discriminator $D$", D)):
        parameters = sum(p.numel() for p in network.parameters())
        note(axes, 0.1, y, f"{name} on {profile.name}: {parameters:,} parameters", 9, weight="bold")
    draw_generator(axes, G, of_g, list(zip(sides, tops, heights, strict=True)), source_of(profile).true_edits)
    note(axes, axes.get_xlim()[1] - 0.1, bottom, f"each $T_i$: {kinds(D.trunk[:3])}", ha="right")
    if config.attribute_trunk == "ahead":
        apart = axes.get_xlim()[1] - 0.1, bottom + 0.1 + 2 * each
        note(axes, *apart, r"$D_\mathrm{att}$: trained ahead of the rows", ha="right", va="bottom")
    draw_discriminator(axes, D, of_d, bottom + 0.2, each, separate)
    return axes.figure


def decoder_pieces(config):
    """What a decoder level does, in order: (title, whether the STU's output enters, whether Att_diff does)."""
    if not config.spade:
        return ("up", False, False), ("BatchNorm", False, False), ("concat", True, True)
    if config.spade_condition == "stu":
        return ("up", False, False), ("SPADE", True, True)
    return ("up", False, False), ("SPADE", False, True), ("concat", True, False)


def draw_generator(axes, G, seen, rows, drawn):
    """The generator as a U: a level a row, the encoder down, the STUs and the condition amid, the decoder up."""
    config, levels, changes = G.config, len(rows) - 1, len(ATTRIBUTES)
    pieces = decoder_pieces(config)
    stu, att, dec = (1.35 + 0.5 * levels + right for right in (0, 1.2, 2.45))
    nexts = [*(f"ups.{k}" for k in range(levels - 1)), "last"]
    size, top, h = rows[0]

    box(axes, 0.1, top, 0.85, h, f"$x$\n{by((3, size, size))}", "face")
    if config.conditioning == "mask":
        source = "drawn with the face" if drawn else "face parser"
        source = "segmentation branch" if config.masks == "branch" else source
        arrow(axes, (0.95, top + 0.16), (stu, top + 0.16), dashed=True)
        note(axes, (0.95 + stu) / 2, top + 0.26, source, ha="center", va="top")
        box(axes, stu, top, 0.85, 0.34, f"parts of $x$\n{by((len(PARTS), size, size))}", "face")
        arrow(axes, (stu + 0.85, top + 0.16), (att, top + 0.16))
    box(axes, stu, top + h - 0.34, 0.85, 0.34, f"$\\mathrm{{att_{{diff}}}}$\n{changes}", "change")
    arrow(axes, (stu + 0.85, top + h - 0.17), (att, top + h - 0.17), kind="change")
    arrow(axes, (att + 0.42, top + h), (att + 0.42, rows[-1][1] + rows[-1][2] - 0.3), kind="change", dashed=True)
    how = "eq. 12" if config.conditioning == "mask" else "replicated"
    box(axes, att, top, 0.85, h, f"{ATT}\n{how}\n{by((changes, size, size))}", "change")
    spread = "averaged to each grid" if config.conditioning == "mask" else "the same on each grid"
    note(axes, att + 0.5, top + h + GAP / 2, spread)

    for i, (side, top, h) in enumerate(rows[1:], 1):
        x, k = 0.1 + 0.5 * i, levels - 1 - i  # k: the STU of this level, the deepest is 0
        shape = seen[f"encoder.layers.{i - 1}"][1]
        box(axes, x, top, 0.85, h, f"$E_{i}$\n{by(shape)}", "encoder")
        arrow(axes, (x + 0.18, top - GAP), (x + 0.18, top), kind="encoder")
        left, over, low = dec + 0.5 * (levels - i), top + 0.09, top + h - 0.16
        if i == levels:  # the bottleneck: [E; Att_diff]
            arrow(axes, (x + 0.85, over), (left, over), kind="encoder")
            box(axes, left, top, 1.35, h, f"[$E_{i}$; {ATT}]\n{by(seen[nexts[0]][0][0])}", "decoder")
            inlet = low
        else:
            middle = top + h / 2
            arrow(axes, (x + 0.85, middle), (stu, middle), kind="encoder")
            note(axes, stu - 0.1, middle - 0.02, "gates", ha="right", va="bottom")
            note(axes, stu - 0.1, middle + 0.03, by(seen[f"stus.{k}.of_feature"][1]), ha="right", va="top")
            each = h / len(pieces)
            for j, (title, takes_stu, takes_att) in enumerate(pieces):
                y = top + h - (j + 1) * each
                made = {"up": seen[f"ups.{k}"][1], "concat": seen[nexts[k + 1]][0][0]}
                box(axes, left, y, 1.35, each, f"{title} {by(made.get(title, seen[f'norms.{k}'][1]))}", "decoder")
                if takes_stu:
                    arrow(axes, (stu + 0.85, over), (left, over), kind="STU")
                if takes_att:
                    inlet = y + each * (0.7 if takes_stu else 0.5)
            # the state: the deepest feature, then what the STU below leaves of it
            below = rows[i + 1][1] + (0.09 if i + 1 == levels else 0)
            arrow(axes, (stu + 0.3, below), (stu + 0.3, top + h), kind="encoder" if i + 1 == levels else "STU")
            note(axes, stu + 0.26, top + h + GAP / 2, "state", ha="right")
            at = rows[i + 1][1] + rows[i + 1][2] - 0.16
            gutter, between = att - 0.17, top + h + GAP / 2
            turns = (gutter, at), (gutter, between), (stu + 0.65, between), (stu + 0.65, top + h)
            arrow(axes, (att, at), *turns, kind="change")
            box(axes, stu, top, 0.85, h, f"STU\n{by(seen[f'stus.{k}'][1])}", "STU")
        arrow(axes, (att + 0.85, low), (left - 0.2, low), (left - 0.2, inlet), (left, inlet), kind="change")
        arrow(axes, (left + 0.9, top), (left + 0.9, top - GAP), kind="decoder")
        box(axes, att, low - 0.16, 0.85, 0.32, f"{ATT}\n{by((changes, side, side))}", "change")

    _, top, h = rows[0]
    layers = "sees $x$ too" if config.last_layer == "source" else kinds(G.last)
    last = f"$\\hat{{x}} = G(x, \\mathrm{{att_{{diff}}}})$\n{by(seen['last'][1])}\n{layers},\ntanh"
    box(axes, dec + 0.5 * levels, top, 1.35, h, last, "decoder")
    note(axes, 0.1, rows[-1][1] + rows[-1][2], f"each $E_i$:\n{kinds(G.encoder.layers[0], chr(10))}", va="bottom")
    if config.spade:
        draw_spade(axes, config, seen, axes.get_xlim()[1] - 1.6, rows[-2][1])


def draw_spade(axes, config, seen, x, top):
    """What is inside of the deepest SPADE."""
    (feature, condition), _ = seen["norms.0"]
    other = "STU" if config.spade_condition == "stu" else "up"
    chain = (f"[{other}; {ATT}] {by(condition)}", f"Conv2d, ReLU {by(seen['norms.0.shared'][1])}",
             rf"$\gamma, \beta$: Conv2d {by(seen['norms.0.modulate'][1])}")  # fmt: skip
    note(axes, x, top + 0.05, f"SPADE at {by(feature[1:])}", weight="bold")
    for j, text in enumerate(chain):
        box(axes, x, top + 0.2 + 0.34 * j, 1.5, 0.22, text, "change" if j == 0 else "decoder")
        if j:
            arrow(axes, (x + 0.75, top + 0.08 + 0.34 * j), (x + 0.75, top + 0.2 + 0.34 * j), kind="decoder")
    note(axes, x, top + 1.25, r"out: norm(up) $(1 + \gamma) + \beta$")


def draw_discriminator(axes, D, seen, top, each, separate):
    """The discriminator: its trunk, or two where D_att has its own or sees noise, and the heads D_adv and D_att."""
    trunks = (("trunk", ("adv",)), ("own_trunk" if D.own_trunk is not None else "trunk", ("att",)))
    for row, (name, heads) in enumerate(trunks if separate else (("trunk", ("adv", "att")),)):
        middle, x = top + each * (row + 0.5), 0.1
        noisy = f"\n+ {D.noise:g} noise" if D.noise and heads == ("att",) else ""
        shapes = [seen["trunk.0"][0][0]]
        shapes += [seen[f"{name}.{j}"][1] for j, m in enumerate(getattr(D, name)) if isinstance(m, nn.LeakyReLU)]
        prime = "'" if name == "own_trunk" else ""
        for i, shape in enumerate(shapes):
            h = 0.4 + STEP * log2(shape[-1] / shapes[-1][-1])
            title = f"$T{prime}_{i}$" if i else rf"$x$ or $\hat{{x}}${noisy}"
            box(axes, x, middle - h / 2, 0.85, h, f"{title}\n{by(shape)}", "critic" if i else "face")
            arrow(axes, (x + 0.85, middle), (x + 1.05, middle), kind="critic")
            x += 1.05
        box(axes, x, middle - 0.2, 0.55, 0.4, f"flat\n{by(seen['adv.0'][0][0])}", "critic")
        for j, head in enumerate(heads):
            y = middle + 0.6 * (j - (len(heads) - 1) / 2)
            arrow(axes, (x + 0.55, middle), (x + 0.65, middle), (x + 0.65, y), (x + 0.8, y), kind="critic")
            box(axes, x + 0.8, y - 0.2, 0.55, 0.4, f"Linear\n{by(seen[f'{head}.0'][1])}", "critic")
            arrow(axes, (x + 1.35, y), (x + 1.6, y), kind="critic")
            box(axes, x + 1.6, y - 0.2, 0.55, 0.4, f"$D_\\mathrm{{{head}}}$\n{by(seen[head][1])}", "critic")
            what = "real or edited\neq. 7, 8" if head == "adv" else "attributes\neq. 9, 10"
            note(axes, x + 2.22, y, what + "\n+ patches of $T_2$, $T_3$" * (head == "adv" and bool(D.patches)))
