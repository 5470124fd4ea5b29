"""Other styles of a drawn face: what it does not show of itself, drawn again.

Adding glasses has many true answers, one for each pair of glasses; those in the face's own latents are no truer.
"""

import torch

from ..attributes import ATTRIBUTES
from .latents import STREAMS, _rate, flip, sample, uniforms
from .paint import render

HAIR = ("long", "length", "curl", "volume", "part", "tied", "fringe", "hairline")  # its shape
GREY = (0.8, 0.1)  # of `other`: above it hair without a colour's name is grey, on the young and on the old
DYED = 0.94  # of `other`: above it the hair of the young is dyed
APART = 2**40  # between the seeds of two styles: no face has such a seed


def shown(attributes, latents):
    """Which latents of style these faces show: {name: (B,) bool}; the image depends on no other latent of style.

    attributes (B, 13) in {0, 1}, latents {name: (B,)}.
    """
    on = dict(zip(ATTRIBUTES, (attributes > 0.5).unbind(1), strict=True))
    hair, beard = ~on["Bald"], ~on["No_Beard"]
    named = {name: hair & on[f"{name.title()}_Hair"] for name in ("black", "blond", "brown")}
    unnamed = hair & ~(named["black"] | named["blond"] | named["brown"])
    young, old = GREY
    grey = latents["other"] > torch.where(on["Young"], young, old)
    dyed = (latents["other"] > DYED) & on["Young"]
    return {
        **{name: hair for name in HAIR}, **named,
        "other": unnamed, "shade": unnamed & (~grey | dyed), "grey": unnamed & (grey | dyed),
        **{name: on["Eyeglasses"] for name in ("glasses_kind", "glasses_tone", "shades")},
        "beard_kind": beard, "beard_full": beard | on["Mustache"], "beard_tone": beard | on["Mustache"],
        "wrinkles": ~on["Young"],
    }  # fmt: skip


def has_choice(attributes, latents, attribute):
    """Whether flipping `attribute` shows a latent of style that the face does not show yet: (B,) bool."""
    before, after = shown(attributes, latents), shown(flip(attributes, attribute), latents)
    return torch.stack([after[name] & ~before[name] for name in before]).any(0)


def restyled(seeds, attributes, latents, style):
    """The latents {name: (B,)} of the same faces in another style, 1, 2, ...; the source faces stay as they are.

    seeds (B,) int64, attributes (B, 13) and latents as `sample` gives them.
    """
    drawn = dict(zip(STREAMS, uniforms(seeds + style * APART, len(STREAMS)).unbind(1), strict=True))
    male, young = (attributes[:, ATTRIBUTES.index(name)] for name in ("Male", "Young"))
    drawn["long"] = (drawn["long"] < _rate("long", male, young)).float()
    seen = shown(attributes, latents)
    return {**latents, **{name: torch.where(seen[name], latents[name], drawn[name]) for name in seen}}


def draw_restyled(seeds, size, attribute, style, device="cpu"):
    """The faces of `seeds` with just `attribute` flipped, in another style: true counterfactuals as good as the one.

    style 1, 2, ...; 0 is `draw_flipped`'s. Faces that have no choice come out as that. Returns DrawnFaces.
    """
    seeds = torch.as_tensor(seeds, dtype=torch.int64, device=device).reshape(-1)
    attributes, latents = sample(seeds)
    if style:
        latents = restyled(seeds, attributes, latents, style)
    return render(flip(attributes, attribute), latents, size)
