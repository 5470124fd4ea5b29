"""The paper's claims: each predicate goes both ways, and nothing is judged without its runs."""

import json

import pytest

from maggan.evaluate import Results
from maggan.profiles import profile
from maggan.report import claims
from maggan.variants import VARIANTS

# the paper's own Table 3 at 256 px, as if it were ours: what the paper says must come out of what the paper measured
PAPER = {
    "stgan": (0.0530, 1.21, 0.904, 37.61, 0.959),
    "stgan-cycle": (0.0530, 1.31, 0.873, 36.14, 0.970),
    "stgan-mre": (0.0289, 1.33, 0.956, 38.48, 0.984),
    "maggan-no-mre": (0.0397, 1.22, 0.896, 39.35, 0.980),
    "maggan-no-spade": (0.0161, 1.23, 0.899, 40.40, 0.982),
    "maggan": (0.0163, 1.10, 0.900, 40.25, 0.984),
    "maggan-seg": (0.0612, 2.39, 0.903, 40.10, 0.983),
}
KEYS = ("mre", "fid", "accuracy_1.5", "psnr", "ssim")


def save(folder, rows, width=0.001, hats=None):
    folder.mkdir(parents=True, exist_ok=True)
    for slug, values in rows.items():
        keys = ("accuracy_1.5_with_hat", "accuracy_1.5_without_hat")
        hair = dict(zip(keys, (hats or {}).get(slug, ()), strict=False))
        per_attribute = {
            name: {key: {"value": v, "low": v - 0.005, "high": v + 0.005, "n": 50} for key, v in hair.items()}
            for name in claims.HAIR
        }
        metrics = {
            key: {"value": v, "low": v * (1 - width), "high": v * (1 + width), "n": 600}
            for key, v in zip(KEYS, values, strict=True)
        }
        row = {"metrics": metrics, "per_attribute": per_attribute, "notes": []}
        (folder / f"{slug}-seed0.json").write_text(json.dumps(row))


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path))
    return tmp_path


def of(name="drawn64"):
    """What lies on the disk of a profile now."""
    return Results(profile(name))


def verdicts(name):
    return {each["number"]: each["verdict"] for each in claims.judge(of(name))}


def test_there_are_18_and_none_is_judged_without_runs(results):
    judged = claims.judge(of())
    assert [each["number"] for each in judged] == list(range(1, 19))
    assert {each["verdict"] for each in judged} == {"not run"}
    assert judged[0]["numbers"] == "make row ROW=stgan-mre PROFILE=drawn64"


def test_the_papers_numbers_support_what_the_paper_says_of_them(results):
    assert list(PAPER) == list(VARIANTS)
    save(results / "drawn64" / "metrics", PAPER)
    judged = verdicts("drawn64")
    assert {number for number, verdict in judged.items() if verdict == "supported"} == set(range(1, 11))
    assert {number for number, verdict in judged.items() if verdict == "not run"} == set(range(11, 19))


def test_the_opposite_supports_nothing(results):
    mirror = (0.1, 4, 1.85, 80, 1.9)  # what was larger becomes smaller
    opposite = {slug: [m - v for m, v in zip(mirror, values, strict=True)] for slug, values in PAPER.items()}
    save(results / "drawn64" / "metrics", opposite)
    judged = verdicts("drawn64")
    assert [judged[number] for number in (1, 2, 3, 4, 7, 8, 9, 10)] == ["not supported"] * 8


@pytest.mark.parametrize(
    ("row", "column", "value", "number"),
    [("maggan-no-spade", 0, 0.0133, 5), ("maggan-no-spade", 0, 0.0190, 5), ("maggan", 2, 0.88, 6)],
)
def test_what_should_stay_and_moves_is_not_supported(results, row, column, value, number):
    values = list(PAPER[row])
    values[column] = value
    save(results / "drawn64" / "metrics", PAPER | {row: values})
    assert verdicts("drawn64")[number] == "not supported"


def test_a_missing_interval_is_no_verdict(results):
    folder = results / "drawn64" / "metrics"
    save(folder, PAPER)
    row = json.loads((folder / "maggan-seed0.json").read_text())
    row["metrics"]["fid"] |= {"low": None, "high": None}
    (folder / "maggan-seed0.json").write_text(json.dumps(row))
    judged = verdicts("drawn64")
    assert judged[8] == judged[10] == "not run" and judged[3] == "supported"


def test_intervals_that_overlap_support_no_order(results):
    save(results / "drawn64" / "metrics", PAPER, width=0.8)
    judged = verdicts("drawn64")
    assert [judged[number] for number in range(1, 11)] == ["not supported"] * 10


def test_sizes_and_peers(results):
    sizes = {128: "drawn128", 256: "drawn256", 512: "drawn512"}
    table1 = ((0.0163, 1.1, 0.9, 40.25, 0.984), (0.0141, 1.2, 0.891, 41.42, 0.987), (0.0130, 1.31, 0.91, 42.94, 0.994))
    for name, values in zip(sizes.values(), table1, strict=True):
        save(results / name / "metrics", {"maggan": values})
    peers = {"attgan": (0.0713, 10.23, 0.649, 24.07, 0.841), "stgan": (0.0627, 7.75, 0.858, 31.67, 0.948)}
    peers |= {slug: (0.1, 9, value, 20, 0.8) for slug, value in (("icgan", 0.3), ("fadernet", 0.4), ("stargan", 0.6))}
    save(results / "drawn128" / "metrics", peers)
    judged = verdicts("drawn128")
    assert judged[12] == judged[13] == judged[14] == "supported"
    save(results / "drawn128" / "metrics", {
        "icgan": (0.1, 9, 0.95, 20, 0.8), "attgan": (0.05, 10.23, 0.649, 24.07, 0.8)
    })  # fmt: skip
    save(results / "drawn512" / "metrics", {"maggan": (0.0150, 1.31, 0.91, 42.94, 0.994)})
    judged = verdicts("drawn128")
    assert judged[12] == judged[13] == judged[14] == "not supported"
    save(results / "drawn1024" / "metrics", {"maggan": table1[0]})
    assert claims.judge(of("drawn1024"))[11]["numbers"] == "there is no profile 2 times the size of drawn1024"


@pytest.mark.parametrize(
    ("stgan", "maggan", "verdict"),
    [
        ((0.8, 0.9), (0.6, 0.9), "supported"),
        ((0.8, 0.9), (0.8, 0.9), "not supported"),
        ((0.8, 0.9), (0.6, 0.8), "not supported"),
        ((0.8, 0.9), (), "not run"),
    ],
)
def test_hats(results, stgan, maggan, verdict):
    save(results / "drawn64" / "metrics", PAPER, hats={"stgan": stgan, "maggan": maggan})
    assert verdicts("drawn64")[11] == verdict


def test_intervals_of_differences_and_ratios():
    a, b = claims.Value(4.0, 3.7, 4.4), claims.Value(2.0, 1.6, 2.3)
    assert a.minus(b) == pytest.approx((2.0, 2 - (0.3**2 + 0.3**2) ** 0.5, 2 + (0.4**2 + 0.4**2) ** 0.5))
    ratio = a.over(b)
    assert ratio.value == 2 and ratio.low == pytest.approx(2 - 2 * (0.075**2 + 0.15**2) ** 0.5)


def test_the_page_counts_verdicts_and_shows_numbers(results):
    save(results / "drawn64" / "metrics", PAPER)
    text = claims.write_claims(of()).read_text()
    assert "10 supported" in text and "8 not run" in text and "ratio 0.3075" in text
    assert text.count("\n| ") == 18
