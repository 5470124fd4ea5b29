"""Shapes with soft edges, strokes, strands, and layers painted over one another."""

import torch

from ..attributes import PARTS


class Canvas:
    """The pixel grid of a few faces: x, y in the image's frame, u, v in the face's own.

    All are (B, 1, S, S); x and y run from -1 to 1, right and down. In the face's frame the eyes are at v = 0
    and the chin near v = 0.8, whatever the head's tilt, place and size. `px` (B, 1, 1, 1) is a pixel there.
    """

    def __init__(self, size, tilt, scale, shift_x, shift_y):
        axis = (torch.arange(size, device=tilt.device) * 2 + 1) / size - 1
        self.size = size
        self.x = axis.view(1, 1, 1, size).expand(len(tilt), 1, size, size)
        self.y = axis.view(1, 1, size, 1).expand(len(tilt), 1, size, size)
        along, up = (self.x - shift_x) / scale, (self.y - shift_y) / scale
        cosine = 1 - 0.5 * tilt * tilt  # tilts stay below a tenth of a radian
        self.u = along * cosine + up * tilt
        self.v = up * cosine - along * tilt
        self.px = 2 / (size * scale)


def cover(distance, px, soft=0.0):
    """Coverage in [0, 1] of a shape whose signed distance (negative inside) is given: one pixel of ramp.

    `soft` widens the ramp by a length that does not depend on the resolution.
    """
    return (0.5 - distance / (px + soft)).clamp_(0, 1)


def ellipse(u, v, width, height):
    """Signed distance, near the rim, to an ellipse about the origin with the two half axes given."""
    p, q = u / width, v / height
    radius = (p * p + q * q).sqrt_()
    slope = ((p / width).square_() + (q / height).square_()).sqrt_().clamp_(min=1e-4)
    return radius * (radius - 1) / slope


def blob(u, v, width, height):
    """A smooth bump: 1 at the origin, 1/e at the two half axes."""
    return ((u / width).square_() + (v / height).square_()).neg_().exp_()


def stroke(offset, half_width, px, soft=0.0):
    """Coverage of a line drawn where `offset` is 0; one thinner than a pixel fades rather than breaks."""
    ramp = px + soft
    return ((half_width - offset.abs()) / ramp + 0.5).clamp_(0, 1) * (2 * half_width / ramp).clamp(max=1)


def step(value, low, high):
    """0 below `low`, 1 above `high`, smooth between."""
    t = ((value - low) / (high - low)).clamp_(0, 1)
    return t * t * (3 - 2 * t)


def strands(across, along, px, phase, curl=0.0, coarse=1.0):
    """Brightness of combed hair, about -1 to 1: waves across the strands that wander along them.

    Waves too fine for the pixels fade out, so that the same hair is drawn at every size.
    """
    bend = (along * 3.1 + phase * 9).sin_()
    across = across + 0.02 * bend + curl * (along * 15 + across * 5 + phase * 7).sin_()
    total = 0.5 * (across * (13 * coarse) + phase * 31 + bend).sin_()
    for number, (frequency, weight) in enumerate(((31, 0.45), (57, 0.4), (109, 0.3), (211, 0.25))):
        frequency = frequency * coarse
        seen = ((2.4 - frequency * px * (1 + 14 * curl)) / 1.2).clamp(0, 1)
        if seen.device.type != "cpu" or bool((seen > 0).any()):  # a GPU would have to be waited for
            wander = (along * (2.3 + number) + phase * (17 + 5 * number)).sin_()
            total = total + weight * seen * (across * frequency + 2.2 * wander + phase * 50).sin_()
    return total


def mix(a, b, amount):
    """a where `amount` is 0, b where it is 1."""
    return a + (b - a) * amount


def hsv(hue, saturation, value):
    """A colour (B, 3, 1, 1) from hue, saturation and value, each (B, 1, 1, 1) in [0, 1]."""
    offsets = hue.new_tensor([0.0, 2 / 3, 1 / 3]).view(1, 3, 1, 1)
    ramp = (((hue + offsets) % 1 * 6 - 3).abs() - 1).clamp(0, 1)
    return value * (1 - saturation * (1 - ramp))


def colour(like, *stops):
    """The colours `stops` (r, g, b in [0, 1]) as tensors (1, 3, 1, 1) beside the tensor `like`."""
    tensors = tuple(like.new_tensor(stop).view(1, 3, 1, 1) for stop in stops)
    return tensors if len(tensors) > 1 else tensors[0]


def gradient(amount, stops):
    """The colour at `amount` (B, 1, 1, 1) in [0, 1] along evenly spaced stops, (B, 3, 1, 1)."""
    stops = colour(amount, *stops)
    result = stops[0]
    for number, stop in enumerate(stops[1:]):
        result = mix(result, stop, (amount * (len(stops) - 1) - number).clamp(0, 1))
    return result


class Layers:
    """Layers in the order they are painted, back to front; each belongs to a part."""

    def __init__(self):
        self.layers = []

    def add(self, part, alpha, paint):
        """A layer of `part`: alpha (B, 1, S, S) in [0, 1], paint broadcastable to (B, 3, S, S)."""
        self.layers.append((PARTS.index(part), alpha, paint))

    def add_pair(self, left, right, leftness, alpha, paint):
        """A layer split between two parts: `leftness` (B, 1, S, S) is 1 where it is the left one's."""
        self.layers.append(((PARTS.index(left), PARTS.index(right), leftness), alpha, paint))

    def flatten(self, backdrop):
        """Paint all over the backdrop (B, 3, S, S): the image, and how much of each pixel each part shows.

        Walks front to back with what light is still let through, so that the parts sum to 1.
        """
        through = torch.ones_like(backdrop[:, :1])
        image = torch.zeros_like(backdrop)
        parts = backdrop.new_zeros(len(backdrop), len(PARTS), *backdrop.shape[2:])
        for part, alpha, paint in reversed(self.layers):
            share = through * alpha
            through -= share
            image += share * paint
            if isinstance(part, tuple):
                left, right, leftness = part
                on_left = share * leftness
                parts[:, left : left + 1] += on_left
                parts[:, right : right + 1] += share - on_left
            else:
                parts[:, part : part + 1] += share
        parts[:, :1] += through
        return image + through * backdrop, parts
