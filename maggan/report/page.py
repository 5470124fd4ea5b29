"""The whole companion of a profile on one page: tables, claims and their predicates, figures, settings, notebooks.

`python -m maggan.report PROFILE` writes results/<profile>/report.html: one file that needs no network, made from
what lies in results/ alone, so that the same results give the same bytes.
"""

import ast
import base64
import inspect
import json
import os
import re
import textwrap
from dataclasses import asdict
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from ..basics import paths
from ..config import FIXED
from ..data import source_of
from ..variants import LIMITS, ROWS, TITLES, deviations, resolve
from . import atoms, claims, gallery, statistics, tables

COMMAND = re.compile(r"\b(make [\w-]+ [A-Z]+=[^<]*|python -m maggan\.[^<]*)")
CAPTIONS = ("Table 1: systems and sizes", "Table 2: which of two edits people prefer", "Table 3: the ablation")


def here(text):
    """A text without the places of this machine: what lies in results, runs or the repository is named from there."""
    for place, name in ((paths.results(), "results"), (paths.runs(), "runs"), (paths.ROOT, ".")):
        text = text.replace(str(place), name)
    return text


def with_code(text):
    """A text as HTML, its commands in code font."""
    return Markup(COMMAND.sub(r"<code>\1</code>", str(escape(here(text)))))


def html(frame, caption):
    """A table as HTML: a caption, headers that say what they head, commands in code font; nothing of an empty one."""
    if frame.empty:
        return ""
    frame = frame.map(lambda cell: here(shown(cell)))
    frame.columns.names = [None] * (frame.columns.nlevels - 1) + [frame.index.name]
    frame.index.name = None
    head, body = re.sub(r' (style|halign)="[^"]*"', "", frame.to_html(border=0)).split("<tbody>")
    head = head.replace("<thead>", f"<caption>{escape(caption)}</caption>\n<thead>").replace("<th></th>", "<td></td>")
    head = head.replace("<th>", '<th scope="col">').replace("<th colspan", '<th scope="colgroup" colspan')
    return Markup(head + "<tbody>" + COMMAND.sub(r"<code>\1</code>", body.replace("<th>", '<th scope="row">')))


def source(claim):
    """The source of a claim's atoms; of those that have no name of their own, the claim's whole entry in CLAIMS."""
    if "<" in claim.atoms.__qualname__:  # a lambda or made by a function: getsource would give half of what it says
        text = inspect.getsource(claims)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and node.args and getattr(node.args[0], "value", None) == claim.says:
                return textwrap.dedent(ast.get_source_segment(text, node, padded=True))
    return inspect.getsource(claim.atoms)


def vocabulary():
    """The source of what all predicates use: margins, comparisons, and the two tests."""
    margins = ("HAIR", "NEARLY", "ABOUT", "POINT", "FAILS", "DECIBELS")
    constants = "\n".join(f"{name} = {getattr(claims, name)!r}" for name in margins)
    used = (claims.lower, claims.higher, claims.near, claims.beside, atoms.Comparison, statistics.Levels,
            statistics.Estimate, statistics.p_values, statistics.holm)  # fmt: skip
    return "\n\n\n".join([constants, *(inspect.getsource(each).rstrip() for each in used)]) + "\n"


def figures(profile):
    """Every figure of the gallery, {name, text, data}; data is its PNG in base64, or None where it is not drawn."""
    found = []
    for name, drawing in gallery.FIGURES.items():
        file = paths.figure_file(name, profile)
        data = base64.b64encode(file.read_bytes()).decode() if file.exists() else None
        found.append({"name": name, "text": drawing.shows, "data": data})
    return found


def measured(profile):
    """What each metrics file says of its run; * marks a hash that is not that of today's settings."""
    lines = {}
    for slug in [*ROWS, *LIMITS]:
        for seed, file in paths.metrics_files(slug, profile).items():
            run = json.loads(file.read_text())
            today = resolve(slug, profile, seed).hash() if slug in ROWS else None
            trained, seconds = run.get("config_hash"), run.get("wall_seconds", {})
            lines[f"{slug}-seed{seed}"] = {
                "row": TITLES.get(slug) or LIMITS[slug],
                "config": trained and trained + " *" * (trained != today),
                "iterations": run.get("iterations"),
                "test faces": run["faces"],
                **{f"{what}, s": seconds.get(what) for what in ("train", "evaluate")},
                "device": run.get("device"),
                "versions": ", ".join(f"{name} {number}" for name, number in sorted(run.get("versions", {}).items())),
            }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("run and seed")


def settings(profile, slugs):
    """The settings of rows as text: those in which they differ, a line a row, and the common ones, a line each."""
    configs = {TITLES[slug]: asdict(resolve(slug, profile)) for slug in slugs}
    frame = pd.DataFrame.from_dict(configs, orient="index").drop(columns=[*FIXED], errors="ignore").map(shown)
    differ = [name for name in frame if frame[name].nunique() > 1]
    common = frame.drop(columns=differ).iloc[:1].set_axis(["value"][: len(frame)]).T
    return frame[differ].rename_axis("row"), common.rename_axis("setting")


def shown(value):
    """A setting or measured number as text; what is not there as a dash."""
    text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return "–" if text in ("None", "nan", "") else text


def notebooks(profile):
    """The notebooks: executed copies, and the repository's own where there is none; {title, name, href}."""
    folder = paths.results_folder(profile).resolve()
    done = [file for file in (folder / "notebooks").glob("*.ipynb") if not file.stem.endswith(".partial")]
    plain = [file for file in paths.notebooks().glob("*.ipynb")
             if not any(f"{copy.stem}-".startswith(f"{file.stem}-") for copy in done)]  # fmt: skip
    linked = done + plain if folder.is_relative_to(paths.ROOT) else done  # no link through this machine's folders
    return [
        {"title": heading(file), "name": file.name, "executed": file in done,
         "href": Path(os.path.relpath(file, folder)).as_posix() if file in linked else None}
        for file in sorted([*done, *plain], key=lambda file: file.name)
    ]  # fmt: skip


def heading(file):
    """The first heading of a notebook; its name where there is none."""
    try:
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError):
        return file.stem
    lines = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown").splitlines()
    return next((line.lstrip("# ") for line in lines if line.startswith("#")), file.stem)


def write_report(results):
    """Write results/<profile>/report.html; returns its path."""
    profile = results.profile
    judged = [{**verdict, "source": source(claim)}
              for verdict, claim in zip(claims.judge(results), claims.CLAIMS, strict=True)]  # fmt: skip
    differ, common = settings(profile, [slug for slug in ROWS if paths.metrics_files(slug, profile)])
    recipe = pd.DataFrame(deviations(profile), index=["large profiles", "here"], dtype=object).T.sort_index()
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    pages.filters.update(here=here, with_code=with_code)
    page = pages.get_template("report.html").render(
        profile=profile, photos=source_of(profile).needs, vocabulary=vocabulary(),
        tables=[(html(tables.as_text(name, results), title), tables.notes(name, results))
                for name, title in zip(tables.TABLES, CAPTIONS, strict=True)],
        claims=judged, counts=claims.counted(judged), figures=figures(profile),
        runs=html(measured(profile), "What was run: hashes, times, versions"),
        differ=html(differ, "Settings in which the rows differ"),
        common=html(common, "Settings that all rows run here share"),
        recipe=html(recipe.rename_axis("setting"), "The recipe, where it leaves STGAN's"),
        notebooks=notebooks(profile),
    )  # fmt: skip
    return paths.write_text(paths.results_folder(profile) / "report.html", page)
