"""The features of a drawn face: eyes, brows, nose, mouth, and the glasses before them."""

from .shapes import blob, colour, cover, ellipse, gradient, hsv, mix, step, strands, stroke

IRIS = ((0.16, 0.09, 0.05), (0.32, 0.19, 0.09), (0.42, 0.36, 0.18), (0.28, 0.45, 0.38), (0.30, 0.48, 0.66))
FRAMES = ((0.06, 0.06, 0.07), (0.10, 0.08, 0.08), (0.38, 0.17, 0.10), (0.55, 0.08, 0.12), (0.12, 0.16, 0.34))


class Features:
    """Where the features sit: coordinates shifted by the head's yaw, mirrored about the middle.

    `u` is the turned u; `side` is -1 left of the nose and 1 right of it; `eye` runs from the eye's centre
    outwards, so that one expression draws both eyes.
    """

    def __init__(self, face, canvas):
        self.u = canvas.u - 0.05 * (2 * face.yaw - 1)
        self.v = canvas.v
        self.px = canvas.px
        self.left = (self.u < 0).float()
        self.side = 1 - 2 * self.left
        self.gap = 0.220 + 0.014 * (face.eye_gap - 0.5)
        self.eye = self.u * self.side - self.gap
        lean = 0.012 * (face.asymmetry - 0.5) * self.side
        self.eye_v = self.v + lean + 0.12 * (face.eye_slant - 0.4) * self.eye


def eyes(face, canvas, layers, at, skin):
    x, v, px = at.eye, at.eye_v, at.px
    half = 0.116 + 0.012 * (face.eye_size - 0.5)
    height = 0.055 + 0.014 * (face.eye_size - 0.5) + 0.011 * (1 - face.Male) - 0.008 * (1 - face.Young)
    bow = 1 - (x / half) ** 2
    upper, lower = -height * bow * (1 - 0.25 * x / half), 0.72 * height * bow * (1 + 0.2 * x / half)
    alpha = cover((upper - v).maximum(v - lower), px) * cover(x.abs() - half, px)
    ahead = at.side * (x - at.side * 0.05 * (face.gaze_x - 0.5))
    rim = ellipse(ahead, v + 0.006 + 0.016 * (face.gaze_y - 0.5), 0.051, 0.051)  # of the iris
    paint = colour(x, (0.93, 0.92, 0.91)) * (1 - 0.35 * step(0.035 - (v - upper), 0.0, 0.04))
    iris = gradient(face.iris, IRIS) * (0.75 + 0.5 * step(v, -0.03, 0.04)) * (1 - 0.4 * step(rim, -0.02, 0.0))
    paint = mix(paint, iris, cover(rim, px))
    paint = mix(paint, colour(x, (0.02, 0.02, 0.03)), cover(rim + 0.028, px, 0.004))
    glint = cover(ellipse(ahead + 0.02 * (1 - 2 * face.light_x), v + 0.022, 0.014, 0.014), px)
    layers.add_pair("l_eye", "r_eye", at.left, alpha, mix(paint, 1 + 0 * paint, 0.95 * glint))
    lids(face, layers, at, skin, half, upper, lower)


def lids(face, layers, at, skin, half, upper, lower):
    """Lashes, the fold above them and, in women, eye shadow; they belong to the skin."""
    x, v, px = at.eye, at.eye_v, at.px
    within = cover(x.abs() - half - 0.012, px)
    woman = 1 - face.Male
    crease = stroke(v - 1.35 * upper + 0.026, 0.010, px, 0.01) * within * (x.abs() < half)
    layers.add("skin", 0.35 * crease * (1 - 0.5 * face.Pale_Skin), skin * colour(x, (0.45, 0.33, 0.30)))
    shadow = hsv((0.95 + 0.2 * face.lipstick) % 1, 0.45, 0.42 + 0 * face.lipstick)
    made_up = step(v - 1.5 * upper, -0.055, -0.01) * step(upper - v, -0.01, 0.01) * within
    layers.add("skin", (0.15 + 0.35 * face.lipstick) * woman * made_up, shadow)
    lash = stroke(v - upper, 0.009 + 0.010 * woman * (0.6 + 0.4 * x / half), px) * within
    wing = stroke(v + 0.55 * (x - half) - 0.002, 0.011, px)
    wing = wing * step(x - half, -0.03, 0.0) * step(0.035 - x + half, 0, 0.03)
    line = (lash * (0.75 + 0.2 * woman) + wing * woman).clamp_(0, 1)
    layers.add("skin", line, colour(x, (0.07, 0.05, 0.05)))
    below = stroke(v - lower, 0.007, px) * within * (0.3 + 0.25 * woman)
    layers.add("skin", below, skin * colour(x, (0.40, 0.30, 0.28)))


def brows(face, canvas, layers, at):
    x, px = at.eye + 0.005, at.px
    half = 0.142
    bushy = face.Bushy_Eyebrows
    height = 0.168 + 0.018 * (face.brow_height - 0.5) - 0.024 * face.Male + 0.010 * bushy
    arch = (0.020 + 0.020 * face.brow_arch) * (1 - 0.5 * face.Male)
    along = (x / half).clamp(-1, 1)
    bow = -height - arch * (1 - (along - 0.3) ** 2) + 0.02 * (1 - face.Young) * along
    taper = 1 - 0.45 * (along + 0.2).clamp(min=0) - 0.15 * (along < -0.85)
    thick = 0.013 + 0.005 * face.brow_thick + 0.008 * face.Male + 0.027 * bushy
    tone = gradient(face.brow_tone.clamp(0, 1), ((0.05, 0.04, 0.04), (0.25, 0.16, 0.10), (0.52, 0.38, 0.24)))
    tone = tone * (1 - 0.35 * bushy)
    grain = strands(x * 1.2 + at.v * 1.5, x, px, face.phase_a, 0.0, 2.0)
    alpha = stroke(at.v + 0.012 * (face.asymmetry - 0.5) * at.side - bow, thick * taper, px, 0.006)
    alpha = alpha * cover(x.abs() - half, px, 0.03) * (0.72 + 0.14 * face.Male + 0.22 * bushy).clamp(max=0.97)
    layers.add_pair("l_brow", "r_brow", at.left, alpha, tone * (1 + 0.35 * grain))


def nose(face, canvas, layers, at, skin, head_paint):
    """The nose has the head's paint; its own shading lies on it, so it stands out by light alone."""
    u, v, px = at.u - 0.02 * (2 * face.yaw - 1), at.v, at.px
    reach = u.abs()
    width = 0.112 + 0.020 * face.nose_width + 0.022 * face.Male
    base = 0.245 + 0.025 * (face.nose_length - 0.5)
    t = ((v + 0.06) / (base + 0.06)).clamp(0, 1)
    side = reach - (0.036 + 0.008 * face.Male) - (width - 0.05) * t**3
    shape = side.maximum(v - base - 0.02 + 0.6 * reach * reach).maximum(-0.08 - v)
    lamp = 1 - 2 * face.light_x  # the shadow falls on the side away from the lamp
    light = 1 - 0.24 * blob(u - 0.075 * lamp, v - 0.10, 0.035, 0.13)
    light -= 0.07 * blob(u + 0.075 * lamp, v - 0.02, 0.03, 0.12)
    light += 0.14 * blob(u + 0.01 * lamp, v - 0.07, 0.022, 0.14) + 0.16 * blob(u, v - 0.185, 0.030, 0.03)
    light -= 0.28 * stroke(reach - width + 0.012, 0.010, px, 0.015) * step(v, base - 0.08, base - 0.04)
    light -= 0.28 * blob(u, v - base - 0.022, 0.07, 0.016)
    paint = head_paint * light
    holes = ellipse(reach - 0.046 - 0.008 * face.Male, v - base - 0.002, 0.026, 0.013)
    paint = mix(paint, skin * 0.28, 0.85 * cover(holes, px, 0.008))
    layers.add("nose", cover(shape, px, 0.03), paint)


def mouth(face, canvas, layers, at, skin):
    """Lips, and between those of an open mouth the dark, the teeth and the tongue."""
    u, px, open_ = at.u - 0.005 * (2 * face.yaw - 1), at.px, face.Mouth_Slightly_Open
    half = 0.188 + 0.022 * (face.mouth_width - 0.5) + 0.008 * open_
    m = u / half
    bow = (1 - m * m).clamp(min=-1)
    v = at.v - 0.445 - 0.02 * (face.mouth_height - 0.5)
    v = v + (0.055 * face.smile + 0.01 * open_ + 0.004) * (m * m - 0.35)
    gap = open_ * (0.135 + 0.035 * face.gap)
    inner = (1 - (m / 0.93) ** 2).clamp_(min=0)  # the lips close round the corners of an open mouth
    above, below = -0.28 * gap * inner, 0.72 * gap * inner.sqrt()
    full = (0.75 + 0.5 * face.lip_full) * (1 - 0.30 * (1 - face.Young)) * (1 - 0.24 * face.Male)
    cupid = 1 + 0.35 * bow - 0.5 * blob(m, 0 * m, 0.16, 1.0)
    upper = above - 0.010 * open_ - 0.056 * full * bow * cupid
    lower = below + 0.010 * open_ + 0.072 * full * mix(bow, bow.clamp(min=0).sqrt(), 0.6)
    within = cover(u.abs() - half, px)

    inside = mouth_inside(m, v - above, v - below, gap)
    layers.add("mouth", cover((above - v).maximum(v - below), px) * within * open_, inside)
    tint = lip_colour(face, skin)
    shine = 0.18 * blob(m + 0.1, v - below - 0.035, 0.4, 0.014) * (1 - 0.5 * face.Male)
    relief = 1 - 0.14 * step(v - below, 0.03, 0.08)
    layers.add("u_lip", cover((upper - v).maximum(v - above), px) * within, tint * 0.86)
    layers.add("l_lip", cover((below - v).maximum(v - lower), px) * within, tint * relief + shine)
    seam = stroke(v, 0.009, px, 0.004) * cover(u.abs() - half - 0.008, px) * (1 - open_)
    layers.add("u_lip", 0.8 * seam, tint * 0.32)


def mouth_inside(m, from_upper, from_lower, gap):
    """The paint inside an open mouth: teeth hang from the upper rim, the tongue lies on the lower."""
    dark, tongue, enamel = colour(m, (0.20, 0.05, 0.05), (0.66, 0.29, 0.29), (0.96, 0.94, 0.90))
    paint = mix(dark, tongue, step(from_lower + 0.035, -0.02, 0.02) * 0.8)
    teeth = step(0.44 * gap * (1 - 0.6 * m * m) - from_upper, -0.010, 0.010) * step(0.90 - m.abs(), 0.0, 0.25)
    return mix(paint, enamel * (1 - 0.22 * m * m), teeth * 0.97)


def lip_colour(face, skin):
    """Bare lips in men, more or less lipstick in women."""
    bare = skin * colour(skin, (0.90, 0.66, 0.64))
    stick = hsv((0.965 + 0.05 * face.lipstick) % 1, 0.62 + 0.15 * face.lipstick, 0.78 - 0.1 * face.lipstick)
    return mix(mix(bare, stick, 0.38 + 0.45 * face.lipstick), bare, face.Male)


def glasses(face, canvas, layers, at):
    """Round or square frames, clear or dark glass."""
    x, v, px, on = at.eye, at.v - 0.012, at.px, face.Eyeglasses
    wide, tall = 0.175, 0.105 + 0.045 * face.glasses_kind
    p, q = (x / wide).square(), (v / tall).square()
    round_ = 0.7 * (face.glasses_kind > 0.5)
    rim = (mix(p * p + q * q, p + q, round_).sqrt_() - 1) * tall * 0.6
    dark = (face.shades < 0.22).float()
    streak = stroke(x * at.side + 0.8 * v - 0.04 * (2 * face.light_x - 1), 0.02, px, 0.03) * (1 - 0.5 * dark)
    clear = colour(x, (0.86, 0.91, 0.95))
    tint = mix(clear, colour(x, (0.07, 0.06, 0.07)) + 0.12 * (v + tall), dark)
    tint = mix(tint, 1 + 0 * tint, streak * (1 - 0.7 * dark))
    layers.add("eye_g", cover(rim, px) * on * (0.10 + 0.22 * streak + 0.74 * dark).clamp_(0, 0.95), tint)
    frame = stroke(rim, 0.017 + 0.008 * (face.glasses_tone < 0.5), px)
    bridge = stroke(v + 0.03, 0.013, px) * cover(x + wide - 0.015, px)
    arm = stroke(v + 0.04, 0.013, px) * cover(wide - 0.01 - x, px) * cover(x - 0.27, px)
    tone = gradient(face.glasses_tone, FRAMES) * (1 + 0.5 * step(-v, 0.05, 0.12))
    layers.add("eye_g", frame.maximum(bridge).maximum(arm) * on, tone)
