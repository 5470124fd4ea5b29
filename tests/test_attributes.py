"""The relation tables, and the two kinds of flips."""

import pytest
import torch

from maggan.attributes import (
    ATTRIBUTES,
    NEVER_EDITABLE,
    PAIRS,
    PARTS,
    RELATIONS,
    read_relations,
    relation_matrices,
    released_flips,
    single_flips,
)
from maggan.basics.errors import MagganError


def named(row):
    return {part for part, related in zip(PARTS, row.tolist(), strict=True) if related}


def test_rows_that_the_paper_prints():
    plus, minus = relation_matrices()
    bald, pale = ATTRIBUTES.index("Bald"), ATTRIBUTES.index("Pale_Skin")
    assert named(plus[bald]) == {"hair"}
    assert named(minus[bald]) == {"background", "skin", "l_ear", "r_ear", "ear_r"}
    assert named(plus[pale]) == named(minus[pale]) == {"skin"}


def test_no_row_touches_hat_cloth_or_necklace_and_pairs_stay_together():
    for table in ("paper", "extended"):
        for matrix in relation_matrices(table):
            assert matrix.shape == (13, 19) and set(matrix.unique().tolist()) <= {0.0, 1.0}
            assert (matrix.sum(1) > 0).all()
            assert matrix[:, [PARTS.index(name) for name in NEVER_EDITABLE]].sum() == 0
            for left, right in PAIRS:
                assert torch.equal(matrix[:, PARTS.index(left)], matrix[:, PARTS.index(right)])


def test_extended_table_differs_in_pale_skin_alone():
    for paper, extended in zip(relation_matrices("paper"), relation_matrices("extended"), strict=True):
        differing = (paper != extended).any(1).nonzero().flatten().tolist()
        assert differing == [ATTRIBUTES.index("Pale_Skin")]
        assert named(extended[differing[0]]) == {"skin", "nose", "l_ear", "r_ear", "neck"}


def test_callers_cannot_change_the_table():
    relation_matrices()[0].zero_()
    assert relation_matrices()[0].sum() > 0


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("paper,Bald,+,hair", "paper,Blad,+,hair", "line 2: unknown attribute 'Blad': did you mean 'Bald'?"),
        ("paper,Bald,+,hair", "paper,Bald,+,hiar", "line 2: unknown part 'hiar': did you mean 'hair'?"),
        ("paper,Bald,+,hair", "paper,Bald,+,hair hat", "hat is never editable"),
        ("paper,Bald,+,hair", "paper,Bald,+,hair l_ear", "both l_ear and r_ear"),
        ("paper,Bald,+,hair", "paper,Bald,*,hair", "the sign must be"),
        ("paper,Bald,+,hair\n", "", "no row for Bald +"),
    ],
)
def test_a_bad_relations_file_is_named_with_its_line(tmp_path, old, new, expected):
    file = tmp_path / "relations.csv"
    file.write_text(RELATIONS.read_text().replace(old, new, 1))
    with pytest.raises(MagganError) as error:
        read_relations(file, "paper")
    assert expected in str(error.value) and str(file) in str(error.value)


def test_unknown_table_names_the_nearest():
    with pytest.raises(MagganError, match="did you mean 'extended'"):
        relation_matrices("extnded")


def test_single_flips_reverse_one_attribute_each():
    attributes = torch.tensor([[0.0, 1.0] * 6 + [1.0]])
    flips = single_flips(attributes, 1.5)
    assert (flips != 0).sum() == 13
    assert torch.equal(flips[0].diagonal(), 1.5 * (1 - 2 * attributes[0]))


def test_released_flips_release_only_what_conflicts_and_only_when_switched_on():
    index = ATTRIBUTES.index
    face = torch.zeros(1, 13)
    face[0, index("Brown_Hair")] = face[0, index("Bangs")] = 1
    flips = released_flips(face, 1.5)[0]
    blond = flips[index("Blond_Hair")]
    assert blond[index("Blond_Hair")] == 1.5 and blond[index("Brown_Hair")] == -1 and (blond != 0).sum() == 2
    bald = flips[index("Bald")]
    assert bald[index("Bald")] == 1.5 and bald[index("Bangs")] == -1 and (bald != 0).sum() == 2
    brown = flips[index("Brown_Hair")]  # switched off: releases nothing
    assert brown[index("Brown_Hair")] == -1.5 and (brown != 0).sum() == 1
