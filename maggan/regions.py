"""From face parts to regions: eq. 4, 5, 12 and 13, and the influence regions of eq. 2.

`parts` are the source image's soft masks, (B, 19, H, W) in [0, 1] with sum 1 over the parts; `att_diff` is
(B, 13) of any strength, only its sign says which regions it influences.
"""

from functools import cache

import torch

from .attributes import relation_matrices


def _relations(like, table):
    """The relation's matrices, (13, 19) each, as `like` is."""
    if isinstance(table, str) and like.is_cuda and type(like) is torch.Tensor:
        return _on_gpu(table, like.device, like.dtype)
    plus, minus = relation_matrices(table)
    return plus.to(like), minus.to(like)


@cache
def _on_gpu(table, device, dtype):
    """Kept there: a step that is captured as a CUDA graph may copy nothing from the CPU."""
    return tuple(matrix.to(device, dtype) for matrix in relation_matrices(table))


def affected_parts(att_diff, table="paper"):
    """AR*, the parts that the change may influence (eq. 4).

    att_diff (B, 13); returns (B, 19) in {0, 1}.
    """
    plus, minus = _relations(att_diff, table)
    strengthened = (att_diff > 0).to(att_diff)
    weakened = (att_diff < 0).to(att_diff)
    return (strengthened @ plus + weakened @ minus).clamp(max=1)


def preserved_mask(parts, att_diff, table="paper"):
    """M, the probability that a pixel is to be preserved (eq. 5, summed over the 19 parts).

    parts (B, 19, H, W), att_diff (B, 13); returns (B, 1, H, W) in [0, 1].
    """
    influenced = torch.einsum("bp,bphw->bhw", affected_parts(att_diff, table), parts)
    return (1 - influenced).clamp(0, 1).unsqueeze(1)


def influence_regions(parts, table="paper"):
    """M+ and M- of eq. 2: where each attribute's change is likely to show when it is strengthened, weakened.

    parts (B, 19, H, W); returns two (B, 13, H, W) in [0, 1].
    """
    plus, minus = _relations(parts, table)
    return tuple(torch.einsum("ap,bphw->bahw", matrix, parts).clamp(0, 1) for matrix in (plus, minus))


def spatial_condition(parts, att_diff, table="paper"):
    """Att_diff, the mask-guided attribute condition (eq. 12): each change, only where it may act.

    parts (B, 19, H, W), att_diff (B, 13); returns (B, 13, H, W), channel i between 0 and att_diff_i.
    """
    plus, minus = _relations(parts, table)
    rows = torch.where((att_diff > 0).unsqueeze(2), plus, minus)  # (B, 13, 19): the relation of each sign
    regions = torch.einsum("bap,bphw->bahw", rows, parts).clamp(0, 1)
    return att_diff[:, :, None, None] * regions


def preserved_change(x, edited, preserved):
    """|M (x - edited)|: what changed where nothing should, the summand of eq. 2 and 3; either image may go first.

    x, edited (..., 3, H, W), preserved (..., 1, H, W) in [0, 1]; returns (..., 3, H, W).
    """
    return (preserved * (x - edited)).abs()


def blend(x, edited, preserved):
    """The blending trick (eq. 13): the source where it is to be preserved, the edit elsewhere.

    x, edited (B, 3, H, W) in [-1, 1]; preserved (B, 1, H, W) in [0, 1]; returns (B, 3, H, W).
    """
    return preserved * x + (1 - preserved) * edited
