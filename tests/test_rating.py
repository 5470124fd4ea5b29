"""Rating and counting: votes that survive a kill, are never doubled and never mixed; Table 2 by hand and by others."""

import base64
import io
import json
import math
import os
import re
import shutil
import stat
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest
from statsmodels.stats.inter_rater import fleiss_kappa
from statsmodels.stats.proportion import proportion_confint

from maggan.basics.errors import MagganError
from maggan.basics.paths import ROOT, study_folder
from maggan.commands import rating as rating_command
from maggan.commands import votes as votes_command
from maggan.evaluate import Results
from maggan.metrics import wilson_interval
from maggan.profiles import profile
from maggan.report import claims, tables
from maggan.study import page as ratingpage
from maggan.study import rating, votes
from maggan.study.ballots import HEADER, LONGEST_NAME, cast, rater_name, read_ballot
from maggan.study.folder import Pair, Study, id_of
from maggan.study.rating import Rating, simulate

SMOKE = profile("smoke")
TOO_SOON = ratingpage.TOO_SOON  # the fixture `page` takes it away


def make_study(pairs=6, left=None):
    """A study of so many pairs, the first half with a hat, written as `maggan.study` writes it."""
    folder = study_folder(SMOKE)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    listed = [
        {"number": i, "face": f"face-{i}", "attribute": "Bald", "direction": "+-"[i % 2], "hat": i <= pairs // 2}
        for i in range(1, pairs + 1)
    ]
    text = json.dumps({"format": 1, "profile": "smoke", "seed": 0, "pairs": listed})
    (folder / "study.json").write_text(text)
    left = left or ["maggan", "stgan"] * pairs
    key = {"format": 1, "study": id_of(text), "left": {str(i): left[i - 1] for i in range(1, pairs + 1)}}
    (folder / "key.json").write_text(json.dumps(key))
    return Study.open(folder)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path))
    monkeypatch.setenv("MAGGAN_PLAIN", "1")
    return make_study()


def say(study, rater, choices, kind="people"):
    """Vote on pairs 1, 2, ... in this order, whatever the rater's own is."""
    file = study.folder / "votes" / kind / f"{rater}.csv"
    for pair, choice in enumerate(choices, 1):
        assert cast(file, study, kind, pair, choice)
    return file


# ---------------------------------------------------------------------------------------------- the session


def test_every_pair_comes_once_in_an_order_of_the_raters_own(study):
    anna = Rating(study.folder, "Anna")
    seen = []
    while anna.current:
        seen.append(anna.current.number)
        assert anna.vote("left")
        assert anna.progress == (len(seen), 6)
    assert sorted(seen) == [1, 2, 3, 4, 5, 6]
    assert [pair.number for pair in Rating(study, "anna").order] == seen
    assert any([p.number for p in Rating(study, f"rater {i}").order] != seen for i in range(3))
    with pytest.raises(MagganError, match="rated all 6 pairs"):
        anna.vote("left")


def test_each_vote_is_one_line_with_choice_and_seconds(study, monkeypatch):
    now = iter([100.0, 103.25, 103.25, 110.0, 110.0])
    monkeypatch.setattr(rating.time, "monotonic", lambda: next(now))
    anna = Rating(study, "Anna")
    first = anna.current.number
    anna.vote("right")
    second = anna.current.number
    anna.vote("same")
    header, *lines = anna.file.read_text().splitlines()
    assert header == HEADER == "time,study,kind,rater,pair,seconds,choice"
    cells = [line.split(",") for line in lines]
    assert [cell[1:4] for cell in cells] == [[study.id, "people", "anna"]] * 2
    assert [cell[4:] for cell in cells] == [[str(first), "3.2", "right"], [str(second), "6.8", "same"]]
    assert all(cell[0].endswith("+00:00") for cell in cells)


def test_unknown_choice_is_refused_with_the_nearest(study):
    with pytest.raises(MagganError, match="did you mean 'right'"):
        Rating(study, "anna").vote("rihgt")


def test_a_vote_taken_back_is_asked_again(study):
    anna = Rating(study, "anna")
    assert anna.undo() is None
    pair = anna.current
    anna.vote("left")
    anna.vote("right")
    last = Rating(study, "anna").order[1]
    assert anna.undo() == last == anna.current and anna.progress == (1, 6)
    anna.vote("same")
    standing = read_ballot(anna.file, study)
    assert {number: vote.choice for number, vote in standing.items()} == {pair.number: "left", last.number: "same"}
    assert len(anna.file.read_text().splitlines()) == 5  # the header, two votes, one taken back, one again
    assert anna.undo() == last and anna.undo() == pair and anna.undo() is None


def test_two_pages_of_one_rater_never_vote_twice(study):
    one, two = Rating(study, "anna"), Rating(study, "anna")
    pair = one.current
    assert one.vote("left") and two.current == pair
    assert not two.vote("right")
    assert two.current == one.current != pair
    assert read_ballot(one.file, study)[pair.number].choice == "left"
    assert len(one.file.read_text().splitlines()) == 2


VOTE_ALL = """
import sys
from maggan.study.rating import Rating
rating = Rating(sys.argv[1], "anna")
while rating.current:
    rating.vote("left")
    print(len(rating.votes), flush=True)
"""


def voter(study):
    return subprocess.Popen([sys.executable, "-c", VOTE_ALL, study.folder], stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_two_processes_at_once_vote_on_each_pair_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path))
    study = make_study(pairs=200)
    for process in [voter(study), voter(study)]:
        process.communicate()
        assert process.returncode == 0
    lines = (study.folder / "votes" / "people" / "anna.csv").read_text().splitlines()[1:]
    assert sorted(int(line.split(",")[4]) for line in lines) == list(range(1, 201))


def test_a_killed_page_goes_on_at_the_next_pair(tmp_path, monkeypatch):
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path))
    study = make_study(pairs=5000)
    process = voter(study)
    said = [int(process.stdout.readline()) for _ in range(20)]
    process.kill()
    process.communicate()
    anna = Rating(study, "anna")
    done, total = anna.progress
    assert said[-1] == 20 <= done < total == 5000
    assert set(anna.votes) == {pair.number for pair in anna.order[:done]} and anna.current == anna.order[done]
    assert anna.vote("right")
    pairs = [line.split(",")[4] for line in anna.file.read_text().splitlines()[1:]]
    assert len(pairs) == len(set(pairs)) == done + 1


def test_a_line_torn_anywhere_costs_at_most_its_own_vote(study):
    file = say(study, "anna", ["left", "same", "right"])
    whole = file.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        file.write_bytes(whole[:cut])
        # a line that lacks nothing but its end is whole
        standing = sum(end - 1 <= cut for end in ends[1:])
        anna = Rating(study, "anna")
        assert anna.progress == (standing, 6), cut
        assert anna.vote("same")
        lines = file.read_text().split("\n")
        assert lines[0] == HEADER and lines[-1] == "" and len(lines) == standing + 3, cut
        assert Rating(study, "anna").progress == (standing + 1, 6)


def test_zeros_left_by_a_power_cut_are_repaired_too(study):
    file = say(study, "anna", ["left"])
    file.write_bytes(file.read_bytes() + b"\0" * 70)
    anna = Rating(study, "anna")
    assert anna.progress == (1, 6) and anna.vote("left") and b"\0" not in file.read_bytes()


def test_a_vote_that_cannot_be_saved_is_said_and_asked_again(study, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    anna = Rating(study, "anna")
    pair = anna.current
    for voted in ([], [pair.number]):
        pair = anna.current
        with monkeypatch.context() as patch:
            patch.setattr("maggan.study.ballots.os.fsync", full)
            with pytest.raises(MagganError, match="could not be saved .No space left on device.; vote again"):
                anna.vote("left")
            assert anna.current == pair and list(anna.votes) == voted
        assert anna.vote("right")
    assert [line.split(",")[-1] for line in anna.file.read_text().splitlines()] == ["choice", "right", "right"]
    with monkeypatch.context() as patch:
        patch.setattr("maggan.study.ballots.os.fsync", full)
        with pytest.raises(MagganError, match="could not be saved"):
            anna.undo()
    assert anna.progress == (2, 6) == Rating(study, "anna").progress


def test_half_a_line_is_taken_out_again(study, monkeypatch):
    class Full(io.FileIO):
        def write(self, data):
            return super().write(data[: len(data) // 2])

    anna = Rating(study, "anna")
    with monkeypatch.context() as patch:
        patch.setattr("maggan.study.ballots.open", lambda file, mode, buffering: Full(file, "a+"), raising=False)
        with pytest.raises(MagganError, match="could not be saved .the disk is full.; vote again"):
            anna.vote("left")
    assert anna.file.read_bytes() == b"" and anna.vote("right")
    assert [line.split(",")[-1] for line in anna.file.read_text().splitlines()] == ["choice", "right"]


def test_no_folder_for_the_first_vote_is_one_line(study, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    anna = Rating(study, "anna")
    pair = anna.current
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", full)
        with pytest.raises(MagganError, match="anna.csv: the vote could not be saved .No space left on device."):
            anna.vote("left")
    assert anna.current == pair and anna.vote("right") and anna.progress == (1, 6)


def test_after_an_error_the_file_alone_says_what_was_voted(study, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(5, "Input/output error")

    one, two = Rating(study, "anna"), Rating(study, "anna")
    for attempt in (lambda: two.vote("right"), two.undo):
        one.vote("left")  # two has not seen it
        with monkeypatch.context() as patch:
            patch.setattr("maggan.study.ballots.open", full, raising=False)
            with pytest.raises(MagganError, match="could not be saved .Input/output error."):
                attempt()
        assert two.votes == one.votes and two.current == one.current


def test_a_file_that_cannot_be_read_is_one_line(study):
    people = study.folder / "votes" / "people"
    (people / "anna.csv").mkdir(parents=True)
    for read in (votes.read_votes, lambda study: Rating(study, "anna")):
        with pytest.raises(MagganError, match=r"anna\.csv: votes could not be read .Is a directory.; .*move it away"):
            read(study)
    shutil.rmtree(people)
    people.write_text("")
    with pytest.raises(MagganError, match=r"anna\.csv: votes could not be read .Not a directory."):
        Rating(study, "anna")


def test_a_vote_is_on_the_disk_before_the_next_pair(study, monkeypatch):
    synced = []

    def fsync(opened):
        kind = os.fstat(opened).st_mode
        synced.append("folder" if stat.S_ISDIR(kind) else (anna.file.read_text().count("\n"), os.fstat(opened).st_ino))

    anna = Rating(study, "anna")
    monkeypatch.setattr("maggan.study.ballots.os.fsync", fsync)
    anna.vote("left")
    file = anna.file.stat().st_ino
    assert synced == [(2, file), "folder"]
    anna.vote("right")
    anna.undo()
    assert synced[2:] == [(3, file), (4, file)]


def test_what_a_spreadsheet_leaves_in_a_file_is_not_in_the_way(study):
    anna = Rating(study, "anna")
    anna.vote("left")
    plain = anna.file.read_bytes()
    header, vote = plain.splitlines()
    for changed in (
        b"\xef\xbb\xbf" + plain, plain + b"\n", plain.replace(b"\n", b"\r\n") + b"\r\n", plain + b",,,,,,\n \n",
        b"\n" + plain, header + b"\n\n" + vote, b"\xef\xbb\xbf" + header, b"\xef\xbb\xbf", b"\n\n",
    ):  # fmt: skip
        anna.file.write_bytes(changed)
        before = len(Rating(study, "anna").votes)
        assert before == (vote in changed), changed
        assert Rating(study, "anna").vote("same")
        assert len(votes.read_votes(study)) == before + 1 == Rating(study, "anna").progress[0], changed
    anna.file.write_bytes(plain + b"\nhello\n")
    with pytest.raises(MagganError, match=r"anna\.csv, line 4: this is no vote"):
        Rating(study, "anna")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Anna", "anna"), ("  Anna  Lena ", "anna-lena"), ("李雷", "李雷"), ("r_2-b", "r_2-b"), ("Zoe\u0308", "zoë"),
        ("O'Neil", "o-neil"), ("O\u2019Neil", "o-neil"), ("J. Doe", "j-doe"), ("J. Doe Jr.", "j-doe-jr"),
        ("İbrahim", "i\u0307brahim"), ("J\u030cana", "\u01f0ana"), ("ΝΙΚΟΣ", "νικος"),
        ("अनीता", "अनीता"), ("நிலா", "நிலா"), ("山田\u3000太郎", "山田-太郎"), ("anna-", "anna-"),
    ],
)  # fmt: skip
def test_names_become_safe_file_names(study, name, file):
    assert Rating(study, name).file == study.folder / "votes" / "people" / f"{file}.csv"
    assert rater_name(rater_name(name)) == rater_name(name)


def test_a_name_whose_accents_came_apart_on_the_way_is_the_same_rater(study):
    zoe = Rating(study, "Zoë")
    zoe.vote("left")
    apart = zoe.file.rename(zoe.file.with_name(unicodedata.normalize("NFD", zoe.file.name)))
    assert apart.name != zoe.file.name
    again = Rating(study, "zoë")
    assert again.progress == (1, 6) and again.vote("same")
    assert votes.read_votes(study).rater.tolist() == ["zoë", "zoë"]
    shutil.copy(apart, zoe.file)
    with pytest.raises(MagganError, match="is the same rater's, with other accents; move one away"):
        votes.read_votes(study)


@pytest.mark.parametrize(
    "name",
    ["", "  ", "../anna", "a/b", "a\\b", "..", ".hidden", "a.csv", "/etc/passwd", "~", "-rf", "a\0b", "a\nb", "a,b",
     "x" * 41, "C:", "a;b", "$HOME", "<b>", "Anna.CSV", ". .", "\u0308", "a/../b", "İ" * 21],
)  # fmt: skip
def test_tricks_in_names_are_one_plain_line(study, name):
    with pytest.raises(MagganError, match="^(type a name|a rater's name)[^\n]*$"):
        Rating(study, name)
    assert not (study.folder / "votes").exists()
    assert rater_name("x" * LONGEST_NAME)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",left", ",up", "line 2: this is no vote"),
        (",1,", ",7,", "line 2: there is no pair 7"),
        (",3,", ",1,", "line 4: pair 1 has a vote already"),
        (",left", ",undo", "line 2: pair 1 has no vote to take back"),
        ("anna", "otto", "line 2: a vote of 'otto'"),
        ("people", "simulated", "line 2: a vote of a simulated rater among those of votes/people"),
        ("people", "robots", "line 2: a vote of nobody known"),
        ("time", "when", "line 1: this is no file of votes"),
        ("study-id", "0123", "line 2: a vote on another study .0123, this one is"),
    ],
)
def test_a_file_that_is_not_right_is_named_with_its_line(study, old, new, said):
    file = say(study, "anna", ["left", "same", "right"])
    file.write_text(file.read_text().replace(study.id if old == "study-id" else old, new, 1))
    for read in (votes.read_votes, lambda study: Rating(study, "anna")):
        with pytest.raises(MagganError, match=rf"anna\.csv, {said}"):
            read(study)


# ----------------------------------------------------------------------------------------------- the table

# 4 pairs, 3 raters, 12 votes. MagGAN is on the left of pairs 1 and 3; pairs 1 and 2 are of faces with a hat.
#   pair  anna   ben    eve     rows                      winner
#   1     left   left   right   maggan maggan stgan       maggan
#   2     left   same   left    stgan  tie    stgan       stgan
#   3     left   same   right   maggan tie    stgan       tie (no majority)
#   4     right  right  right   maggan maggan maggan      maggan
TWELVE = {"anna": ["left", "left", "left", "right"], "ben": ["left", "same", "same", "right"],
          "eve": ["right", "left", "right", "right"]}  # fmt: skip


@pytest.fixture
def twelve(study):
    study = make_study(pairs=4)
    for rater, choices in TWELVE.items():
        say(study, rater, choices)
    return study


def test_twelve_votes_give_the_table_computed_by_hand(twelve):
    study, counted, table = votes.outcome(SMOKE)
    assert counted.to_numpy().tolist() == [[2, 1, 0], [0, 2, 1], [1, 1, 1], [3, 0, 0]]  # maggan, stgan, tie
    assert votes.majority(counted).tolist() == ["maggan", "stgan", "tie", "maggan"]
    values = table.set_index(["group", "winner"])
    assert values.value.loc["with_hat"].to_dict() == {"MagGAN": 0.5, "STGAN": 0.5, "Tie": 0.0}
    assert values.value.loc["without_hat"].to_dict() == {"MagGAN": 0.5, "STGAN": 0.0, "Tie": 0.5}
    assert values.value.loc["overall"].to_dict() == {"MagGAN": 0.5, "STGAN": 0.25, "Tie": 0.25}
    assert values.n.loc["overall"].tolist() == [4, 4, 4] and values.n.loc["with_hat"].tolist() == [2, 2, 2]
    # of 3 pairs of raters, 1 agrees on pairs 1 and 2, none on 3, all on 4: (1/3 + 1/3 + 0 + 1) / 4
    kappa, agreement = votes.fleiss_kappa(counted)
    assert agreement == pytest.approx(5 / 12)
    chance = (6**2 + 4**2 + 2**2) / 12**2
    assert kappa == pytest.approx((5 / 12 - chance) / (1 - chance))
    assert votes.decided(study, counted) == (2, 3)
    assert votes.decided(study, counted, True) == (1, 2) and votes.decided(study, counted, False) == (1, 1)


@pytest.mark.parametrize(
    ("said", "winner"),
    [
        ([1, 0, 0], "maggan"), ([0, 0, 1], "tie"), ([2, 0, 0], "maggan"), ([1, 1, 0], "tie"), ([1, 0, 1], "tie"),
        ([1, 1, 1], "tie"), ([0, 2, 1], "stgan"), ([2, 2, 0], "tie"), ([2, 1, 1], "tie"), ([3, 1, 0], "maggan"),
        ([2, 2, 1], "tie"), ([3, 1, 1], "maggan"),
    ],
)  # fmt: skip
def test_a_row_needs_more_than_half_of_a_pairs_raters(said, winner):
    import pandas as pd

    counted = pd.DataFrame([said], columns=list(votes.WINNERS.values()))
    assert votes.majority(counted).tolist() == [winner]


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (148, 250), (3, 4), (1, 500)])
def test_intervals_are_those_of_statsmodels(successes, n):
    value, low, high = wilson_interval(successes, n)
    assert value == successes / n
    assert (low, high) == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-12)


def test_no_pair_has_no_interval():
    assert all(map(math.isnan, wilson_interval(0, 0)))


@pytest.mark.parametrize("raters", [2, 3, 7])
def test_kappa_is_that_of_statsmodels(raters):
    counted = np.random.default_rng(raters).multinomial(raters, [0.5, 0.3, 0.2], size=60)
    kappa, agreement = votes.fleiss_kappa(counted)
    assert kappa == pytest.approx(fleiss_kappa(counted), abs=1e-12)
    assert agreement == pytest.approx(np.mean([(row @ row - raters) / (raters * (raters - 1)) for row in counted]))


def test_kappa_of_single_raters_or_of_one_choice_is_not_defined():
    assert all(map(math.isnan, votes.fleiss_kappa([[1, 0, 0], [0, 1, 0]])))
    kappa, agreement = votes.fleiss_kappa([[3, 0, 0], [3, 0, 0]])
    assert math.isnan(kappa) and agreement == 1
    assert votes.fleiss_kappa([[3, 0, 0], [0, 3, 0], [0, 0, 1]]) == (1, 1)


def test_table_2_has_peoples_votes_beside_the_papers(twelve):
    table = tables.as_text("table2", Results(SMOKE))
    assert table["overall %", "paper"].tolist() == ["55.7", "41.5", "2.8"]
    assert [text.split(" ")[0] for text in table["overall %", "yours"]] == ["50.0", "25.0", "25.0"]
    low, high = proportion_confint(2, 4, method="wilson")
    assert table["overall %", "yours"].iloc[0] == f"50.0 [{100 * low:.1f}, {100 * high:.1f}]"
    notes = "\n".join(tables.notes("table2", Results(SMOKE)))
    assert "12 votes" in notes and "4 by 3" in notes and "42 % of cases" in notes and "Not finished" not in notes
    text = tables.write_table("table2", Results(SMOKE)).with_suffix(".csv").read_text()
    assert "MagGAN,overall,paper,55.7,,,\n" in text
    assert f"MagGAN,overall,yours,50,{100 * low:.6g},{100 * high:.6g},4\n" in text


def test_an_unfinished_study_says_so(study):
    say(study, "anna", ["left", "same"])
    notes = "\n".join(tables.notes("table2", Results(SMOKE)))
    assert "Rated: 2 of 6 pairs, 2 votes" in notes and "Not finished: the paper has 3 raters for each pair." in notes
    assert "kappa" not in notes


def test_two_raters_a_pair_are_fewer_than_the_papers(study):
    for rater in ("anna", "ben"):
        say(study, rater, ["left"] * 6)
    notes = "\n".join(tables.notes("table2", Results(SMOKE)))
    assert "12 votes" in notes and "6 by 2" in notes
    assert "Not finished: the paper has 3 raters for each pair." in notes


def test_a_key_of_another_study_is_refused(twelve):
    key = json.loads((twelve.folder / "key.json").read_text())
    (twelve.folder / "key.json").write_text(json.dumps(key | {"study": "other"}))
    with pytest.raises(MagganError, match="the key of another study"):
        votes.outcome(SMOKE)


# ------------------------------------------------------------------------------------------------ the claim


def verdict():
    return next(each for each in claims.judge(Results(SMOKE)) if each["number"] == 16)


def everyone(study, shares):
    """Three raters agree that MagGAN wins this share of the pairs with and without a hat."""
    half = len(study.pairs) // 2
    for rater in ("anna", "ben", "eve"):
        choices = []
        for pair in study.pairs:
            wins = (pair.number - 1) % half < shares[not pair.hat] * half
            choices.append("left" if wins == (study.key()[pair.number] == "maggan") else "right")
        say(study, rater, choices)


@pytest.mark.parametrize(
    ("shares", "said"),
    [((0.9, 0.6), "supported"), ((0.7, 0.7), "undecided"), ((0.6, 0.9), "contradicted"),
     ((0.3, 0.1), "contradicted")],
)  # fmt: skip
def test_claim_16_needs_a_preference_that_grows_with_hats(study, shares, said):
    study = make_study(pairs=200)
    everyone(study, shares)
    judged, (overall, hats) = verdict(), verdict()["atoms"]
    assert judged["verdict"] == said and f"with hat {shares[0]:.4g} [" in hats["numbers"]
    won = round(sum(shares) * 100)
    share, low, high = wilson_interval(won, 200)
    assert overall["numbers"] == f"{won} of 200 pairs, {share:.4g} [{low:.4g}, {high:.4g}]"
    assert overall["p_supported"] == pytest.approx(binomtest(won, 200, 0.5, "greater").pvalue, rel=1e-4)
    assert hats["value"] == pytest.approx(shares[0] - shares[1]) and -1 <= hats["low"] <= hats["high"] <= 1
    if said == "undecided":
        assert overall["verdict"] == "supported" and hats["why"] == "would be decided by far more pairs"


def test_claim_16_waits_for_three_people_a_pair(study):
    assert verdict()["verdict"] == "not run" and "make study PROFILE=smoke" in verdict()["atoms"][0]["why"]
    for done, rater in enumerate(("anna", "ben", "eve")):
        say(study, rater, ["left"] * 6)
        if done < 2:
            assert verdict()["verdict"] == "not run" and "0 of 6 pairs have 3 raters" in verdict()["atoms"][0]["why"]
    assert verdict()["verdict"] == "undecided"


# --------------------------------------------------------------------------------------- simulated raters


def test_simulated_raters_have_a_table_of_their_own(study):
    simulate(study, raters=3)
    assert sorted(file.name for file in (study.folder / "votes").rglob("*.csv")) == [
        f"simulated-{i}.csv" for i in (1, 2, 3)
    ]  # fmt: skip
    assert not (study.folder / "votes" / "people").exists() and votes.outcome(SMOKE) is None
    assert (tables.as_text("table2", Results(SMOKE))["overall %", "yours"] == "no ratings yet").all()
    assert verdict()["verdict"] == "not run"
    text = votes.simulated_table(SMOKE).read_text()
    assert text.startswith("# SIMULATED raters, no people: to try the tool\n") and "18 votes" in text
    before = {file: file.read_bytes() for file in (study.folder / "votes").rglob("*.csv")}
    simulate(study, raters=3)
    assert before == {file: file.read_bytes() for file in (study.folder / "votes").rglob("*.csv")}


@pytest.mark.parametrize(("source", "target"), [("simulated", "people"), ("people", "simulated")])
def test_a_file_moved_to_the_other_kind_is_refused(study, source, target):
    file = say(study, "anna", ["left"] * 6, source)
    (study.folder / "votes" / target).mkdir()
    shutil.move(file, study.folder / "votes" / target)
    with pytest.raises(MagganError, match="line 2: a vote of .* never mixed; move the file out"):
        votes.outcome(SMOKE, target)
    if target == "people":
        for use in (lambda: tables.as_text("table2", Results(SMOKE)), verdict, lambda: Rating(study, "anna")):
            with pytest.raises(MagganError, match="a vote of a simulated rater"):
                use()


def test_a_copy_does_not_count_twice(twelve):
    people = twelve.folder / "votes" / "people"
    shutil.copy(people / "anna.csv", people / "anna-copy.csv")
    with pytest.raises(MagganError, match="copies count twice") as said:
        votes.outcome(SMOKE)
    assert "delete" not in str(said.value) and "move it away" in str(said.value)


def test_commands_say_what_to_do_next(study, monkeypatch, capsys):
    def command(module, *arguments):
        monkeypatch.setattr(sys, "argv", ["maggan", "smoke", *arguments])
        module.main()
        return capsys.readouterr().out

    with pytest.raises(MagganError, match="make rate PROFILE=smoke"):
        command(rating_command)
    with pytest.raises(MagganError, match="maggan.rating smoke --simulate 3"):
        command(votes_command, "--simulated")
    assert "maggan.votes smoke --simulated" in command(rating_command, "--simulate", "2")
    assert "SIMULATED" in command(votes_command, "--simulated")
    with pytest.raises(MagganError, match="has no votes yet: make rate PROFILE=smoke"):
        command(votes_command)
    say(study, "anna", ["left"] * 6)
    assert "SIMULATED" not in (said := command(votes_command)) and "6 votes" in said
    (study.folder / "study.json").unlink()
    with pytest.raises(MagganError, match="make study PROFILE=smoke"):
        command(votes_command)


# ------------------------------------------------------------------------------------------------- the page


@pytest.fixture
def page(study, monkeypatch):
    for pair in study.pairs:
        for which in ("source", "left", "right"):
            Image.new("RGB", (8, 8)).save(study.picture(pair, which))
    monkeypatch.setattr(ratingpage, "TOO_SOON", 0)
    return ratingpage.RatingPage(SMOKE)


def enter(page, name):
    page.name.value = name
    page.start.click()


def test_every_control_of_the_page(page, study):
    assert page.rated.layout.display == "none"
    enter(page, "../anna")
    assert "letters, digits, spaces" in page.message.value and page.rating is None
    enter(page, "Anna")
    assert page.message.value == "" and page.rated.layout.display == "" and page.welcome.layout.display == "none"
    first = page.rating.current
    assert ratingpage.task(first) in page.task.value and page.pictures.value.count("data:image/png;base64,") == 3
    page.undo.click()
    assert "no vote to take back" in page.message.value
    for choice in ("left", "same", "right"):
        page.choices[choice].click()
        assert page.message.value == ""
    assert [vote.choice for vote in page.rating.votes.values()] == ["left", "same", "right"]
    assert "3 of 6 rated by anna" in page.status.value
    page.undo.click()
    assert "2 of 6 rated by anna" in page.status.value
    page.leave.click()
    assert page.rated.layout.display == "none" and page.name.value == "" and page.rating is None
    page.choices["left"].click()
    page.undo.click()
    enter(page, "anna")
    assert "2 of 6 rated by anna" in page.status.value
    for _ in range(4):
        page.choices["left"].click()
    assert "All 6 pairs are rated" in page.task.value and page.choices["left"].layout.display == "none"
    page.choices["left"].click()
    page.undo.click()
    assert page.choices["left"].layout.display == "" and "5 of 6" in page.status.value


def test_a_pair_rated_in_another_window_is_said(page, study):
    enter(page, "anna")
    Rating(study, "anna").vote("left")
    page.choices["right"].click()
    assert "rated in another window" in page.message.value and "1 of 6" in page.status.value


@pytest.mark.parametrize(("seconds", "rated"), [(0.1, 0), (0.6, 1)])
def test_a_press_meant_for_the_pair_before_is_no_vote(page, monkeypatch, seconds, rated):
    enter(page, "anna")
    monkeypatch.setattr(ratingpage, "TOO_SOON", TOO_SOON)
    monkeypatch.setattr(rating.time, "monotonic", lambda: page.rating.shown + seconds)
    page.choices["left"].click()
    assert page.rating.progress == (rated, 6)


def framed(study, pair, seed=0):
    """Three pictures told apart however they are turned, written where the page finds them: {place: levels}."""
    rng = np.random.default_rng(seed)
    levels = {which: rng.integers(0, 256, (8, 8, 3), dtype=np.uint8) for which in ("left", "source", "right")}
    for which, each in levels.items():
        name = pair.face if which == "source" else f"{pair.number:03d}-{which}"
        Image.fromarray(each).save(study.folder / "pictures" / f"{name}.png")
    return levels


def test_left_on_the_page_is_the_left_of_the_key(page, study):
    enter(page, "anna")
    pair = page.rating.current
    levels = framed(study, pair)
    page.draw()
    figure = r'class="maggan-(\w+)-picture"><img alt="(\w+)" src="data:image/png;base64,(.*?)"><figcaption>(\w+)<'
    shown = re.findall(figure, page.pictures.value)
    assert [place for place, *_ in shown] == ["left", "source", "right"]
    for place, alt, data, caption in shown:
        assert alt == caption == place.title()
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), levels[place])
    page.choices["left"].click()
    said = votes.read_votes(study)
    assert said.row.tolist() == [study.key()[pair.number]] and said.pair.tolist() == [pair.number]


def test_keys_and_buttons_say_the_same(page):
    script = ratingpage.KEYS.read_text(encoding="utf-8")
    listed = re.search(r"const buttons = {(.*?)};", script)[1]
    keys = dict(re.findall(r'(\w+): "(\w+)"', listed))
    arrows = {"←": "arrowleft", "→": "arrowright", "↓": "arrowdown", "↑": "arrowup"}
    written = {}
    for choice, (text, tooltip) in ratingpage.BUTTONS.items():
        number, words = text.split(" · ")
        named = [arrows.get(key, key) for key in tooltip.removeprefix("key ").split(" or ")]
        assert named[0] == number and choice in words.lower()
        written |= dict.fromkeys(named, choice)
        assert (page.choices[choice].description, page.choices[choice].tooltip) == (text, tooltip)
        assert f"maggan-{choice}" in page.choices[choice]._dom_classes
    assert keys == {**written, "u": "undo"} and page.undo.tooltip == "key u"
    assert keys == {"1": "left", "arrowleft": "left", "2": "same", "3": "right", "arrowright": "right", "u": "undo"}
    assert "find = (page, name) => page.querySelector(`.maggan-${name}:is(button)`)" in script
    assert "find(page, buttons[key])" in script and "key = event.key?.toLowerCase()" in script


def test_the_page_can_be_heard_as_well(page):
    assert page.name.description == "Your name" and "maggan-task" in page.task._dom_classes
    enter(page, "anna")
    assert '<progress value="0" max="6" aria-label="pairs rated">' in page.status.value
    script = ratingpage.KEYS.read_text(encoding="utf-8")
    assert ".maggan-task .widget-html-content" in script and '"aria-live", "polite"' in script


def test_colours_of_the_page_follow_the_theme():
    coloured = re.findall(r"[ {;]color: ([^;}]*)", ratingpage.STYLE.read_text())
    assert coloured and all(colour.startswith("var(--jp-") for colour in coloured)


def test_a_vote_that_was_not_saved_is_said_in_the_page(page, study, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    enter(page, "anna")
    pair = page.rating.current
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", full)
        page.choices["left"].click()
        assert "could not be saved (No space left on device)" in page.message.value
    with monkeypatch.context() as patch:
        patch.setattr("maggan.study.ballots.os.fsync", full)
        page.choices["left"].click()
        assert "could not be saved" in page.message.value and "0 of 6" in page.status.value
    page.choices["right"].click()
    assert page.message.value == "" and read_ballot(page.rating.file, study)[pair.number].choice == "right"
    assert len(page.rating.file.read_text().splitlines()) == 2


def test_what_is_wrong_is_said_in_the_page(page, study):
    enter(page, "anna")
    page.rating.file.parent.mkdir(parents=True)
    page.rating.file.write_text("hello\n")
    page.choices["left"].click()
    assert "this is no file of votes" in page.message.value
    page.undo.click()
    assert "this is no file of votes" in page.message.value
    study.picture(page.rating.current, "left").unlink()
    page.draw()
    assert "is missing: make study PROFILE=smoke SEEDS=0" in page.pictures.value


def test_the_page_never_reads_the_key_nor_shows_a_rows_name(page, study):
    (study.folder / "key.json").unlink()
    enter(page, "anna")
    page.choices["left"].click()
    shown = page.task.value + page.status.value + page.pictures.value + page.message.value
    assert page.rating.progress == (1, 6) and "gan" not in shown.replace('class="maggan-', "").lower()


def test_without_a_study_the_page_is_one_plain_line(study, capsys):
    (study.folder / "study.json").unlink()
    ratingpage.RatingPage(SMOKE).show()
    assert capsys.readouterr().out == "There is no study of smoke yet: make study PROFILE=smoke\n"


def test_every_attribute_has_words_in_both_directions():
    from maggan.attributes import ATTRIBUTES

    assert set(ratingpage.TASKS) == set(ATTRIBUTES)
    assert len({words for both in ratingpage.TASKS.values() for words in both}) == 26


@pytest.mark.parametrize(
    ("attribute", "direction", "words"),
    [("Eyeglasses", "+", "add eyeglasses"), ("Eyeglasses", "-", "remove the eyeglasses"),
     ("No_Beard", "+", "remove the beard"), ("No_Beard", "-", "add a beard")],
)  # fmt: skip
def test_what_is_asked_for_is_the_change_that_was_made(attribute, direction, words):
    assert ratingpage.task(Pair(1, "face", attribute, direction, False)) == words


def test_a_still_shows_what_the_page_shows(page, study):
    figure = ratingpage.still(study, study.pairs[0])
    words = [text.get_text() for text in figure.texts] + [axes.get_title() for axes in figure.axes]
    assert any(ratingpage.task(study.pairs[0]) in word for word in words) and {"Left", "Source", "Right"} <= set(words)
    levels = framed(study, study.pairs[0])
    for axes in ratingpage.still(study, study.pairs[0]).axes:
        drawn = np.asarray(axes.images[0].get_array())[..., :3] * 255
        assert np.array_equal(drawn.round().astype(np.uint8), levels[axes.get_title().lower()])
