"""What a drawn face wears: clothes, scarf, necklace, earrings and hat."""

from .shapes import blob, colour, cover, ellipse, hsv, mix, step, stroke


def clothes(face, canvas, layers):
    """A round or V-necked top, some with a collar or stripes."""
    u, v, px = canvas.u, canvas.v, canvas.px
    reach = u.abs()
    shoulder = 0.80 + 0.28 * (reach - 0.28).clamp(min=0) ** 2 + 0.10 * (reach - 0.3).clamp(min=0)
    vee = (face.cloth_kind > 0.35).float()
    neckline = mix(0.98 - 1.1 * reach * reach, 1.12 - 0.95 * reach, vee)
    depth = v - shoulder.maximum(neckline)  # below the hem
    alpha = cover(-depth, px)
    paint = hsv(face.cloth_hue, 0.75 * face.cloth_sat, 0.12 + 0.8 * face.cloth_value)
    folds = (u * 14 + 3 * (v * 5).sin_() + 9 * face.cloth_hue).sin_()
    paint = paint * (0.9 + 0.07 * folds - 0.25 * step(0.12 - depth, 0.0, 0.12))
    stripes = ((u * 0.3 + v) * 38).sin_().clamp_(-0.2, 0.2) * 2.5 + 0.5
    paint = mix(paint, paint * 0.5 + 0.4, 0.5 * stripes * (face.cloth_kind > 0.78))
    layers.add("cloth", alpha, paint)
    collared = (face.cloth_kind > 0.35).float() * (face.cloth_kind < 0.6)
    collar = cover(neckline + 0.03 - v, px) * cover(v - neckline - 0.10, px) * alpha * collared
    layers.add("cloth", collar, mix(paint, 0.95 + 0 * paint, 0.75))


def necklace(face, canvas, layers):
    u, v, px = canvas.u, canvas.v, canvas.px
    chain = stroke(v - (0.99 - 1.3 * u * u), 0.014, px) * cover(u.abs() - 0.3, px)
    gold, silver = colour(u, (0.93, 0.76, 0.32), (0.92, 0.93, 0.96))
    metal = mix(gold, silver, (face.jewel > 0.5).float())
    layers.add("neck_l", chain * face.necklace, metal * (0.75 + 0.25 * (u * 90).sin_()))


def scarf(face, canvas, layers):
    u, v, px = canvas.u, canvas.v, canvas.px
    rim = 0.66 + 0.22 * (u * u) + 0.02 * (u * 9 + 6 * face.phase_a).sin_()
    alpha = cover((rim - v).maximum(u.abs() - 0.48 - 0.2 * (v - 0.66)), px) * face.scarf
    paint = hsv(face.scarf_hue, 0.35 + 0.4 * face.cloth_sat, 0.4 + 0.5 * face.cloth_value)
    folds = ((v - 0.25 * u * u) * 26 + 3 * (u * 4 + 5 * face.phase_b).sin_()).sin_()
    layers.add("cloth", alpha, paint * (0.84 + 0.17 * folds - 0.15 * step(u.abs(), 0.2, 0.5)))


def earrings(face, canvas, layers, out, lobe):
    """Small hoops or drops at the lobes: `out` runs outwards from the ear's middle, `lobe` is its lower end.

    They are painted before the hair, so that they show beside long hair too.
    """
    drop, px = canvas.v - lobe - 0.055, canvas.px
    hoop = stroke(ellipse(out + 0.015, drop, 0.045, 0.055), 0.012, px)
    pendant = cover(ellipse(out + 0.015, drop - 0.01, 0.026, 0.05), px)
    gold, silver = colour(out, (0.95, 0.78, 0.30), (0.93, 0.94, 0.98))
    metal = mix(gold, silver, (face.phase_c > 0.6).float())
    alpha = mix(hoop, pendant, (face.jewel > 0.45).float()) * face.earring
    layers.add("ear_r", alpha, metal * (1.0 - 2.0 * drop).clamp_(0.6, 1.3))


def hat(face, canvas, layers):
    """A knitted cap, a peaked cap or a brimmed hat."""
    u, v, px = canvas.u, canvas.v, canvas.px
    knitted = (face.hat_kind < 0.4).float() * face.hat
    brimmed = (face.hat_kind >= 0.7).float() * face.hat
    peaked = face.hat - knitted - brimmed
    paint = hsv(face.hat_hue, 0.25 + 0.55 * face.cloth_value, 0.25 + 0.6 * face.hat_value)
    light = 1 + 0.25 * (2 * face.light_x - 1) * u - 0.25 * step(u.abs(), 0.3, 0.65)
    light = light + 0.15 * blob(u, v + 0.75, 0.25, 0.15)
    hem = -0.40 + 0.10 * u * u
    crown = ellipse(u, (v + 0.35).clamp(max=0), 0.66 - 0.03 * brimmed, 0.66).maximum(v - hem - 0.02)
    ribs = (u / (1.25 + v.clamp(max=0)) * 60).sin_() * 0.10 * knitted
    seams = stroke(u.abs() - 0.26 * (v + 1.1), 0.012, px) * 0.25 * peaked
    layers.add("hat", cover(crown, px) * face.hat, paint * (light + ribs - seams))

    fold = cover((hem - 0.12 - v).maximum(v - hem - 0.03).maximum(u.abs() - 0.67), px)
    shade = 0.2 * step(-(v - hem + 0.12), -0.03, 0.0)
    layers.add("hat", fold * knitted, paint * (light * 1.12 + 1.3 * ribs - shade))
    peak = ellipse(u, v + 0.385 - 0.20 * u * u, 0.57, 0.115).maximum(hem - 0.055 - v)
    layers.add("hat", cover(peak, px) * peaked, paint * (0.50 + 0.55 * step(0.20 * u * u - v, 0.30, 0.45)))
    band = cover((hem - 0.10 - v).maximum(v - hem).maximum(u.abs() - 0.63), px)
    layers.add("hat", band * brimmed, paint * 0.35)
    brim = ellipse(u, v + 0.37 + 0.06 * (u * u - 0.3), 0.93, 0.085)
    edge_light = (0.70 + 0.35 * step(-v, 0.34, 0.42)) * (1 - 0.2 * u.abs())
    layers.add("hat", cover(brim, px) * brimmed, paint * edge_light)
