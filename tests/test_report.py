"""The page of a profile: whole without a network, the same each time, and silent about the machine it was made on."""

import json
import sys
from html import unescape
from html.parser import HTMLParser

import pytest

from maggan.basics import paths
from maggan.basics.errors import MagganError
from maggan.evaluate import Results
from maggan.profiles import profile as named
from maggan.report import __main__ as command
from maggan.report import claims, gallery, tables
from maggan.report import page as report
from maggan.report.figures import Drawing
from maggan.variants import PEERS, VARIANTS, resolve

PNG = b"\x89PNG\r\n\x1a\n made up"


def run(mre, **changes):
    """A row's metrics as `evaluate` writes them."""
    values = {"mre": mre, "fid": 3.0, "accuracy_1.0": 0.75, "accuracy_1.5": 0.85, "psnr": 28.0, "ssim": 0.9}
    metrics = {name: {"value": v, "low": 0.95 * v, "high": 1.05 * v, "n": 600} for name, v in values.items()}
    return {
        "faces": 600, "iterations": 2600, "table": "paper", "device": "cpu, 1 thread(s)", "notes": [],
        "versions": {"torch": "9.8.7"}, "config_hash": "0123456789ab", "metrics": metrics, "per_attribute": {},
        "wall_seconds": {"train": 123.4, "evaluate": 56.7}, **changes,
    }  # fmt: skip


@pytest.fixture
def save(tmp_path, monkeypatch):
    """Saves rows as results of a profile and returns its folder."""
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("MAGGAN_RUNS", str(tmp_path / "runs"))

    def save(rows, profile="drawn64"):
        folder = tmp_path / "results" / profile
        (folder / "metrics").mkdir(parents=True, exist_ok=True)
        for name, metrics in rows.items():
            (folder / "metrics" / f"{name}.json").write_text(json.dumps(metrics))
        return folder

    return save


class Page(HTMLParser):
    """The tags of a page, each with its attributes, and all text, also by the tag it stands in."""

    def __init__(self, file):
        super().__init__()
        self.source, self.tags, self.text, self.inside = file.read_text(encoding="utf-8"), [], "", {}
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data
        self.inside.setdefault(self.tags[-1][0] if self.tags else "", []).append(data.strip())

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def made(profile="drawn64"):
    return Page(report.write_report(Results(named(profile))))


@pytest.fixture
def page(save):
    """The page of a few rows, with one figure and one executed notebook."""
    folder = save({f"{slug}-seed0": run(0.01 * i) for i, slug in enumerate(("maggan", "stgan-mre", "stgan"), 1)})
    (folder / "figures").mkdir()
    (folder / "figures" / "fig6.png").write_bytes(PNG)
    (folder / "notebooks").mkdir()
    for name in ("09-table3.ipynb", "07-train-a-row-stgan seed1.ipynb", "08-evaluate-a-row-stgan.partial.ipynb"):
        cells = [{"cell_type": "code", "source": ["# no"]}, {"cell_type": "markdown", "source": ["# It <ran>\n", "x"]}]
        (folder / "notebooks" / name).write_text(json.dumps({"cells": cells}))
    return made()


def test_the_page_needs_nothing_but_itself(page):
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "poster", "background"):
            link = attributes.get(name)
            assert link is None or link.startswith(("data:", "#", "notebooks/", "../../notebooks/")), (tag, link)
    assert not {"script", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in page.tags}
    assert "url(" not in page.source and "@import" not in page.source and "http" not in page.source.replace(
        "http-equiv", ""
    )  # fmt: skip
    assert "default-src 'none'" in page.source


def test_the_page_can_be_read_by_all(page):
    assert page.all("html") == [{"lang": "en"}] and page.all("meta")[0] == {"charset": "utf-8"}
    assert page.all("img") and all(image["alt"] for image in page.all("img"))
    headings = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3", "h4")]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(headings, headings[1:], strict=False))
    assert len(page.all("table")) == len(page.all("caption")) == 7
    assert all(each.get("scope") for each in page.all("th"))
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert {link["href"][1:] for link in page.all("a") if link["href"].startswith("#")} <= set(names)


def test_every_claim_shows_its_verdict_its_atoms_and_their_code(page):
    judged = claims.judge(Results(named("drawn64")))
    shown = [text for text in page.inside["span"] if text]
    assert shown == [each["verdict"] for each in judged] and {"supported", "not run"} <= set(shown)
    for each, claim in zip(judged, claims.CLAIMS, strict=True):
        assert f"{each['number']}. {claim.says}" in page.text and claim.paper in page.text
        for atom in each["atoms"]:
            assert f": {atom['says']}" in page.text and atom["numbers"] in page.text
            assert atom["verdict"] == "not run" or atom["why"] in page.text
        assert report.source(claim) in page.text
    for text in ("def lower(row, other, key", "class Levels:", "def holm(", f"ABOUT = {claims.ABOUT}"):
        assert text in page.text


def test_the_source_of_a_predicate_is_whole_and_its_own():
    for claim in claims.CLAIMS:
        text = report.source(claim)
        compile(text, claim.says, "exec")
        assert claim.says in text or text.startswith(f"def {claim.atoms.__name__}(runs)")
        assert sum(other.says in text for other in claims.CLAIMS) <= 1


def test_rows_that_were_not_run_show_their_command_as_code(page):
    assert "make row ROW=maggan-seg PROFILE=drawn64" in page.inside["code"]
    assert "make row ROW=maggan PROFILE=drawn128small" in page.inside["code"]


def test_settings_versions_and_times_are_shown(page):
    for text in ("Settings in which the rows differ", "9.8.7", "123.4", "56.7", "0123456789ab *", "spade_condition"):
        assert text in page.text
    assert "is not the hash" in page.text


def test_a_hash_of_todays_settings_has_no_mark(save):
    save({f"{slug}-seed{seed}": run(0.01, config_hash=resolve(slug, named("drawn64"), seed).hash())
          for slug in ("maggan", "attgan") for seed in (0, 1)})  # fmt: skip
    page = made()
    assert "is not the hash" not in page.text and resolve("maggan", named("drawn64"), 1).hash() in page.text


def test_settings_are_split_into_those_that_differ_and_the_rest():
    differ, common = report.settings(named("drawn64"), [*VARIANTS, *PEERS])
    assert {"system", "conditioning", "lambda_3", "spade"} <= set(differ) and "size" not in differ
    assert common.loc["size", "value"] == "64" and differ.loc["(vi) MagGAN", "lambda_3"] == "100"
    assert not set(differ) & set(common.index) and not {"variant", "seed"} & {*differ, *common.index}


def test_figures_are_on_the_page_or_their_command_is(page):
    image = next(each for each in page.all("img") if each["alt"].startswith("fig6: "))
    assert image["alt"] == f"fig6: {gallery.FIGURES['fig6'].shows}"
    assert image["src"].startswith("data:image/png;base64,")
    assert len(page.all("img")) == 1 and "make fig6" not in page.text
    for name, drawing in gallery.FIGURES.items():
        assert drawing.shows in unescape(page.source)
        if name != "fig6":
            make = f"make {name} PROFILE=drawn64"
            assert (make if name.startswith("fig") else f"python -m maggan.gallery {name} drawn64") in page.text


def test_notebooks_are_executed_copies_where_there_are(page):
    links = [link["href"] for link in page.all("a") if link["href"].endswith(".ipynb")]
    assert links == ["notebooks/07-train-a-row-stgan%20seed1.ipynb", "notebooks/09-table3.ipynb"]
    assert "It <ran>" in page.inside["a"]  # escaped, or it would be a tag
    assert "00 · Start here" in page.text and "notebooks/08-evaluate-a-row.ipynb" in page.inside["code"]
    assert "notebooks/07-train-a-row.ipynb" not in page.text


def test_notebooks_of_the_repository_are_linked_from_results_inside_it(save, tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00-start.ipynb").write_text("{}")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    found = report.notebooks(named("smoke"))
    assert [(each["title"], each["href"]) for each in found] == [("00-start", "../../notebooks/00-start.ipynb")]


def test_the_same_results_give_the_same_bytes(page):
    assert report.write_report(Results(named("drawn64"))).read_bytes() == page.source.encode()


@pytest.mark.parametrize("profile", ["smoke", "drawn64", "celeba256"])
def test_a_profile_without_results_has_a_page_that_says_what_to_run(save, profile):
    page = made(profile)
    photos = " CELEBA=folder" if profile == "celeba256" else ""
    assert f"make table3 PROFILE={profile}{photos}" in page.inside["code"]
    assert f"make row ROW=stgan PROFILE={profile}{photos}" in page.inside["code"]
    assert f"make fig1 PROFILE={profile}{photos}" in page.inside["code"]
    assert ("smoke: not a result." in page.inside["strong"]) == (profile == "smoke")
    assert not page.all("img") and "What was run" not in page.text


def test_nothing_names_a_folder_of_this_machine(page, tmp_path):
    assert str(tmp_path) not in page.source and tmp_path.name not in page.source and str(paths.ROOT) not in page.source
    assert "results/drawn64/learning/maggan-multilevel-seed0.json is not there" in page.text


def test_special_characters_are_escaped(save, monkeypatch, tmp_path):
    save({"stgan-seed0": run(0.05, device="<b>&cpu", versions={"a<i>": "1"})})
    monkeypatch.setattr(tables, "notes", lambda table, results: [f"<script>1 & 2</script> in {tmp_path}/runs/x"])
    monkeypatch.setattr(gallery, "FIGURES", {"fig1": Drawing(None, 'a "quoted" <figure>', False, None, ())})
    page = made()
    assert not {"script", "b", "i"} & {tag for tag, _ in page.tags}
    assert "<script>1 & 2</script> in runs/x" in page.text and "<b>&cpu" in page.text
    assert 'a "quoted" <figure>' in page.text


def test_an_unknown_profile_is_one_line(save, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["report", "drawn46"])
    with pytest.raises(MagganError, match="did you mean 'drawn64'"):
        command.main()
