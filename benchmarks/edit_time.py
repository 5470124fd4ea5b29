"""How long an edit takes, and how long the demo's page.

    python benchmarks/edit_time.py            # edits, and the page in the environment that runs this
    python benchmarks/edit_time.py --fresh    # the page from a clone of this folder, its environment included

An edit changes all 13 attributes of one drawn face, on the CPU, with the models that come with the package; medians of
50. The page is ready when Voila has sent it with the first edit in it; how long a browser draws it is not in this.
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import torch

from maggan.attributes import ATTRIBUTES
from maggan.basics.paths import ROOT
from maggan.studio import Studio
from maggan.studio.page import StudioPage

EDITS = 50
WAIT = 600  # seconds for the page, at most


def edit_times():
    """Median milliseconds of one row's edit, of a studio's whole result, and of the page's answer to it."""
    page = StudioPage(Studio())
    studio = page.studio
    times = {"one edit by MagGAN": [], "both rows, true edit, regions": [], "and the page's HTML": []}
    for i in range(EDITS + 1):
        studio.pick(i)
        studio.clear()
        for name in ATTRIBUTES:
            studio.flip(name)
        begun = time.perf_counter()
        shown = studio.shown()
        done = time.perf_counter()
        page._show()
        if i:  # the first warms up
            times["one edit by MagGAN"].append(shown.seconds["maggan"])
            times["both rows, true edit, regions"].append(done - begun)
            times["and the page's HTML"].append(time.perf_counter() - begun)
    return {what: 1000 * statistics.median(some) for what, some in times.items()}


def page_time(folder, *arguments):
    """Seconds from `make demo` in a folder to a page whose first edit is in it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # no browser is opened; and the folder's own package, not the one that runs this
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MAKEFLAGS")}
    command = ["make", "demo", f"PORT={port}", *arguments]
    begun = time.perf_counter()
    demo = subprocess.Popen(command, cwd=folder, env=environment | {"BROWSER": "true"}, start_new_session=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        while time.perf_counter() - begun < WAIT and demo.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=WAIT) as answer:
                    if b"widget-view+json" in answer.read():
                        return time.perf_counter() - begun
                    sys.exit("the page came without its widgets")
            except OSError:
                time.sleep(0.2)
        sys.exit("make demo ended without a page")
    finally:
        os.killpg(demo.pid, signal.SIGTERM)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fresh", action="store_true", help="clone this folder and let make set up all it needs")
    if parser.parse_args().fresh:
        with tempfile.TemporaryDirectory(prefix="maggan-fresh-") as folder:
            clone = Path(folder) / "maggan"
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
            print(f"page ready, from a clone: {page_time(clone):.1f} s")
        return
    print(f"{torch.get_num_threads()} threads; medians of {EDITS} edits of all {len(ATTRIBUTES)} attributes")
    for what, milliseconds in edit_times().items():
        print(f"{what}: {milliseconds:.0f} ms")
    print(f"page ready: {page_time(ROOT, f'PYTHON={sys.executable}'):.1f} s")


if __name__ == "__main__":
    main()
