"""Arguments that several commands have, each spelled once."""

import argparse

from .profiles import profile

ARGUMENTS = {
    "row": dict(help="a row, such as maggan"),
    "profile": dict(type=profile, help="where faces come from, their size, how long to train: drawn64, ..."),
    "--seed": dict(type=int, default=0),
    "--device": dict(choices=["cpu", "cuda"], help="default: a GPU if there is one"),
    "--devices": dict(type=int, default=1, help="processes that share the work, on each machine"),
    "--nodes": dict(type=int, default=1, help="machines, under torchrun or SLURM"),
}


def arguments(command, description, *shared):
    """The parser of `python -m maggan.<command>` with some of the `ARGUMENTS`; profiles are resolved here, and once."""
    parser = argparse.ArgumentParser(prog=f"python -m maggan.{command}", description=description)
    for name in shared:
        parser.add_argument(name, **ARGUMENTS[name])
    return parser
