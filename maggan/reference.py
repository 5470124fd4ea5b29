"""`python -m maggan.reference PROFILE` makes your finished run the reference that later tables are compared with."""

import argparse
import json
import os
import shutil

from . import paths
from .claims import write_claims
from .errors import MagganError, cli
from .evaluate import metrics_file
from .gallery import FIGURES, OF_FACES
from .measured import command, metrics_files, read_metrics
from .profiles import profile as get_profile
from .tables import TABLES, lines_of, write_table
from .variants import VARIANTS


def promote(profile, rows=tuple(VARIANTS)):
    """Make your finished run of a profile the reference: metrics, tables, claims, figures and what it ran on.

    `rows` must all be finished. Figures are copied as they were drawn, as PNG; of photos, only those without people. Of
    the other sizes in Table 1 the metrics go along.
    Returns results/reference/<profile>. Raises MagganError naming the first row that is missing.
    """
    profile = get_profile(profile)
    yours = read_metrics(profile, "yours")
    for slug in rows:
        if slug not in yours:
            raise MagganError(f"{metrics_file(slug, profile)} is not there, so nothing was promoted: "
                              f"{command(slug, profile)}")  # fmt: skip
    mine = paths.results() / profile.name
    judges = mine / "metrics" / "judges.json"
    if not judges.exists():
        raise MagganError(f"{judges} is not there, so nothing was promoted: python -m maggan.judges {profile.name}")
    target = paths.reference() / profile.name
    files = [file for slug in yours for file in metrics_files(slug, profile).values()]
    runs = {file.stem: json.loads(file.read_text()) for file in files}
    seconds = {name: run.get("wall_seconds", {}) for name, run in runs.items()}
    machine = {
        "cores": os.cpu_count(),
        "device": sorted({run["device"] for run in runs.values()}),
        "wall_seconds": {**seconds, "judges": json.loads(judges.read_text())["wall_seconds"]},
    }
    for old in (file for slug in yours for file in metrics_files(slug, profile, "reference").values()):
        old.unlink()  # a run of fewer seeds must not be averaged with an older one
    copy_into(target / "metrics", [*files, judges])
    copy_into(target / "learning", sorted((mine / "learning").glob("*.json")))
    for _, slug, at, _ in lines_of("table1", profile):
        if at != profile:
            copy_into(paths.reference() / at.name / "metrics", metrics_files(slug, at).values())
    for table in TABLES:  # now yours and the reference are the same
        folder = write_table(table, profile).parent
    write_claims(profile)
    copy_into(target / "tables", sorted([*folder.glob("table?.*"), *folder.glob("claims.*")]))
    shown = [name for name in FIGURES if profile.world == "drawn" or name not in OF_FACES]
    drawn = [mine / "figures" / f"{name}.png" for name in shown]
    copy_into(target / "figures", [file for file in drawn if file.exists()])
    with paths.replacing(target / "machine.json") as partial:
        partial.write_text(json.dumps(machine, indent=1, sort_keys=True) + "\n")
    return target


def copy_into(folder, files):
    for file in files:
        with paths.replacing(folder / file.name) as partial:
            shutil.copyfile(file, partial)


def main():
    parser = argparse.ArgumentParser(prog="python -m maggan.reference", description="Promote a finished run.")
    parser.add_argument("profile")
    parser.add_argument("rows", nargs="*", help="the rows that must be finished (default: Table 3's)")
    args = parser.parse_args()
    print(promote(args.profile, tuple(args.rows) or tuple(VARIANTS)))


if __name__ == "__main__":
    cli(main)
