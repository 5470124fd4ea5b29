"""`python -m maggan.page lab|demo|rate`: JupyterLab, the edit studio or the rating page, of this computer alone."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from maggan.basics import paths
from maggan.basics.errors import MagganError, cli

PAGES = {  # what starts each, and on which notebook
    "lab": (["jupyter", "lab", "--notebook-dir=."], "00-start-here"),
    "demo": (["voila"], "15-edit-studio"),
    "rate": (["voila"], "16-rate-edits"),
}


def main():
    parser = argparse.ArgumentParser(prog="python -m maggan.page", description=__doc__.split(": ")[1])
    parser.add_argument("page", choices=PAGES)
    parser.add_argument("--profile", default="drawn64", help="whose study is rated")
    parser.add_argument("--model", help="the run folder of a model for photos")
    parser.add_argument("--parser", help="the face parser that its masks were made with")
    parser.add_argument("--port")
    args = parser.parse_args()
    if args.parser and not args.model:
        raise MagganError(f"PARSER is that of a model for photos; name both: make {args.page} MODEL=folder PARSER=file")
    paths.settle()
    settings = str(paths.ROOT / "page")  # Jupyter's and Voila's, and Voila's page
    os.environ |= {"JUPYTER_CONFIG_PATH": settings, "JUPYTER_PATH": settings}
    os.environ |= {"MAGGAN_PROFILE": args.profile} if args.page == "rate" else {}
    for name, value in (("MAGGAN_MODEL", args.model), ("MAGGAN_PARSER", args.model and args.parser)):
        os.environ[name] = str(Path(value).expanduser().absolute()) if value else ""  # a kernel runs elsewhere
    command, notebook = PAGES[args.page]
    port = [f"--port={args.port}"] if args.port else []
    started = [sys.executable, "-m", *command, *port, f"notebooks/{notebook}.ipynb"]
    sys.exit(subprocess.call(started, cwd=paths.ROOT))


if __name__ == "__main__":
    cli(main)
