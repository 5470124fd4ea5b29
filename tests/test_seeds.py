"""Several seeds of a row: read together, averaged, and said."""

import json

import numpy as np
import pytest

from maggan.basics.errors import MagganError
from maggan.evaluate import Results
from maggan.evaluate.seeds import OVER_SEEDS, over_seeds, spread
from maggan.profiles import profile
from maggan.report import claims, tables

KEYS = ("mre", "fid", "accuracy_1.0", "accuracy_1.5", "psnr", "ssim")


def entry(value, n=600):
    return {"value": value, "low": value - 0.001, "high": value + 0.001, "n": n, "interval": "bootstrap"}


def save(folder, slug, values, **changes):
    """One metrics file a seed, from the seed's MRE."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, mre in values.items():
        run = {
            "row": slug, "seed": seed, "faces": 600, "size": 64, "iterations": 2600, "table": "paper", "notes": [],
            "metrics": {key: entry(mre if key == "mre" else 0.8) for key in KEYS},
            "per_attribute": {"Bald": {"mre": entry(2 * mre)}},
            "curve": [{"strength": 1.0, "accuracy": entry(0.8), "mre": entry(mre)}],
        }  # fmt: skip
        (folder / f"{slug}-seed{seed}.json").write_text(json.dumps(run | (changes if seed == 1 else {})))


@pytest.fixture
def metrics(tmp_path, monkeypatch):
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path))
    return tmp_path / "drawn64" / "metrics"


def of(name="drawn64"):
    """What lies on the disk of a profile now."""
    return Results(profile(name))


def read():
    return of().yours


def test_numbers_of_several_seeds_are_means_with_an_interval_over_seeds(metrics):
    save(metrics, "maggan", {0: 0.02, 1: 0.03, 10: 0.04})
    run = read()["maggan"]
    assert run["seeds"] == [0, 1, 10]
    mre = run["metrics"]["mre"]
    assert mre["value"] == pytest.approx(0.03) and mre["interval"] == OVER_SEEDS
    logs = np.log([0.02, 0.03, 0.04])
    faces = 0.001 / 1.96 / 0.03
    reach = 4.303 * (logs.var(ddof=1) / 3 + faces**2) ** 0.5
    assert [mre["low"], mre["high"]] == pytest.approx([0.03 * np.exp(-reach), 0.03 * np.exp(reach)], rel=1e-3)
    assert run["per_attribute"]["Bald"]["mre"]["value"] == pytest.approx(0.06)
    assert run["curve"][0]["strength"] == 1.0 and run["curve"][0]["mre"]["value"] == pytest.approx(0.03)


def test_a_row_of_one_seed_has_the_deviation_of_those_that_have_more(metrics):
    save(metrics, "maggan", {0: 0.02, 1: 0.022})
    save(metrics, "stgan", {0: 0.06, 1: 0.066})
    save(metrics, "stgan-mre", {0: 0.03})
    save(metrics, "no-edit", {0: 0.0})
    found = read()
    variance = 4 * (np.log(1.1) / 2) ** 2 / 2  # each two seeds are 10 % apart, with two degrees of freedom
    reach = 4.303 * (variance + (0.001 / 1.96 / 0.03) ** 2) ** 0.5
    lone = found["stgan-mre"]["metrics"]["mre"]
    assert lone["high"] == pytest.approx(0.03 * np.exp(reach), rel=1e-3)
    assert lone["interval"] == OVER_SEEDS
    assert found["no-edit"]["metrics"]["mre"] == entry(0.0)  # nothing that is trained


def test_no_interval_leaves_its_range(metrics):
    save(metrics, "maggan", {0: 0.02, 1: 0.02})
    rows = [[{"accuracy_1.0": entry(0.9), "ssim": entry(0.9)}, {"accuracy_1.0": entry(1.0), "ssim": entry(1.0)}]]
    for name in ("accuracy_1.0", "ssim"):
        assert spread(name, rows).freedom == 1
        wide = over_seeds(rows[0], rows)[name]
        assert wide["high"] == 1 and wide["low"] == max(wide["low"], 0 if name == "accuracy_1.0" else -1)


def test_one_seed_is_that_seeds_own_numbers(metrics):
    save(metrics, "maggan", {2: 0.02})
    run = read()["maggan"]
    assert run["seeds"] == [2] and run["metrics"]["mre"] == entry(0.02)


def test_a_number_that_one_seed_lacks_is_null_and_a_metric_is_left_out():
    two = [{"a": entry(1.0), "b": entry(1.0)}, {"a": {**entry(1.0), "value": None}}]
    combined = over_seeds(two)
    assert set(combined) == {"a"} and combined["a"]["value"] is combined["a"]["low"] is None


def test_seeds_are_kept_beside_their_mean_and_a_ruler_that_cannot_judge_stays_marked(metrics):
    save(metrics, "maggan", {0: 0.02, 3: 0.04})
    seeds = of().seeds["maggan"]
    assert {seed: run["metrics"]["mre"] for seed, run in seeds.items()} == {0: entry(0.02), 3: entry(0.04)}
    two = [{"a": entry(1.0)}, {"a": {**entry(2.0), "cannot_judge": "why"}}]
    assert over_seeds(two)["a"]["cannot_judge"] == "why" and "cannot_judge" not in over_seeds(two[:1] * 2)["a"]


def test_rows_whose_names_begin_alike_are_kept_apart(metrics):
    save(metrics, "maggan", {0: 0.02})
    save(metrics, "maggan-seg", {0: 0.05, 1: 0.07})
    found = read()
    assert found["maggan"]["seeds"] == [0] and found["maggan-seg"]["seeds"] == [0, 1]


def test_seeds_that_were_trained_differently_are_not_averaged(metrics):
    save(metrics, "maggan", {0: 0.02, 1: 0.03}, iterations=100)
    with pytest.raises(MagganError, match='maggan-seed1.json has other iterations .* SEEDS="0 1"'):
        read()


def test_the_table_and_the_claims_say_which_rows_have_several_seeds(metrics):
    save(metrics, "stgan", {0: 0.05})
    save(metrics, "maggan", {0: 0.02, 1: 0.021, 2: 0.022})
    table = tables.as_text("table3", of())
    assert table.loc["(vi) MagGAN", ("", "run")] == "600 faces, 2600 iterations, 3 seeds"
    assert table.loc["(vi) MagGAN", ("MRE ↓", "yours")].startswith("0.0210 ±0.00")
    assert table.loc["(i) STGAN", ("", "run")] == "600 faces, 2600 iterations"
    assert "one deviation of seeds" in " ".join(tables.notes("table3", of()))
    assert "one deviation of seeds, from those with several: maggan (3)" in claims.write_claims(of()).read_text()
