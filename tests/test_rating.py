"""Rating and counting: votes that survive a kill, are never doubled and never mixed; Table 2 by hand and by others."""

import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from statsmodels.stats.inter_rater import fleiss_kappa
from statsmodels.stats.proportion import proportion_confint

from maggan import claims, rating, ratingpage, tables, votes
from maggan.ballots import HEADER, LONGEST_NAME, cast, rater_name, read_ballot
from maggan.errors import MagganError
from maggan.paths import ROOT
from maggan.rating import Rating, simulate
from maggan.studyfolder import Study, id_of, study_folder


def make_study(pairs=6, left=None, name="smoke"):
    """A study of so many pairs, the first half with a hat, written as `maggan.study` writes it."""
    folder = study_folder(name)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    listed = [
        {"number": i, "face": f"face-{i}", "attribute": "Bald", "direction": "+-"[i % 2], "hat": i <= pairs // 2}
        for i in range(1, pairs + 1)
    ]
    text = json.dumps({"format": 1, "profile": name, "seed": 0, "pairs": listed})
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
from maggan.rating import Rating
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
    monkeypatch.setattr("maggan.ballots.os.fsync", full)
    with pytest.raises(MagganError, match="could not be saved .No space left on device.; vote again"):
        anna.vote("left")
    assert anna.current == pair


@pytest.mark.parametrize(
    ("name", "file"),
    [("Anna", "anna"), ("  Anna  Lena ", "anna-lena"), ("李雷", "李雷"), ("r_2-b", "r_2-b"), ("Zoe\u0308", "zoë")],
)
def test_names_become_safe_file_names(study, name, file):
    assert Rating(study, name).file == study.folder / "votes" / "people" / f"{file}.csv"


@pytest.mark.parametrize(
    "name",
    ["", "  ", "../anna", "a/b", "a\\b", "..", ".hidden", "a.csv", "/etc/passwd", "~", "-rf", "a\0b", "a\nb", "a,b",
     "x" * 41, "C:", "a;b", "$HOME", "<b>"],
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
    study, counted, table = votes.outcome("smoke")
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
    value, low, high = votes.wilson(successes, n)
    assert value == successes / n
    assert (low, high) == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-12)


def test_no_pair_has_no_interval():
    assert all(map(math.isnan, votes.wilson(0, 0)))


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
    table = tables.as_text("table2", "smoke")
    assert table["overall %", "paper"].tolist() == ["55.7", "41.5", "2.8"]
    assert [text.split(" ")[0] for text in table["overall %", "yours"]] == ["50.0", "25.0", "25.0"]
    low, high = proportion_confint(2, 4, method="wilson")
    assert table["overall %", "yours"].iloc[0] == f"50.0 [{100 * low:.1f}, {100 * high:.1f}]"
    notes = "\n".join(tables.notes("table2", "smoke"))
    assert "12 votes" in notes and "4 by 3" in notes and "42 % of cases" in notes and "Not finished" not in notes
    text = tables.write_table("table2", "smoke").with_suffix(".csv").read_text()
    assert "MagGAN,overall,paper,55.7,,,\n" in text
    assert f"MagGAN,overall,yours,50,{100 * low:.6g},{100 * high:.6g},4\n" in text


def test_an_unfinished_study_says_so(study):
    say(study, "anna", ["left", "same"])
    notes = "\n".join(tables.notes("table2", "smoke"))
    assert "Rated: 2 of 6 pairs, 2 votes" in notes and "Not finished: the paper has 3 raters for each pair." in notes
    assert "kappa" not in notes


def test_a_key_of_another_study_is_refused(twelve):
    key = json.loads((twelve.folder / "key.json").read_text())
    (twelve.folder / "key.json").write_text(json.dumps(key | {"study": "other"}))
    with pytest.raises(MagganError, match="the key of another study"):
        votes.outcome("smoke")


# ------------------------------------------------------------------------------------------------ the claim


def verdict():
    return next(each for each in claims.judge("smoke") if each["number"] == 16)


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
    [((0.9, 0.6), "supported"), ((0.6, 0.6), "not supported"), ((0.6, 0.9), "not supported"),
     ((0.3, 0.1), "not supported")],
)  # fmt: skip
def test_claim_16_needs_a_preference_that_grows_with_hats(study, shares, said):
    study = make_study(pairs=200)
    everyone(study, shares)
    judged = verdict()
    assert judged["verdict"] == said and f"with hat {shares[0]:.4g} [" in judged["numbers"]


def test_claim_16_waits_for_three_people_a_pair(study):
    assert verdict()["verdict"] == "not run" and "make study PROFILE=smoke" in verdict()["numbers"]
    for done, rater in enumerate(("anna", "ben", "eve")):
        say(study, rater, ["left"] * 6)
        if done < 2:
            assert verdict()["verdict"] == "not run" and "0 of 6 pairs have 3 raters" in verdict()["numbers"]
    assert verdict()["verdict"] == "not supported"


# --------------------------------------------------------------------------------------- simulated raters


def test_simulated_raters_have_a_table_of_their_own(study):
    simulate(study, raters=3)
    assert sorted(file.name for file in (study.folder / "votes").rglob("*.csv")) == [
        f"simulated-{i}.csv" for i in (1, 2, 3)
    ]  # fmt: skip
    assert not (study.folder / "votes" / "people").exists() and votes.outcome("smoke") is None
    assert (tables.as_text("table2", "smoke")["overall %", "yours"] == "no ratings yet").all()
    assert verdict()["verdict"] == "not run"
    text = votes.simulated_table("smoke").read_text()
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
        votes.outcome("smoke", target)
    if target == "people":
        for use in (lambda: tables.as_text("table2", "smoke"), verdict, lambda: Rating(study, "anna")):
            with pytest.raises(MagganError, match="a vote of a simulated rater"):
                use()


def test_a_copy_does_not_count_twice(twelve):
    people = twelve.folder / "votes" / "people"
    shutil.copy(people / "anna.csv", people / "anna-copy.csv")
    with pytest.raises(MagganError, match="copies count twice"):
        votes.outcome("smoke")


def test_commands_say_what_to_do_next(study, monkeypatch, capsys):
    def command(module, *arguments):
        monkeypatch.setattr(sys, "argv", ["maggan", "smoke", *arguments])
        module.main()
        return capsys.readouterr().out

    with pytest.raises(MagganError, match="make rate PROFILE=smoke"):
        command(rating)
    with pytest.raises(MagganError, match="maggan.rating smoke --simulate 3"):
        command(votes, "--simulated")
    assert "maggan.votes smoke --simulated" in command(rating, "--simulate", "2")
    assert "SIMULATED" in command(votes, "--simulated")
    with pytest.raises(MagganError, match="has no votes yet: make rate PROFILE=smoke"):
        command(votes)
    say(study, "anna", ["left"] * 6)
    assert "SIMULATED" not in (said := command(votes)) and "6 votes" in said
    (study.folder / "study.json").unlink()
    with pytest.raises(MagganError, match="make study PROFILE=smoke"):
        command(votes)


# ------------------------------------------------------------------------------------------------- the page


@pytest.fixture
def page(study, monkeypatch):
    for pair in study.pairs:
        for which in ("source", "left", "right"):
            Image.new("RGB", (8, 8)).save(study.picture(pair, which))
    monkeypatch.setattr(ratingpage, "TOO_SOON", 0)
    return ratingpage.RatingPage("smoke")


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


def test_a_press_meant_for_the_pair_before_is_no_vote(page, monkeypatch):
    enter(page, "anna")
    monkeypatch.setattr(ratingpage, "TOO_SOON", 60)
    page.choices["left"].click()
    assert page.rating.progress == (0, 6)


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
    assert "is missing: make study PROFILE=smoke" in page.pictures.value


def test_the_page_never_reads_the_key_nor_shows_a_rows_name(page, study):
    (study.folder / "key.json").unlink()
    enter(page, "anna")
    page.choices["left"].click()
    shown = page.task.value + page.status.value + page.pictures.value + page.message.value
    assert page.rating.progress == (1, 6) and "gan" not in shown.replace('class="maggan-', "").lower()


def test_without_a_study_the_page_is_one_plain_line(study, capsys):
    (study.folder / "study.json").unlink()
    ratingpage.RatingPage("smoke").show()
    assert capsys.readouterr().out == "There is no study of smoke yet: make study PROFILE=smoke\n"


def test_every_attribute_has_words_in_both_directions():
    from maggan.attributes import ATTRIBUTES

    assert set(ratingpage.TASKS) == set(ATTRIBUTES)
    assert len({words for both in ratingpage.TASKS.values() for words in both}) == 26


def test_a_still_shows_what_the_page_shows(page, study):
    figure = ratingpage.still(study, study.pairs[0])
    words = [text.get_text() for text in figure.texts] + [axes.get_title() for axes in figure.axes]
    assert any(ratingpage.task(study.pairs[0]) in word for word in words) and {"Left", "Source", "Right"} <= set(words)
