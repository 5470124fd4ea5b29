"""`python -m maggan.reference PROFILE` makes your finished run the reference that later tables are compared with."""

import json
import os
import shutil

from ..basics import paths
from ..basics.errors import MagganError
from ..data import source_of
from ..evaluate import Results
from ..variants import VARIANTS
from .claims import write_claims
from .gallery import FIGURES
from .tables import TABLES, lines_of, write_table


def promote(results, rows=tuple(VARIANTS)):
    """Make your finished run of a profile the reference: metrics, tables, claims, figures and what it ran on.

    `rows` must all be finished. Figures are copied as they were drawn, as PNG; of photos, only those without people. Of
    the other sizes in Table 1 the metrics go along.
    Returns results/reference/<profile>. Raises MagganError naming the first row that is missing.
    """
    profile, yours = results.profile, results.yours
    for slug in rows:
        if slug not in yours:
            raise MagganError(f"{paths.metrics_file(slug, profile)} is not there, so nothing was promoted: "
                              f"{results.command(slug)}")  # fmt: skip
    judges = paths.judges_file(profile)
    if results.judges is None:
        raise MagganError(f"{judges} is not there, so nothing was promoted: python -m maggan.judges {profile.name}")
    target = paths.results_folder(profile, "reference")
    files = [file for slug in yours for file in paths.metrics_files(slug, profile).values()]
    runs = {file.stem: json.loads(file.read_text()) for file in files}
    seconds = {name: run.get("wall_seconds", {}) for name, run in runs.items()}
    machine = {
        "cores": os.cpu_count(),
        "device": sorted({run["device"] for run in runs.values()}),
        "wall_seconds": {**seconds, "judges": results.judges["wall_seconds"]},
    }
    for old in (file for slug in yours for file in paths.metrics_files(slug, profile, "reference").values()):
        old.unlink()  # a run of fewer seeds must not be averaged with an older one
    copy_into(target / "metrics", [*files, judges])
    copy_into(target / "learning", sorted(paths.learning_file("any", profile).parent.glob("*.json")))
    for line in lines_of("table1", results):
        at = line.results.profile
        if at != profile:
            copy_into(paths.results_folder(at, "reference") / "metrics", paths.metrics_files(line.slug, at).values())
    results = Results(profile)  # now yours and the reference are the same
    tables = [write_table(table, results) for table in TABLES] + [write_claims(results)]
    folder = tables[0].parent
    copy_into(target / "tables", sorted([*folder.glob("table?.*"), *folder.glob("claims.*")]))
    shown = [name for name, drawing in FIGURES.items() if not (source_of(profile).people and drawing.people)]
    drawn = [paths.figure_file(name, profile) for name in shown]
    copy_into(target / "figures", [file for file in drawn if file.exists()])
    paths.write_text(target / "machine.json", json.dumps(machine, indent=1, sort_keys=True) + "\n")
    return target


def copy_into(folder, files):
    for file in files:
        with paths.replacing(folder / file.name) as partial:
            shutil.copyfile(file, partial)
