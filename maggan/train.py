"""Train one row of Table 3: `train(variant, profile)`, or `python -m maggan.train ROW PROFILE` from a shell.

The loop is here, an iteration of it in `run.py`. All randomness is a function of (seed, iteration), so a run that
was interrupted anywhere, `kill -9` included, and started again ends in the weights of the uninterrupted one: bit
for bit on a CPU with the same number of threads.
"""

import argparse
import json
import time
from contextlib import contextmanager
from dataclasses import asdict

import pandas as pd
import torch

from . import paths
from .checkpoints import run_folder
from .data import open_faces
from .dependencies import fingerprint
from .errors import MagganError, cli
from .parallel import launch
from .profiles import profile as get_profile
from .progress import interrupts_held, progress
from .run import Run
from .variants import DEFAULTS, resolve

CHECKPOINT_SECONDS = 60


def train(variant, profile, seed=0, device=None, devices=1, nodes=1, on_sample=None, **overrides):
    """Train a row, or go on from its last checkpoint; a finished run returns at once.

    variant         a row, a key of `variants.ROWS`
    profile         where the faces come from, their size, how long to train
    seed            of the weights, the order of faces and the targets
    device          "cpu" or "cuda"; None takes a GPU if there is one, and TensorFloat-32 there
    devices, nodes  how many processes share a batch on each of so many machines
    on_sample       called with (run folder, iteration) after each sample sheet, for live pictures
    overrides       any other field of `Config`, e.g. lambda_3=50

    Writes into `run_folder(profile, variant, seed)`: config.json, log.jsonl (one line an iteration),
    samples/*.png, snapshots/*.safetensors where the profile wants some, checkpoint.pt and, at the end,
    weights.safetensors and run.json. Returns that folder.
    Raises MagganError when a loss is not finite; the last good checkpoint is kept then.
    """
    config = resolve(variant, profile, seed, **overrides)
    folder = run_folder(profile, variant, seed)
    fabric = launch(device, devices, nodes, config.precision, unused=config.system == "icgan")
    if fabric.device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TensorFloat-32
    if fabric.is_global_zero:  # first alone: it prepares the faces if nobody has
        faces = open_faces(profile, "train")
        code = fingerprint("train", get_profile(profile).world, system=config.system)
        made_of = {"code": code, "faces": faces.identity}
        fresh_start_if_changed(folder, config, made_of)
    fabric.barrier()
    if (folder / "weights.safetensors").exists():
        print(f"{folder.name} is finished ({config.iterations} iterations)")
        return folder
    faces = open_faces(profile, "train")
    snapshots = get_profile(profile).snapshots
    with interrupts_held() as interrupted, memory_told(config, fabric.device):
        run = Run(config, folder, fabric, faces, open_faces(profile, "validation"))
        run.load()
        left = range(run.iteration, config.iterations)
        steps = progress(left, folder.name, total=config.iterations, initial=run.iteration)
        for _ in steps:
            parts = run.step()
            run.log(parts)
            steps.set_postfix({name.removeprefix("L_"): f"{value:.3g}" for name, value in parts.items()}, refresh=False)
            if run.iteration % get_profile(profile).sample_every == 0:
                run.sample(on_sample)
            if snapshots and run.iteration * snapshots % config.iterations < snapshots:
                run.snapshot()
            if interrupted or time.monotonic() - run.saved_at > CHECKPOINT_SECONDS:
                run.save()
            if interrupted:
                raise KeyboardInterrupt
        run.finish()
    return folder


@contextmanager
def memory_told(config, device):
    """Where the device's memory will not do: MagganError that says what is needed, and what to change."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        from .memory import GB, needs, remedy

        there = torch.cuda.get_device_properties(device).total_memory
        said = f"{needs(config)}; this device has {there / GB:.0f} GB, and other processes may hold some of it"
        raise MagganError(f"{said}: take {remedy(config, there)}") from None


def is_out_of_memory(error):
    """Whether an error says that a device's memory is full; libraries that PyTorch calls say it in their own words."""
    words = "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"
    return isinstance(error, torch.OutOfMemoryError) or any(each in str(error) for each in words)


def fresh_start_if_changed(folder, config, made_of):
    """Put a run of another config, code or faces aside, so that nothing is lost and nothing is mixed."""
    wanted = {"config": asdict(config), **made_of}
    file = folder / "config.json"
    if file.exists() and as_now(file) != wanted:
        aside = folder.with_name(f"{folder.name}.before-{time.strftime('%Y%m%d-%H%M%S')}")
        folder.rename(aside)
        print(f"the code, the settings or the faces of {folder.name} have changed: the old run is kept as {aside.name}")
    if not file.exists():
        with paths.replacing(file) as partial:
            partial.write_text(json.dumps(wanted, indent=1, sort_keys=True) + "\n")


def as_now(file):
    """What a run was made of, where settings that are newer than the run have their defaults; None if damaged."""
    try:
        written = json.loads(file.read_text())
        return {**written, "config": {**DEFAULTS, **written["config"]}}
    except (ValueError, KeyError, TypeError):
        return None


def read_log(folder):
    """The log as a table, one row an iteration; of an iteration that ran twice around a kill, the later one."""
    rows = {}
    with open(folder / "log.jsonl") as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                continue  # torn by a kill
            rows[row["iteration"]] = row
    return pd.DataFrame([rows[i] for i in sorted(rows)])


def main():
    parser = argparse.ArgumentParser(prog="python -m maggan.train", description="Train one row of Table 3.")
    parser.add_argument("row")
    parser.add_argument("profile")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["cpu", "cuda"])
    parser.add_argument("--devices", type=int, default=1, help="processes that share a batch, on each machine")
    parser.add_argument("--nodes", type=int, default=1, help="machines, under torchrun or SLURM")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any other setting")
    args = parser.parse_args()
    overrides = {}
    for setting in args.set:
        name, _, value = setting.partition("=")
        try:
            overrides[name] = json.loads(value)
        except ValueError:
            overrides[name] = value
    print(train(args.row, args.profile, args.seed, args.device, args.devices, args.nodes, **overrides))


if __name__ == "__main__":
    cli(main)
