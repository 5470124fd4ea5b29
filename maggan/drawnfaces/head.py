"""The bare head of a drawn face: background, neck, ears and skin with its shading, wrinkles and beard."""

from .shapes import blob, colour, cover, ellipse, gradient, hsv, mix, step, strands, stroke

SKIN = ((0.95, 0.79, 0.69), (0.90, 0.70, 0.57), (0.80, 0.58, 0.44), (0.60, 0.40, 0.29), (0.42, 0.27, 0.19))


def backdrop(face, canvas):
    """The background (B, 3, S, S): a gradient with blurred shapes, or a studio wall lit from one side."""
    x, y = canvas.x, canvas.y
    turn = 2 * face.back_turn - 1
    first = hsv(face.back_hue, 0.05 + 0.36 * face.back_sat**2, 0.25 + 0.7 * face.back_value)
    second = hsv((face.back_hue + 0.12 * turn) % 1, 0.05 + 0.4 * face.back_sat**2, 0.15 + 0.6 * face.back_x)
    image = mix(first, second, (0.5 + 0.4 * (turn * x + (1 - abs(turn)) * y)).clamp_(0, 1))
    shapes = (face.back_kind > 0.4).float()
    accent = hsv((face.back_hue + 0.3 + 0.4 * face.back_y) % 1, 0.15 + 0.4 * face.back_sat, face.back_y)
    for number, sign in enumerate((-1, 1)):
        place = face.back_y if number else 1 - face.back_x
        centre_x, centre_y = sign * (0.55 + 0.45 * place), -0.9 + 1.5 * (place * 3.7 % 1)
        wide = 0.25 + 0.25 * (face.back_turn if number else face.back_sat)
        spot = step(-ellipse(x - centre_x, y - centre_y, wide, 0.55 - 0.5 * (wide - 0.25)), -0.15, 0.15)
        image = mix(image, mix(accent, first, 0.5 * number), spot * shapes * 0.8)
    bars = (0.5 + 0.5 * (x * (6 + 5 * face.back_x) + 6 * face.back_y).sin_()) * (face.back_kind > 0.75)
    return mix(image, accent, 0.45 * bars).clamp_(0, 1)


def skin_colour(face):
    """The skin's colour (B, 3, 1, 1), and what Pale_Skin leaves of it on the neck and ears."""
    base = gradient(face.melanin**1.5, SKIN)
    warm = colour(base, (1.03, 1.0, 0.95))
    base = base * mix(colour(base, (1.0, 0.985, 0.99)), warm, face.undertone)
    base = mix(base, base * colour(base, (0.97, 0.95, 0.93)), face.Male)
    old = mix(base, base.mean(1, keepdim=True) * colour(base, (1.06, 0.98, 0.93)), 0.3)
    base = mix(old, base, face.Young)
    pale = mix(base, colour(base, (0.97, 0.915, 0.895)), 0.76)
    return mix(base, pale, face.Pale_Skin), mix(base, pale, 0.6 * face.Pale_Skin)


def head_shape(face, canvas):
    """Signed distance (B, 1, S, S) to the head: a skull, and a jaw that is wide and square in men."""
    u, v = canvas.u, canvas.v
    width = 0.53 + 0.03 * (face.head_width - 0.5)
    chin = 0.78 + 0.03 * (face.chin - 0.5) + 0.025 * face.Male
    height = mix(0.78 + 0 * chin, chin, (v > 0).float())
    down = (v / chin).clamp(0, 1)
    crown = 1 + 0.16 * (v / 0.78).clamp(-1, 0) ** 2  # a skull is rounder than an egg
    taper = 0.25 - 0.23 * face.Male - 0.08 * (1 - face.Young) + 0.10 * (face.jaw - 0.5)
    narrowed = u / (crown * (1 - taper * down * down * (1.6 - down)))
    sag = (1 - face.Young) * 0.035 * blob(u.abs() - 0.36, v - 0.5, 0.12, 0.14)
    return ellipse(narrowed, v, width, height) - sag


def neck(face, canvas, layers, skin):
    u, v, px = canvas.u, canvas.v, canvas.px
    width = 0.25 + 0.075 * face.Male + 0.03 * (face.neck_width - 0.5)
    flare = (v - 0.72).clamp(min=0)
    side = u.abs() - width - 1.1 * flare * flare
    shade = 0.86 - 0.3 * step(-v, -1.0, -0.62) + 0.1 * (face.light_x - 0.5) * u / width
    shade = shade - 0.12 * stroke(u.abs() - 0.13 + 0.1 * (v - 0.7), 0.02, px, 0.05) * (1 - 0.5 * face.Young)
    layers.add("neck", cover(side.maximum(0.3 - v), px), skin * shade)


def ears(face, canvas, layers, skin):
    """Both ears; returns where an earring hangs: the way outwards (B, 1, S, S), and the lobe's height."""
    u, v, px = canvas.u, canvas.v, canvas.px
    size = 0.145 + 0.03 * face.ear_size
    out = u.abs() - (0.545 + 0.03 * (face.head_width - 0.5)) + 0.07 * (v - 0.1)
    shape = ellipse(out, v - 0.06, 0.075, size)
    inside = blob(out - 0.01, v - 0.05, 0.035, 0.08)
    paint = skin * (0.90 - 0.35 * inside) * mix(colour(skin, (1.0, 0.95, 0.93)), 1 + 0 * skin, 0.3)
    layers.add_pair("l_ear", "r_ear", (u < 0).float(), cover(shape, px), paint)
    return out, 0.06 + size


def skin_light(face, canvas, shape):
    """How bright each point of the skin is, (B, 1, S, S): the lamp, the head's roundness, and its hollows."""
    u, v = canvas.u, canvas.v
    side, above = 2 * face.light_x - 1, 0.4 + 0.6 * face.light_y
    strength = 0.10 + 0.12 * face.light
    light = 1.0 + strength * (side * u / 0.5 - above * v / 0.8)
    light = light - 0.20 * step(shape, -0.20, 0.02) * (0.7 - 0.9 * side * u)
    light = light - 0.05 * step(shape, -0.07, 0.01)
    mirrored = u.abs()
    light += 0.10 * blob(u + 0.1 * side, v + 0.42, 0.22, 0.16)  # forehead
    light += 0.07 * blob(mirrored - 0.27, v - 0.2, 0.11, 0.10)  # cheekbones
    light -= (0.10 + 0.05 * face.Male) * blob(mirrored - 0.20, v + 0.075, 0.13, 0.05)  # eye sockets
    light -= 0.10 * blob(u, v - 0.60, 0.14, 0.035)  # below the lower lip
    light += 0.06 * blob(u, v - 0.70, 0.09, 0.06)  # chin
    light -= 0.08 * face.Male * blob(mirrored - 0.34, v - 0.42, 0.10, 0.18)  # a man's hollow cheek
    return light


def scalp_shine(face, canvas):
    """The shine on a bald scalp, (B, 1, S, S); hair hides it on every other head."""
    u, v = canvas.u, canvas.v
    side = 2 * face.light_x - 1
    broad = blob(u - 0.18 * side, v + 0.62, 0.20, 0.10)
    return 0.16 * broad + 0.12 * blob(u - 0.22 * side, v + 0.66, 0.07, 0.04)


def wrinkles(face, canvas):
    """How deep the lines of age are, (B, 1, S, S) in [0, 1]; 0 on the young."""
    u, v, px = canvas.u, canvas.v, canvas.px
    reach = u.abs()
    lines = 0
    for number in range(3):
        bow = -0.255 - 0.075 * number + 0.06 * u * u + 0.012 * (u * 11 + 6 * face.phase_a + number).sin_()
        lines = lines + 0.7 * stroke(v - bow, 0.012, px, 0.016) * step(0.31 - reach, 0.0, 0.1)
    fold = 0.135 + 0.30 * (v - 0.20) + 0.12 * (face.mouth_width - 0.5) - 0.4 * (v - 0.33) ** 2
    fold = stroke(reach - fold, 0.016, px, 0.035) * step(v, 0.18, 0.26) * step(0.58 - v, 0.0, 0.12)
    lines = lines + 0.85 * fold
    bag = 0.09 + 0.05 * (1 - ((reach - 0.22) / 0.14) ** 2)
    lines = lines + 0.8 * stroke(v - bag, 0.012, px, 0.02) * step(0.13 - (reach - 0.22).abs(), 0.0, 0.03)
    for slant in (-0.5, 0.05, 0.6):
        crow = stroke((v - 0.01) - slant * (reach - 0.32), 0.008, px, 0.008)
        lines = lines + 0.7 * crow * step(reach, 0.35, 0.38) * step(0.46 - reach, 0.0, 0.05)
    marionette = stroke(reach - 0.215 - 0.1 * (v - 0.5), 0.012, px, 0.02) * step(v, 0.49, 0.53)
    lines = lines + 0.4 * marionette * step(0.67 - v, 0.0, 0.08)
    return lines.clamp_(0, 1) * ((1 - face.Young) * (0.8 + 0.2 * face.wrinkles))


def head(face, canvas, layers, skin, shape):
    """The skin of the head; returns its paint (B, 3, S, S), which the nose shares."""
    u, v = canvas.u, canvas.v
    light = skin_light(face, canvas, shape) + scalp_shine(face, canvas)
    paint = skin * light
    flush = blob(u.abs() - 0.29, v - 0.23, 0.13, 0.10) * (0.25 + 0.5 * face.flush) * (1 - 0.6 * face.Male)
    paint = paint * (1 - flush * colour(skin, (0.0, 0.16, 0.14)) * (1 - 0.6 * face.Pale_Skin))
    shaven = step(v - 0.30 + 0.4 * (u.abs() - 0.27), -0.05, 0.25) * face.Male * 0.06
    paint = paint * (1 - shaven * colour(skin, (1.0, 0.9, 0.7)))
    lines = wrinkles(face, canvas)
    paint = paint * (1 - lines * colour(skin, (0.36, 0.44, 0.46)))
    layers.add("skin", cover(shape, canvas.px), paint)
    return paint


def beard_colour(face):
    tone = face.brow_tone * 0.8 + 0.12 * face.beard_tone
    young = gradient(tone.clamp(0, 1), ((0.08, 0.06, 0.05), (0.28, 0.18, 0.11), (0.55, 0.40, 0.25)))
    return mix(mix(young, colour(young, (0.62, 0.60, 0.58)), 0.55), young, face.Young)


def beard(face, canvas, layers, shape):
    """A full beard or a goatee, close or long; part of the skin, as parsers have it."""
    u, v, px = canvas.u, canvas.v, canvas.px
    reach = u.abs()
    goatee = (face.beard_kind > 0.65).float()
    full = step(v - 0.36 + 0.55 * (reach - 0.27), -0.06, 0.05) * step(reach + 0.35 * (v - 0.3), 0.19, 0.27)
    chin = step(v, 0.565, 0.62) * step(0.36 - reach, 0.0, 0.1)
    tuft = step(-ellipse(u, v - 0.69, 0.20, 0.115), -0.02, 0.03)
    tuft = tuft + step(-ellipse(u, v - 0.6, 0.045, 0.06), -0.02, 0.02)
    area = mix((full + chin).clamp_(0, 1), tuft.clamp_(0, 1), goatee)
    grain = strands(u * 1.3 + 0.3 * u * v, v, px, face.phase_c, 0.0, 1.5)
    rim = shape - 0.015 - 0.03 * face.beard_full * step(v, 0.5, 0.8)
    alpha = area * cover(rim, px, 0.03) * (0.74 + 0.21 * face.beard_full + 0.06 * grain).clamp_(0, 1)
    layers.add("skin", alpha * (1 - face.No_Beard), beard_colour(face) * (1 + 0.3 * grain))


def mustache(face, canvas, layers):
    u, v, px = canvas.u, canvas.v, canvas.px
    reach = u.abs()
    droop = 0.28 * reach * reach / 0.2 + 0.05 * face.beard_full * reach / 0.2
    top = 0.305 + 0.6 * reach * reach + 0.015 * (-reach / 0.03).exp_()
    bottom = 0.395 + droop + 0.01 * face.beard_full
    alpha = cover(top - v, px, 0.02) * cover(v - bottom, px, 0.02) * cover(reach - 0.215, px, 0.03)
    grain = strands(u * 1.2 - 0.6 * u * v, v, px, face.phase_b, 0.0, 1.6)
    layers.add("skin", alpha * face.Mustache * 0.95, beard_colour(face) * (0.9 + 0.3 * grain))
