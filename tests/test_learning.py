"""The curve of a row over its training: measured once, gone on with, and honest about what is missing."""

import json
import os

import pytest
import torch

from maggan.basics import paths
from maggan.basics.errors import MagganError
from maggan.evaluate import Results, learning
from maggan.evaluate.judges import Judges
from maggan.evaluate.results import read_learning
from maggan.networks.judges import AttributeClassifier
from maggan.profiles import profile
from maggan.train import train

SMOKE = profile("smoke")


@pytest.fixture
def row(runs, monkeypatch):
    """A trained row of two snapshots, and an untrained judge."""
    torch.manual_seed(0)
    judge = AttributeClassifier(32, 4).eval()
    monkeypatch.setattr(learning, "load_judges", lambda *_: Judges(judge, None))
    monkeypatch.setattr(learning, "sha256_of", lambda file: "of the judge")
    train("maggan", "smoke", iterations=4)
    return runs


def test_every_snapshot_is_measured_on_the_validation_faces(row):
    curve = learning.learning("maggan", SMOKE, device="cpu")
    assert [point["iteration"] for point in curve["points"]] == [2, 4]
    for point in curve["points"]:
        assert point["faces"] == 16 and set(point["metrics"]) == {"mre", "mre_1.5", "accuracy_1.0", "accuracy_1.5"}
        each = [entry["mre"]["value"] for entry in point["per_attribute"].values()]
        assert sum(each) / 13 == pytest.approx(point["metrics"]["mre"]["value"], rel=1e-4)
    first, last = (point["metrics"]["mre"]["value"] for point in curve["points"])
    assert first != last
    assert read_learning("maggan", SMOKE) == curve


def test_half_a_curve_is_not_taken_for_a_whole_one(row):
    whole = learning.learning("maggan", SMOKE, device="cpu")
    for points in ([], whole["points"][:1]):
        paths.learning_file("maggan", SMOKE).write_text(json.dumps({**whole, "points": points}))
        with pytest.raises(MagganError, match="maggan-seed0.json is half measured: make learning PROFILE=smoke"):
            read_learning("maggan", SMOKE)


def test_what_is_measured_stays_and_new_weights_are_measured_anew(row, monkeypatch):
    whole = learning.learning("maggan", SMOKE, device="cpu")
    file = paths.learning_file("maggan", SMOKE)
    file.write_text(json.dumps({**whole, "points": whole["points"][:1]}))  # as an interrupted call leaves it
    measured, measure = [], learning.measure_snapshot
    monkeypatch.setattr(learning, "measure_snapshot", lambda *args: measured.append(1) or measure(*args))
    assert learning.learning("maggan", SMOKE, device="cpu") == whole and len(measured) == 1
    monkeypatch.setattr(learning, "sha256_of", lambda file: "of another judge")
    assert learning.learning("maggan", SMOKE, device="cpu")["points"] == whole["points"] and len(measured) == 3
    whole = read_learning("maggan", SMOKE)
    later = file.stat().st_mtime + 10
    os.utime(row / "smoke" / "maggan-seed0" / "snapshots" / "0000004.safetensors", (later, later))
    assert learning.learning("maggan", SMOKE, device="cpu") == whole and len(measured) == 5


def test_rows_without_a_curve_say_what_makes_one(row):
    with pytest.raises(MagganError, match="train the row: python -m maggan.train stgan smoke"):
        learning.learning("stgan", SMOKE, device="cpu")
    with pytest.raises(MagganError, match="make learning PROFILE=smoke"):
        read_learning("maggan", SMOKE)
    for file in (row / "smoke" / "maggan-seed0" / "snapshots").iterdir():
        file.unlink()
    with pytest.raises(MagganError, match="has no snapshots"):
        learning.learning("maggan", SMOKE, device="cpu")


def test_seeds_are_taken_together_point_by_point(row):
    curve = learning.learning("maggan", SMOKE, device="cpu")
    alone = Results(SMOKE).learning("maggan")
    assert [point["metrics"] for point in alone] == [point["metrics"] for point in curve["points"]]
    for point in curve["points"]:
        point["metrics"]["mre"]["value"] += 0.2
    paths.learning_file("maggan", SMOKE, 1).write_text(json.dumps({**curve, "seed": 1}))
    both = Results(SMOKE).learning("maggan")
    for one, two in zip(alone, both, strict=True):
        assert two["seeds"] == [0, 1] and "over seeds" in two["metrics"]["mre"]["interval"]
        assert two["metrics"]["mre"]["value"] == pytest.approx(one["metrics"]["mre"]["value"] + 0.1)
    shorter = {**curve, "points": curve["points"][1:]}
    paths.learning_file("maggan", SMOKE, 1).write_text(json.dumps(shorter))
    with pytest.raises(MagganError, match="maggan-seed1.json has other iterations than the seed before it"):
        Results(SMOKE).learning("maggan")
