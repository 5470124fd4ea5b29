"""The hair of a drawn face, strand by strand."""

from .shapes import blob, colour, cover, ellipse, gradient, hsv, mix, step, strands

BLACK = ((0.05, 0.045, 0.05), (0.10, 0.085, 0.085))
BLOND = ((0.80, 0.62, 0.36), (0.90, 0.77, 0.52), (0.95, 0.88, 0.70))
BROWN = ((0.27, 0.16, 0.095), (0.36, 0.22, 0.12), (0.46, 0.29, 0.16))
# What none of the three names covers: copper to auburn, grey to white, and the odd dyed head.
COPPER = ((0.70, 0.31, 0.11), (0.62, 0.22, 0.10), (0.50, 0.15, 0.10))
GREY = ((0.48, 0.47, 0.48), (0.63, 0.62, 0.61), (0.78, 0.78, 0.79))


def hair_colour(face):
    """The hair's colour (B, 3, 1, 1): by attribute, and within the attribute's range by latent."""
    dyed = hsv((0.55 + 0.4 * face.shade) % 1, 0.35 + 0 * face.shade, 0.45 + 0.2 * face.grey)
    # Old heads whose colour has no name are mostly grey, young ones mostly red.
    is_grey = mix((face.other > 0.1).float(), (face.other > 0.8).float(), face.Young)
    unnamed = mix(gradient(face.shade, COPPER), gradient(face.grey, GREY), is_grey)
    hair = mix(unnamed, dyed, (face.other > 0.94).float() * face.Young)
    hair = mix(hair, gradient(face.black, BLACK), face.Black_Hair)
    hair = mix(hair, gradient(face.blond, BLOND), face.Blond_Hair)
    return mix(hair, gradient(face.brown, BROWN), face.Brown_Hair)


class HairShape:
    """Where the hair is and how it runs, all (B, 1, S, S).

    `outer` is the distance to its outline and `opening` the one to the window it leaves for the face, both
    upside-down Us about the head; `end` is positive below its tips. `flow` is constant along a strand,
    `along` runs down it; `bangs_flow` is the flow of the bangs. Short, tied or loose, as the latents say.
    """

    def __init__(self, face, canvas):
        self.tied = (face.tied > 0.8).float() * face.long * (1 - face.hat)
        self.loose = face.long * (1 - self.tied)
        self.curl = step(face.curl, 0.35, 0.95)
        self.part = (face.part - 0.5) * 0.5
        self.slant = (face.fringe - 0.5) * 0.35
        low, high = canvas.v.clamp(min=0), canvas.v.clamp(max=0)
        self.edge = self._edge(face, canvas)
        self.outer = self._outer(face, canvas, low, high)
        self.end = self._end(face, canvas)
        self.opening = self._opening(face, canvas, low, high)
        self._run(face, canvas, high)

    def _edge(self, face, canvas):
        """How far the outline strays: waves, and the fuzz of single strands."""
        u, v = canvas.u, canvas.v
        wave = (v * (9 + 8 * self.curl) + 4 * (u * 2 + face.phase_a * 6).sin() + 9 * face.phase_b).sin_()
        fuzz = (u * 31 + v * 23 + 20 * face.phase_c).sin_() * (u * 19 - v * 37).sin_()
        wavy, fuzzy = 0.008 + 0.028 * self.curl * (1 - 0.6 * self.tied), 0.005 + 0.009 * self.curl
        return wavy * wave + fuzzy * fuzz

    def _outer(self, face, canvas, low, high):
        volume = 0.05 + 0.06 * face.volume + 0.06 * self.curl - 0.04 * self.tied - 0.02 * face.hat
        # Cropped sides lie close to the head about the ears; loose hair spreads below them.
        close = (1 - self.loose) * step(canvas.v, -0.55, -0.05) * (1 - 0.7 * face.hat)
        spread = self.loose * (0.03 + 0.16 * face.volume) * step(low, 0.0, 0.8)
        width = 0.535 + volume * (1 - 0.85 * close) + spread
        rounded = canvas.u / (1 + 0.16 * (high / 0.9).square())
        return ellipse(rounded - 0.03 * self.part, high, width, 0.79 + volume) + self.edge

    def _end(self, face, canvas):
        u, v = canvas.u, canvas.v
        short = 0.06 + 0.10 * face.length + 0.10 * face.hat
        length = mix(short, 0.42 + 0.85 * face.length, face.long) * (1 - self.tied) + 0.10 * self.tied
        tips = 0.05 * (u * 13 + 9 * face.phase_a).sin_() + 0.025 * (u * 47 + u * u * 30).sin_()
        return v - length + tips * self.loose

    def _opening(self, face, canvas, low, high):
        """A squarish hairline: peaked under a middle parting, tilted under a side one."""
        u = canvas.u
        middle = (self.part.abs() < 0.08).float() * self.loose
        tilt = 0.5 * self.part * u * (1 - middle) * (0.4 + face.long)
        raised = high + (0.06 - 0.30 * u.abs()) * middle + tilt
        cropped = 0.515 - 0.03 * face.hairline - 0.045 * face.hat
        width = mix(cropped, 0.49 - 0.06 * face.fringe, self.loose)
        height = 0.50 + 0.07 * (face.hairline - 0.5) + 0.03 * face.tied
        p, q = (u / width).square_(), (raised.clamp_(max=0) / height).square_()
        sway = self.loose * (0.02 + 0.05 * (low * 5 + 6 * face.phase_b).sin_()) * (low * 4).clamp_(max=1)
        return ((p * p + q * q).sqrt_().sqrt_() - 1) * 0.50 + sway + 0.4 * self.edge

    def _run(self, face, canvas, high):
        """Short and tied hair fans out from the brow, loose hair falls from the parting."""
        u, v = canvas.u, canvas.v
        aside = 1.6 * (face.fringe - 0.5) * (1 - face.long)
        swept = u - 0.5 * self.part + aside * (v.clamp(max=-0.35) + 0.5)
        fan = 1.3 * swept / (0.62 - v).clamp(min=0.25)
        from_part = u - 0.4 * self.part
        fall = ((from_part / 0.56).square() + (high / 0.86).square()).sqrt_() * 0.9
        self.flow, self.bangs_flow = mix(fan, fall, self.loose), u * 1.3 + self.slant * v
        self.along = v + 0.3 * u.abs()
        above_brow = (v + 0.72).clamp(max=0) + (v + 0.5).clamp(min=0)
        self.parting = blob(from_part, above_brow, 0.02, 0.06) * self.loose


def hair_paint(face, canvas, shape, flow, root):
    """The hair's paint (B, 3, S, S): strands and locks, a sheen across the crown, dark roots, age's grey."""
    u, v = canvas.u, canvas.v
    grain = strands(flow * 1.5, shape.along, canvas.px, face.phase_a, 0.10 * shape.curl)
    side = 2 * face.light_x - 1
    sheen = blob(u * 0.6 - 0.22 * side, v + 0.66 - 0.35 * u * u, 0.34, 0.09)
    sheen = sheen + 0.5 * blob(u.abs() - 0.52, v - 0.25, 0.1, 0.3)
    light = 0.92 + 0.14 * side * u + 0.26 * grain + sheen * (0.30 + 0.25 * grain)
    light = (light - 0.42 * root - 0.3 * shape.parting).clamp_(0.25, 1.7)
    paint = hair_colour(face) * light + 0.11 * sheen * (0.8 + 0.5 * grain)
    temples = step(u.abs() + 0.25 * (v + 0.2), 0.30, 0.52) * 0.6 + 0.25
    named = face.Black_Hair + face.Blond_Hair + face.Brown_Hair
    grey = (1 - face.Young) * (1 - 0.4 * named) * (temples * (0.7 + 0.4 * grain)).clamp_(0, 0.85)
    return mix(paint, colour(u, (0.70, 0.69, 0.68)) * light, grey)


def hair_behind(face, canvas, layers, shape):
    """What falls behind the neck and shoulders, and the bun of tied hair."""
    u, v, px = canvas.u, canvas.v, canvas.px
    paint = hair_paint(face, canvas, shape, shape.flow, 0.72)
    alpha = cover(shape.outer.maximum(shape.end), px, 0.012)
    layers.add("hair", alpha * (1 - face.Bald) * shape.loose, paint)
    bun = ellipse(u - 0.7 * shape.part, v + 0.84, 0.23, 0.17) + 2 * shape.edge
    layers.add("hair", cover(bun, px, 0.012) * (1 - face.Bald) * shape.tied, paint * 1.35)


def hair_before(face, canvas, layers, shape):
    """The cap of hair, the locks beside the face, and the bangs."""
    u, v, px = canvas.u, canvas.v, canvas.px
    tips = 0.020 * (u * 34 + 5 * (u * 7 + 9 * face.phase_b).sin_()).sin_()
    tips = tips + 0.014 * (u * 71 + 9 * face.phase_c).sin_()
    hem = -0.215 + 0.06 * face.hat + 0.04 * (face.hairline - 0.5) + shape.slant * u + 0.18 * u * u + tips
    bangs = mix(1 + 0 * v, (v - hem).maximum(u.abs() - 0.52), face.Bangs)
    cap = shape.outer.maximum(shape.end).maximum((-shape.opening).minimum(bangs))
    in_bangs = (shape.opening < 0).float() * face.Bangs
    root = step(0.10 - shape.opening, 0.0, 0.10) * (1 - face.Bangs) * 0.6
    root = root + shape.loose * step(v, 0.1, 0.7) * 0.15
    paint = hair_paint(face, canvas, shape, mix(shape.flow, shape.bangs_flow, in_bangs), root)
    paint = paint * (1 - 0.25 * in_bangs * step(v - hem, -0.05, 0.0))
    layers.add("hair", cover(cap, px, 0.014) * (1 - face.Bald), paint)
