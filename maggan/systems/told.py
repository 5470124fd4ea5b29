"""What peers have in common that are told the target's attributes, not the change.

att_diff reaches them like every system, and the target is the source's attributes plus it, so a change of 1.5
overshoots the target, as in AttGAN's published test.
"""

from ..basics.errors import MagganError


def known(attributes, config):
    """The source's attributes (B, 13); MagganError where nobody passed them."""
    if attributes is None:
        raise MagganError(f"row {config.variant} is told the target's attributes: pass those of the images.")
    return attributes


def on_grid(attributes, like):
    """Attributes (B, C) as constant planes (B, C, h, w) on the grid of `like`."""
    return attributes[:, :, None, None].expand(-1, -1, *like.shape[-2:])
