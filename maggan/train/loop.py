"""The training loop: `train(variant, profile)`, or `python -m maggan.train ROW PROFILE` from a shell.

All randomness is a function of (seed, iteration), so a run that was interrupted anywhere, `kill -9` included, and
started again ends in the weights of the uninterrupted one: bit for bit on a CPU with the same number of threads.
"""

import json
import time
from contextlib import nullcontext
from dataclasses import asdict

import torch

from ..basics import paths
from ..basics.parallel import launch
from ..basics.progress import interrupts_held, progress
from ..config import DEFAULTS
from ..data import open_faces
from ..profiles import Profile
from ..profiles import profile as named
from ..stages import code_of
from ..systems import SYSTEMS
from ..variants import resolve
from .d_att import trained_ahead
from .disk import Disk
from .memory import memory_told
from .run import Run

CHECKPOINT_SECONDS = 60


def train(variant, profile, seed=0, device=None, devices=1, nodes=1, on_sample=None, **overrides):
    """Train a row, or go on from its last checkpoint; a finished run returns at once.

    variant         a row, a key of `variants.ROWS`
    profile         where the faces come from, their size, how long to train: a Profile, or its name
    seed            of the weights, the order of faces and the targets
    device          "cpu" or "cuda"; None takes a GPU if there is one, and TensorFloat-32 there
    devices, nodes  how many processes share a batch on each of so many machines
    on_sample       called with (run folder, iteration) after each sample sheet, for live pictures
    overrides       any other field of `Config`, e.g. lambda_3=50

    Writes into `paths.run_folder(profile, variant, seed)`: config.json, log.jsonl (one line an iteration),
    samples/*.png, snapshots/*.safetensors where the profile wants some, checkpoint.pt and, at the end,
    weights.safetensors and run.json. Returns that folder.
    Raises MagganError when a loss is not finite; the last good checkpoint is kept then.
    """
    profile = profile if isinstance(profile, Profile) else named(profile)  # the one door that takes a name
    config = resolve(variant, profile, seed, **overrides)
    folder = paths.run_folder(profile, variant, seed)
    fabric = launch(device, devices, nodes, config.precision, SYSTEMS[config.system].part_by_part)
    if fabric.device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TensorFloat-32
        torch.cuda.reset_peak_memory_stats(fabric.device)  # the peak is to be this run's
    # one training at a time writes into a run's folder; the first process of one holds the place for all of its own
    with paths.locked(folder) if fabric.is_global_zero else nullcontext():
        return train_alone(config, profile, folder, fabric, on_sample)


def train_alone(config, profile, folder, fabric, on_sample):
    """Train a row in a folder that no other training writes into; returns the folder."""
    if fabric.is_global_zero:  # first alone: it prepares the faces if nobody has
        faces = open_faces(profile, "train")
        code = code_of("train", profile.world, config.system)
        fresh_start_if_changed(folder, config, {"code": code, "faces": faces.identity})
    fabric.barrier()
    if (folder / "weights.safetensors").exists():
        print(f"{folder.name} is finished ({config.iterations} iterations)")
        return folder
    faces = open_faces(profile, "train")
    with interrupts_held() as interrupted, memory_told(config, fabric.device):
        run = Run(config, fabric, faces)
        if run.d_att:
            with fabric.rank_zero_first():
                learnt = trained_ahead(config, folder.parent, code_of("d_att", profile.world), faces, fabric.device)
            run.d_att.load_state_dict(learnt.state_dict())
        disk = Disk(run, folder, open_faces(profile, "validation"))
        disk.load()
        left = range(run.iteration, config.iterations)
        steps = progress(left, folder.name, total=config.iterations, initial=run.iteration)
        for _ in steps:
            parts = run.step()
            disk.log(parts)
            steps.set_postfix({name.removeprefix("L_"): f"{value:.3g}" for name, value in parts.items()}, refresh=False)
            if run.iteration % profile.sample_every == 0:
                disk.sample(on_sample)
            if profile.snapshots and run.iteration * profile.snapshots % config.iterations < profile.snapshots:
                disk.snapshot()
            if interrupted or time.monotonic() - disk.saved_at > CHECKPOINT_SECONDS:
                disk.save()
            if interrupted:
                raise KeyboardInterrupt
        disk.finish()
    return folder


def fresh_start_if_changed(folder, config, made_of):
    """Put a run of another config, code or faces aside, so that nothing is lost and nothing is mixed."""
    wanted = {"config": asdict(config), **made_of}
    file = folder / "config.json"
    if file.exists() and as_now(file) != wanted:
        aside = folder.with_name(f"{folder.name}.before-{time.strftime('%Y%m%d-%H%M%S')}")
        folder.rename(aside)
        print(f"the code, the settings or the faces of {folder.name} have changed: the old run is kept as {aside.name}")
    if not file.exists():
        paths.write_text(file, json.dumps(wanted, indent=1, sort_keys=True) + "\n")


def as_now(file):
    """What a run was made of, where settings that are newer than the run have their defaults; None if damaged."""
    try:
        written = json.loads(file.read_text())
        return {**written, "config": {**DEFAULTS, **written["config"]}}
    except (ValueError, KeyError, TypeError):
        return None
