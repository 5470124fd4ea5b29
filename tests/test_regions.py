"""Eq. 4, 5, 12 and 13 against hand-made cases."""

import pytest
import torch

from maggan.attributes import ATTRIBUTES, PARTS, relation_matrices
from maggan.regions import affected_parts, blend, influence_regions, preserved_mask, spatial_condition


@pytest.fixture
def parts():
    draw = torch.Generator().manual_seed(0)
    return torch.rand(3, 19, 8, 8, generator=draw).softmax(1)


def change(**values):
    att_diff = torch.zeros(1, 13)
    for name, value in values.items():
        att_diff[0, ATTRIBUTES.index(name)] = value
    return att_diff


def only(part, size=4):
    parts = torch.zeros(1, 19, size, size)
    parts[:, PARTS.index(part)] = 1
    return parts


def test_affected_parts_is_a_union_whatever_the_strength():
    plus, minus = relation_matrices()
    both = affected_parts(change(Bald=0.3, Pale_Skin=-1.5))
    expected = torch.maximum(plus[ATTRIBUTES.index("Bald")], minus[ATTRIBUTES.index("Pale_Skin")])
    assert torch.equal(both[0], expected)
    assert affected_parts(torch.zeros(2, 13)).sum() == 0


def test_nothing_changes_so_everything_is_preserved(parts):
    assert torch.equal(preserved_mask(parts, torch.zeros(3, 13)), torch.ones(3, 1, 8, 8))


def test_a_hat_is_preserved_from_every_change():
    hat = only("hat").expand(26, -1, -1, -1)
    every = torch.cat([torch.eye(13), -torch.eye(13)])
    assert torch.equal(preserved_mask(hat, every), torch.ones(26, 1, 4, 4))


def test_bald_frees_hair_one_way_and_background_the_other():
    assert preserved_mask(only("hair"), change(Bald=1)).max() == 0
    assert preserved_mask(only("hair"), change(Bald=-1)).min() == 1
    assert preserved_mask(only("background"), change(Bald=-1)).max() == 0


def test_influence_regions_are_what_a_single_change_leaves_unpreserved(parts):
    plus, minus = influence_regions(parts)
    assert plus.shape == minus.shape == (3, 13, 8, 8)
    for i in range(13):
        unit = torch.eye(13)[i].expand(3, 13)
        torch.testing.assert_close(plus[:, i : i + 1], 1 - preserved_mask(parts, unit))
        torch.testing.assert_close(minus[:, i : i + 1], 1 - preserved_mask(parts, -unit))


def test_spatial_condition_puts_each_change_into_its_region(parts):
    att_diff = torch.tensor([[1.5, -1.0, 0.0] + [0.0] * 10]).expand(3, 13)
    condition = spatial_condition(parts, att_diff)
    plus, minus = influence_regions(parts)
    torch.testing.assert_close(condition[:, 0], 1.5 * plus[:, 0])
    torch.testing.assert_close(condition[:, 1], -minus[:, 1])
    assert condition[:, 2:].abs().max() == 0


def test_blend_keeps_the_source_where_it_is_preserved():
    x, edited = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    preserved = torch.zeros(1, 1, 4, 4)
    preserved[..., :2] = 1
    mixed = blend(x, edited, preserved)
    assert mixed[..., :2].max() == 0 and mixed[..., 2:].min() == 1
