"""Today's code makes the bits that were recorded (`golden.py`): weights, a killed run, metrics, Table 3."""

import golden


def test_everything_is_as_recorded(tmp_path):
    lines, how = golden.compare(tmp_path)
    print(f"compared {how}")
    assert not lines, f"compared {how}:\n" + "\n".join(lines)


def test_a_difference_is_told():
    weights = {"sha256": "a", "length": 1.0}
    metrics = {"sha256": "a", "numbers": {"mre": 0.2}}
    recorded = {"weights stgan": weights, "metrics stgan": metrics}
    assert golden.differences(recorded, recorded, exact=True) == []
    bits = {**recorded, "weights stgan": {**weights, "sha256": "b"}}
    assert golden.differences(recorded, bits, exact=True) == ["weights stgan: other bits"]
    assert golden.differences(recorded, bits, exact=False) == []
    longer = {**recorded, "weights stgan": {"sha256": "b", "length": 1.01}}
    assert len(golden.differences(recorded, longer, exact=False)) == 1
    other = {**recorded, "metrics stgan": {"sha256": "b", "numbers": {"mre": 0.3}}}
    assert golden.differences(recorded, other, exact=False) == ["metrics stgan, mre: 0.3, recorded 0.2"]
    assert golden.differences(recorded, {"weights stgan": weights}, exact=False) == [
        "metrics stgan: is in only one of the two"
    ]
