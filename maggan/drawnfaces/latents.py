"""What a drawn face is made of: its attributes, its latents, and the repairs a flipped attribute needs."""

import torch

from ..attributes import ATTRIBUTES, attribute_index

# Flipping the attribute named first, to the sign, sets these others (1 on, 0 off). All else stays as it was:
# a bearded man turned into a woman keeps the beard; a bald head that gets hair gets it in its own shade,
# which none of the three hair colours names.
REPAIRS = {
    ("Bald", "+"): {"Bangs": 0, "Black_Hair": 0, "Blond_Hair": 0, "Brown_Hair": 0},
    ("Bangs", "+"): {"Bald": 0},
    ("Black_Hair", "+"): {"Bald": 0, "Blond_Hair": 0, "Brown_Hair": 0},
    ("Blond_Hair", "+"): {"Bald": 0, "Black_Hair": 0, "Brown_Hair": 0},
    ("Brown_Hair", "+"): {"Bald": 0, "Black_Hair": 0, "Blond_Hair": 0},
    ("Mustache", "+"): {"No_Beard": 0},
    ("No_Beard", "+"): {"Mustache": 0},
}

# Every latent has a stream of its own, so adding one at the end leaves the faces of all seeds as they were.
STREAMS = (
    "Male", "Young", "Bald", "Bangs", "colour", "Bushy_Eyebrows", "Eyeglasses", "Mouth_Slightly_Open",
    "Mustache", "No_Beard", "Pale_Skin", "hat", "scarf", "earring", "necklace", "long", "length",
    "curl", "volume", "part", "tied", "fringe", "hairline", "black", "blond", "brown", "other", "shade",
    "grey", "melanin", "undertone", "flush", "tilt", "scale", "shift_x", "shift_y", "yaw", "asymmetry",
    "head_width", "jaw", "chin", "eye_size", "eye_gap", "eye_slant", "iris", "gaze_x", "gaze_y",
    "brow_height", "brow_arch", "brow_thick", "brow_tone", "nose_width", "nose_length", "mouth_width",
    "mouth_height", "lip_full", "smile", "gap", "lipstick", "light_x", "light_y", "light", "warmth",
    "ear_size", "neck_width", "cloth_kind", "cloth_hue", "cloth_sat", "cloth_value", "scarf_hue",
    "hat_kind", "hat_hue", "hat_value", "glasses_kind", "glasses_tone", "shades", "beard_kind",
    "beard_full", "beard_tone", "back_kind", "back_hue", "back_sat", "back_value", "back_x", "back_y",
    "back_turn", "phase_a", "phase_b", "phase_c", "wrinkles", "jewel",
)  # fmt: skip

# How often each is on: (woman, man) or, where age matters, (young woman, old woman, young man, old man). They
# add up to CelebA's published rates; hats are drawn on more faces, as the hat experiment needs them.
RATES = {
    "Young": (0.87, 0.635),
    "Bald": (0.0, 0.0, 0.015, 0.12),
    "Bangs": (0.22, 0.07),
    "Black_Hair": (0.27, 0.12, 0.46, 0.22),
    "Blond_Hair": (0.26, 0.22, 0.09, 0.05),
    "Brown_Hair": (0.31, 0.16, 0.24, 0.15),
    "Bushy_Eyebrows": (0.07, 0.24),
    "Eyeglasses": (0.035, 0.13, 0.055, 0.155),
    "Mouth_Slightly_Open": (0.54, 0.405),
    "Mustache": (0.25, 0.25),  # of those with a beard
    "No_Beard": (1.0, 0.604),
    "Pale_Skin": (0.052, 0.03),
    "hat": (0.10, 0.16),
    "long": (0.86, 0.08),
    "earring": (0.35, 0.03),
    "necklace": (0.28, 0.04),
}
# Decorrelated faces: one rate for all, high enough that a judge meets every combination.
EVEN_RATES = {
    "Young": 0.6, "Bald": 0.2, "Bangs": 0.3, "Black_Hair": 0.25, "Blond_Hair": 0.25, "Brown_Hair": 0.25,
    "Bushy_Eyebrows": 0.4, "Eyeglasses": 0.3, "Mouth_Slightly_Open": 0.5, "Mustache": 0.45, "No_Beard": 0.55,
    "Pale_Skin": 0.25, "hat": 0.125, "long": 0.5, "earring": 0.2, "necklace": 0.2,
}  # fmt: skip
HAT_WITH_COLOUR = 0.08  # of hat wearers, those whose hair colour is named (76 of 995 in CelebA)


def uniforms(seeds, count):
    """Uniform numbers of a counter-based hash: row i depends on seeds[i] alone.

    seeds (B,) int64; returns (B, count) float32 in (0, 1), the same on every device (integer arithmetic).
    """
    counter = torch.arange(1, count + 1, device=seeds.device)
    # The finaliser of splitmix64; int64 products wrap around, and the masks make the shifts unsigned.
    z = _mixed(seeds * -7046029254386353131 + 1)[:, None] + counter * -7046029254386353131
    bits = (_mixed(z) >> 41) & 0x7FFFFF  # 23 bits, so that adding a half is exact in float32
    return (bits.float() + 0.5) / 2**23


def _mixed(z):
    z = (z ^ ((z >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    z = (z ^ ((z >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return z ^ ((z >> 31) & 0x1FFFFFFFF)


def sample(seeds, decorrelate=False):
    """The attributes (B, 13) in {0, 1} and the latents {name: (B,)} of the faces `seeds`, (B,) int64.

    Latents that lean on an attribute (hair length on Male, skin on Pale_Skin) do so on the drawn one, once:
    flipping the attribute later leaves them alone.
    """
    u = dict(zip(STREAMS, uniforms(seeds, len(STREAMS)).unbind(1), strict=True))
    male = (u["Male"] < (0.5 if decorrelate else 0.417)).float()
    on = {"Male": male}
    young_rate = EVEN_RATES["Young"] if decorrelate else _rate("Young", male, male)
    on["Young"] = (u["Young"] < young_rate).float()

    def rate(name):
        return EVEN_RATES[name] if decorrelate else _rate(name, male, on["Young"])

    for name in ("Bald", "Bushy_Eyebrows", "Eyeglasses", "Mouth_Slightly_Open", "No_Beard", "Pale_Skin",
                 "hat", "long", "earring", "necklace"):  # fmt: skip
        on[name] = (u[name] < rate(name)).float()
    on["Bangs"] = (u["Bangs"] < rate("Bangs")).float() * (1 - on["Bald"])
    on["Mustache"] = (u["Mustache"] < rate("Mustache")).float() * (1 - on["No_Beard"])
    on.update(_hair_colours(u["colour"], on, rate, decorrelate))
    latents = {name: value for name, value in u.items() if name not in ATTRIBUTES and name != "colour"}
    latents |= {name: on[name] for name in ("hat", "long", "earring", "necklace")}
    latents["scarf"] = (u["scarf"] < 0.125).float()
    # Fair hair goes with fair skin, and pale skin is more often fair skin made paler.
    fair = 0.6 * on["Pale_Skin"] + 0.25 * (1 - on["Pale_Skin"]) * (1 - on["Black_Hair"])
    latents["melanin"] = u["melanin"] * (1 - fair) * (1 - 0.4 * on["Blond_Hair"])
    latents["iris"] = u["iris"] * (1 - latents["melanin"] ** 2)
    latents["brow_tone"] = _brow_tone(u["brow_tone"], on)
    return torch.stack([on[name] for name in ATTRIBUTES], 1), latents


def _rate(name, male, young):
    """RATES[name] of each face, (B,)."""
    rates = RATES[name]
    if len(rates) == 2:
        rates = (rates[0], rates[0], rates[1], rates[1])
    young_woman, old_woman, young_man, old_man = rates
    woman = old_woman + (young_woman - old_woman) * young
    return woman + (old_man + (young_man - old_man) * young - woman) * male


def _hair_colours(u, on, rate, decorrelate):
    """At most one of the three hair colours, none on a bald head and few under a hat."""
    visible = 1 - on["Bald"]
    scale = visible if decorrelate else visible * (1 - (1 - HAT_WITH_COLOUR) * on["hat"])
    colours, below = {}, torch.zeros_like(u)
    for name in ("Black_Hair", "Blond_Hair", "Brown_Hair"):
        above = below + rate(name) * scale
        colours[name] = ((u >= below) & (u < above)).float()
        below = above
    return colours


def _brow_tone(u, on):
    """How light the brows are, 0 black to 1 blond; a latent, so that dyeing the hair leaves them alone."""
    centre = 0.3 - 0.22 * on["Black_Hair"] + 0.3 * on["Blond_Hair"]
    return centre + 0.24 * (u - 0.5)


def flip(attributes, attribute):
    """`attributes` (B, 13) with the one named (or numbered) flipped and the others repaired as REPAIRS says.

    Raises MagganError with the nearest right name for an unknown attribute.
    """
    index = attribute_index(ATTRIBUTES[attribute] if _is_index(attribute) else attribute)
    flipped = attributes.clone()
    flipped[:, index] = 1 - attributes[:, index]
    for sign, turned in (("+", flipped[:, index] == 1), ("-", flipped[:, index] == 0)):
        for other, value in REPAIRS.get((ATTRIBUTES[index], sign), {}).items():
            j = ATTRIBUTES.index(other)
            flipped[:, j] = torch.where(turned, torch.full_like(flipped[:, j], value), flipped[:, j])
    return flipped


def _is_index(attribute):
    return isinstance(attribute, int) and 0 <= attribute < len(ATTRIBUTES)
