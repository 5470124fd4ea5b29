"""The paper's tables beside ours: the paper's numbers, the reference run's and yours, with intervals.

`python -m maggan.tables table1|table2|table3 PROFILE` prints one and writes CSV, Markdown, LaTeX and a picture.
"""

from typing import NamedTuple

import pandas as pd

from ..basics import paths
from ..basics.errors import nearest
from ..data import source_of
from ..evaluate import Results
from ..study import votes
from ..variants import LIMITS, OURS, ROWS, deviations, resolve
from .formats import latex, markdown, picture

TABLES = ("table1", "table2", "table3")

SOURCES = ("paper", "reference", "yours")
# name, key in the metrics, key in the paper's CSV, factor, decimals
COLUMNS = (
    ("MRE ↓", "mre", "mre", 1, 4),
    ("floor", "mre_floor", None, 1, 4),
    ("excess ↓", "mre_excess", None, 1, 4),
    ("Acc. 1.0 %", "accuracy_1.0", None, 100, 1),
    ("Acc. 1.5 %", "accuracy_1.5", "accuracy", 100, 1),
    ("PSNR", "psnr", "psnr", 1, 2),
    ("SSIM", "ssim", "ssim", 1, 3),
    ("Truth gain ↑", "truth_gain", None, 1, 4),
    ("FID ↓", "fid", "fid", 1, 2),
)
# What the paper's Table 3 says of MRE: the first is lower than the second.
ORDER = (
    ("stgan-mre", "stgan"), ("maggan-no-mre", "stgan"), ("maggan", "stgan"),
    ("maggan", "stgan-mre"), ("maggan", "maggan-no-mre"),
)  # fmt: skip


class Line(NamedTuple):
    """One line of a table: a row with the results of its size, and the paper's numbers for it ({} without any)."""

    title: str
    slug: str
    results: Results
    paper: dict


def lines_of(table, results):
    """The lines of "table1" or "table3", in the paper's order, and in Table 3 our own rows after them.

    Table 1 compares sizes: the paper's 128, 256, 512 and 1024 px are half the profile's size, the profile itself,
    twice and four times its size, as far as there are such profiles. Photos have no true edit in Table 3.
    """
    printed = pd.read_csv(paths.paper() / f"{table}.csv").to_dict("records")
    if table == "table1":
        sizes = [(row, results.at(row["size"] / 256)) for row in printed]
        return [
            Line(f"{row['method']}, {at.profile.size} px (paper: {row['size']} px)", row["method"].lower(), at, row)
            for row, at in sizes if at
        ]  # fmt: skip
    extra = {slug: f"{ROWS[slug].title} (ours, beyond the paper)" for slug in OURS} | LIMITS
    if not source_of(results.profile).true_edits:
        del extra["true-edit"]
    rows = [Line(row["method"], row["row"], results, row) for row in printed]
    return rows + [Line(title, slug, results, {}) for slug, title in extra.items()]


def values(table, results):
    """A table as numbers, one a line: row, profile, metric, source, value, low, high, n, cannot_judge, outside.

    Accuracies are in percent. `cannot_judge` says why a metric can't; `outside` is true where your value lies outside
    the reference's interval.
    """
    frame = []
    for line in lines_of(table, results):
        about = {"row": line.slug, "profile": line.results.profile.name}
        runs = {source: getattr(line.results, source).get(line.slug, {}) for source in SOURCES[1:]}
        for _, key, paper_key, factor, _ in COLUMNS:
            if paper_key in line.paper:
                frame.append({**about, "metric": key, "source": "paper", "value": line.paper[paper_key]})
            for source, run in runs.items():
                entry = run.get("metrics", {}).get(key)
                if entry and entry["value"] is not None:
                    numbers = {name: entry[name] and factor * entry[name] for name in ("value", "low", "high")}
                    why = entry.get("cannot_judge")
                    frame.append({**about, "metric": key, "source": source, **numbers, "n": entry["n"],
                                  "cannot_judge": why})  # fmt: skip
    columns = ["row", "profile", "metric", "source", "value", "low", "high", "n", "cannot_judge"]
    frame = pd.DataFrame(frame, columns=columns)
    frame["n"] = frame["n"].astype("Int64")
    reference = frame[frame.source == "reference"].set_index(["row", "profile", "metric"])
    frame["outside"] = [
        line.source == "yours"
        and (where := (line.row, line.profile, line.metric)) in reference.index
        and pd.notna(reference.low[where])  # FID of large networks has no interval
        and not reference.low[where] <= line.value <= reference.high[where]
        for line in frame.itertuples()
    ]
    return frame


def as_text(table, results):
    """A table as text, ready to read: for each metric the paper's number, the reference's and yours.

    Intervals are half widths; † marks your value where it lies outside the reference's interval. The last
    column says what was run, or the command that runs the row.
    """
    if table == "table2":
        return ratings(results)
    numbers = values(table, results)
    sources = shown_sources(numbers)
    numbers = numbers.set_index(["row", "profile", "metric", "source"])
    measured, rows = set(numbers.index.get_level_values("metric")), {}
    for line in lines_of(table, results):
        cells = rows[line.title] = {}
        for name, key, paper_key, _, decimals in (column for column in COLUMNS if column[1] in measured):
            for source in sources if paper_key else sources[1:]:
                where = (line.slug, line.results.profile.name, key, source)
                cells[name, source] = cell(numbers.loc[where], decimals) if where in numbers.index else "–"
        run = line.results.yours.get(line.slug)
        cells["", "run"] = (
            f"{run['faces']} faces" + (f", {run['iterations']} iterations" if "iterations" in run else "")
            + (f", {len(run['seeds'])} seeds" if len(run["seeds"]) > 1 else "")
            if run else f"not run: {line.results.command(line.slug)}"
        )  # fmt: skip
    frame = pd.DataFrame(rows).T
    frame.columns = pd.MultiIndex.from_tuples(frame.columns)
    return frame.rename_axis("Methods")


def shown_sources(numbers):
    """The paper, the reference and yours, without the reference where yours is the same run."""
    yours, reference = (numbers[numbers.source == source].drop(columns=["source", "outside"]).reset_index(drop=True)
                        for source in ("yours", "reference"))  # fmt: skip
    return ("paper", "yours") if len(yours) and yours.equals(reference) else SOURCES


def preferences(results):
    """Table 2 as numbers, one a line: winner, group, source, value, low, high, n; percent of pairs won.

    Yours are people's votes alone; a simulated rater's have a table of their own (`votes.simulated_table`).
    """
    printed = pd.read_csv(paths.paper() / "table2.csv").melt("winner", var_name="group").assign(source="paper")
    found = votes.outcome(results.profile)
    if found:
        printed = pd.concat([printed, percent(found[2]).assign(source="yours")])
    return printed.reindex(columns=["winner", "group", "source", "value", "low", "high", "n"]).astype({"n": "Int64"})


def percent(shares):
    """Shares of pairs in percent."""
    return shares.assign(**{name: 100 * shares[name] for name in ("value", "low", "high")})


def ratings(results):
    """Table 2, which of two edits people prefer: the paper's percentages, and ours once there are ratings."""
    numbers = preferences(results).set_index(["winner", "group", "source"])
    cells = {}
    for group, title in votes.GROUPS.items():
        for source in ("paper", "yours"):
            cells[f"{title} %", source] = [
                votes.cell(numbers.loc[where], 1) if (where := (winner, group, source)) in numbers.index
                else "no ratings yet" for winner in votes.WINNERS
            ]  # fmt: skip
    return pd.DataFrame(cells, index=pd.Index(votes.WINNERS, name="Methods"))


def cell(line, decimals):
    """A value, half its interval's width and the mark; of a metric that can't judge, that."""
    if isinstance(line.cannot_judge, str):
        return "cannot judge"
    text = f"{line.value:.{decimals}f}"
    if pd.notna(line.low):
        text += f" ±{(line.high - line.low) / 2:.{decimals}f}"
    return text + ("†" if line.outside else "")


def notes(table, results):
    """What a reader must know to read the table, computed from the runs."""
    profile, yours = results.profile, results.yours
    if table == "table2":
        paper = "The paper: 500 pairs of edits of 100 photos at 256 px, three raters each, percent of pairs."
        found = votes.outcome(profile)
        if found is None:
            return [f"{paper} Ours stays empty until people have rated our edits: make study, then make rate."]
        said = [f"{profile.name}: {profile.note}."] if profile.note else []
        study = f"Yours: people's votes on {profile.world} faces of {profile.size} px, of the two rows compared."
        return [*said, paper, study, *votes.notes(*found[:2])]
    lines = [f"{profile.name}: {profile.note}."] if profile.note else []
    relations = sorted({run["table"] for run in yours.values()})
    size = f" of {profile.size} px" if table == "table3" else ""
    paper_size = " at 256 px" if table == "table3" else ""
    lines += [
        f"Yours and reference: {profile.world} faces{size}; the paper: CelebA{paper_size}, so compare "
        f"the order of rows, not the numbers. ± is half the 95 % interval, {over_what(results)}; † lies outside the "
        "reference's interval; – was not measured.",
        f"MRE: pixel range [-1, 1], 13 single flips at strength 1.0, relation table {', '.join(relations) or 'paper'}, "
        "always with the parser's (drawn faces: the true) masks. Floor: MRE of the plain reconstruction; excess: what "
        "the edit adds to it. Acc.: flips at strength 1.0 and 1.5, conflicts released as in STGAN's test; the paper "
        "names no strength and stands beside 1.5, STGAN's published protocol. PSNR, SSIM: reconstruction, on uint8. "
        "Truth gain: by how much an edit is nearer to the nearest true edit than the untouched face is. FID: features "
        "of our own attribute network; it cannot judge where the true edits themselves score worse by it.",
    ]
    if table == "table1":
        lines.append("Every size has judges of its own, trained at that size: compare accuracy and FID within a size. "
                     f"The judges below are those of {profile.size} px.")  # fmt: skip
    order = order_notes(yours) if table == "table3" else []
    return [*lines, *judge_notes(results.judges), *recipe_notes(profile, yours), *order]


def over_what(results):
    """What the intervals are over, in words."""
    if not results.several:
        return "over test images (bootstrap); another seed may move a number by more"
    return f"over seeds and test images, with one deviation of seeds for all rows, from {results.several}"


def judge_notes(report):
    """How well the judges read faces themselves, from their report, if there is one."""
    if report is None:
        return []
    lines = []
    roles = (("classifier", "Acc."), ("second", "Acc. of the second judge"), ("features", "FID"))
    for name, role in (each for each in roles if each[0] in report):
        judge = report[name]
        text = f"The network behind {role} reads {100 * judge['test']['mean']:.1f} % of the attributes of "
        text += f"{judge['test']['faces']} test faces right"
        if "counterfactuals" in judge:
            text += f" and {100 * judge['counterfactuals']['mean']:.1f} % of the flips of true counterfactuals"
        lines.append(text + ".")
    return lines


def recipe_notes(profile, yours):
    """Where the profile's recipe leaves the large profiles', for all rows alike; or which rows had another one."""
    trained = {slug: run["settings_hash"] for slug, run in yours.items() if "settings_hash" in run}
    before = [slug for slug, settings in trained.items() if settings != resolve(slug, profile).hash()]
    if before:
        rows = "All rows" if len(before) == len(trained) else ", ".join(before)
        return [f"{rows}: trained with other settings than today's, so what you train now will differ."]
    changed = [f"{name} {ours} ({theirs})" for name, (theirs, ours) in sorted(deviations(profile).items())]
    if not changed:
        return []
    return [f"Recipe of every row, in brackets that of the large profiles, STGAN's: {', '.join(changed)}."]


def order_notes(runs):
    """Whether the paper's order of MRE holds in your runs."""
    lines = []
    for low, high in ORDER:
        if low in runs and high in runs:
            a, b = (runs[slug]["metrics"]["mre"] for slug in (low, high))
            apart = a["high"] < b["low"] or b["high"] < a["low"]
            verdict = "holds" if a["value"] < b["value"] else "does not hold"
            verdict = verdict if apart else "open, the intervals overlap"
            ratio = a["value"] / b["value"] if b["value"] else float("nan")
            lines.append(f"MRE of {low} below {high}: {verdict} ({a['value']:.4f} / {b['value']:.4f} = {ratio:.2f}).")
    return lines


def write_table(table, results):
    """Write results/<profile>/tables/<table>.{csv,md,tex,png,pdf}; returns the Markdown file.

    The CSV has the numbers, one a line; the others the table as it is read, with its notes. Raises MagganError
    for an unknown table.
    """
    if table not in TABLES:
        raise nearest(table, TABLES, "table")
    frame, said = as_text(table, results), notes(table, results)
    numbers = preferences(results) if table == "table2" else values(table, results)
    texts = {
        "csv": numbers.to_csv(index=False, float_format="%.6g"),
        "tex": latex(frame, said),
        "md": markdown(frame, said),
    }
    for kind, text in texts.items():
        paths.write_text(paths.table_file(table, results.profile, kind), text)
    figure = picture(frame, said)
    for kind, about in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
        with paths.replacing(paths.table_file(table, results.profile, kind)) as partial:
            figure.savefig(partial, format=kind, dpi=200, metadata=about)
    return paths.table_file(table, results.profile)
