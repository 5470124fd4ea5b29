"""The two networks that judge edits: an attribute classifier for accuracy, a feature network for FID.

Both learn the 13 attributes from the profile's training faces, none of them a test face. On drawn worlds some
of those are decorrelated, for a judge of correlated faces reads the correlation and fails on single flips; its
accuracy on true counterfactuals, the ceiling of every editing accuracy, is reported too.
`python -m maggan.judges PROFILE` trains both.
"""

import hashlib
import json
import math
import time
from dataclasses import replace
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from .. import weights
from ..attributes import ATTRIBUTES
from ..basics import paths
from ..basics.checkpoints import load_checkpoint, save_checkpoint
from ..basics.errors import MagganError
from ..basics.images import from_levels
from ..basics.parallel import keep_freed_memory
from ..basics.progress import progress
from ..basics.weights import read_metadata
from ..data import open_faces, source, source_of
from ..networks.judges import CLASSIFIER_SIZE, judge_of
from ..stages import code_of

LARGEST_SEEN = 512  # pixels: faces to learn from need not be larger, for judges look at 128 or 299 px of them
COUNTERFACTUALS = 300  # test faces whose 13 true counterfactuals are drawn; fewer above 128 px
BATCH = 64


class Judges(NamedTuple):
    """The classifier, images -> logits (B, 13), and the feature network with `.features(images)` -> (B, D)."""

    classifier: nn.Module
    features: nn.Module


def seen(profile):
    """The profile at the size that its judges learn from."""
    return replace(profile, size=min(profile.size, LARGEST_SEEN))


def load_judges(profile, device="cpu"):
    """The trained judges of a profile, in eval mode; MagganError with the command if there are none."""
    judges = []
    for name in Judges._fields:
        file = paths.judges_folder(profile) / f"{name}.safetensors"
        if not file.exists():
            raise MagganError(f"{file} is not there; train the judges: python -m maggan.judges {profile.name}")
        judges.append(weights.load(file, device).to(memory_format=torch.channels_last))
    return Judges(*judges)


def augmented(images, draw):
    """Mirrored, moved by up to 1/16 of the side, scaled by up to 8 % and with noise, each face its own way.

    images (B, 3, S, S) in [-1, 1]; `draw` is a CPU generator, so the draws are the same on any device.
    The noise keeps the judge from reading faint patterns that a generator could learn to paint.
    """
    n = len(images)
    uniform = torch.rand(n, 5, generator=draw) * 2 - 1
    mirror = torch.where(uniform[:, 0] > 0, 1.0, -1.0)
    scale = 1 + 0.08 * uniform[:, 1]
    zero = torch.zeros(n)
    moves = torch.stack([mirror * scale, zero, uniform[:, 2] / 8, zero, scale, uniform[:, 3] / 8], 1).view(n, 2, 3)
    grid = F.affine_grid(moves.to(images.device), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    noise = torch.randn(images.shape, generator=draw) * (0.1 * uniform[:, 4].abs()).view(n, 1, 1, 1)
    return moved + noise.to(images.device)


def fit(name, network, faces, epochs, folder, code, device="cpu", rate=2e-3, seed=0):
    """Train a network on the attributes of `faces`, from its last whole epoch on; returns the seconds it took.

    AdamW with one cycle of the learning rate. All randomness is a function of (seed, epoch), so an
    interrupted run ends as an uninterrupted one.
    """
    steps = math.ceil(len(faces) / BATCH)
    network.to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * steps, pct_start=0.2)
    first, seconds, file = 0, 0.0, folder / f"{name}.pt"
    run = {"code": code, "epochs": epochs, "faces": len(faces)}
    saved = load_checkpoint(file, "this judge") or {}
    if saved.get("run") == run:
        first, seconds = saved["epoch"], saved["seconds"]
        for part, key in ((network, "network"), (optimiser, "optimiser"), (schedule, "schedule")):
            part.load_state_dict(saved[key])
    with progress(total=epochs * steps, initial=first * steps, desc=f"judge: {name}", unit="batches") as bar:
        for epoch in range(first, epochs):
            started = time.monotonic()
            fit_epoch(network, optimiser, schedule, faces, seed * 1000 + epoch, device, bar)
            seconds += time.monotonic() - started
            state = {key: part.state_dict() for key, part in
                     (("network", network), ("optimiser", optimiser), ("schedule", schedule))}  # fmt: skip
            save_checkpoint(file, {**state, "run": run, "epoch": epoch + 1, "seconds": seconds})
    return seconds


def fit_epoch(network, optimiser, schedule, faces, seed, device, bar):
    """Every face once, augmented."""
    network.train()
    torch.manual_seed(seed)  # for the dropout
    draw = torch.Generator().manual_seed(seed)
    for numbers in torch.randperm(len(faces), generator=draw).split(BATCH):
        batch = faces.batch(numbers, device, parts=False)
        images = augmented(batch.images, draw).contiguous(memory_format=torch.channels_last)
        loss = F.binary_cross_entropy_with_logits(network(images), batch.attributes)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        bar.set_postfix(loss=f"{loss.item():.4f}", refresh=False)
        bar.update()


@torch.no_grad()
def right_on_faces(network, faces, device="cpu"):
    """Whether each attribute of each face is read right: (N, 13) bool."""
    network.eval()
    rows = []
    for numbers in torch.arange(len(faces)).split(BATCH):
        batch = faces.batch(numbers, device, parts=False)
        rows.append(((network(batch.images) > 0) == (batch.attributes > 0.5)).cpu())
    return torch.cat(rows)


@torch.no_grad()
def right_on_counterfactuals(network, truths, attributes, device="cpu"):
    """Whether the flipped attribute is read right on each true counterfactual: (n, 13) bool."""
    network.eval()
    rows = []
    for truth, labels in zip(truths, attributes, strict=False):  # (13, 3, S, S) uint8, (13,)
        read = network(from_levels(truth.to(device))).diagonal() > 0
        rows.append(read.cpu() != (labels > 0))
    return torch.stack(rows)


def true_counterfactuals(profile, device="cpu"):
    """The 13 true counterfactuals of the first test faces of a drawn world, drawn once: (n, 13, 3, S, S) uint8.

    n is 300, less above 128 px, and at most the number of test faces; `device` draws them.
    """
    n = min(profile.test_faces, max(32, COUNTERFACTUALS * CLASSIFIER_SIZE**2 // max(profile.size, 128) ** 2))
    file = paths.faces_folder(profile) / "counterfactuals.safetensors"
    made_of = {"drawn": code_of("source", profile.world), "faces": str(n), "size": str(profile.size)}
    if file.exists():
        with safe_open(file, "pt") as stored:
            if stored.metadata() == made_of:
                return load_file(file)["images"]  # memory-mapped
    faces = source(profile, "test")
    images = torch.empty(n, len(ATTRIBUTES), 3, profile.size, profile.size, dtype=torch.uint8)
    jobs = [(k, start) for k in range(len(ATTRIBUTES)) for start in range(0, n, BATCH)]
    for k, start in progress(jobs, f"{profile.name} true counterfactuals", unit="batches"):
        some = range(start, min(start + BATCH, n))
        images[start : start + BATCH, k] = faces.flipped(some, ATTRIBUTES[k], device).cpu()
    with paths.replacing(file) as partial:
        save_file({"images": images}, partial, metadata=made_of)
    return images


def train_judges(profile, device=None):
    """Train both judges, or go on from the last epoch, and report them; finished judges return at once.

    Writes runs/<profile>/judges/{classifier,features}.safetensors and results/<profile>/metrics/judges.json:
    accuracy per attribute on validation and test faces and, on drawn worlds, on true counterfactuals.
    Returns the report.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cpu":
        keep_freed_memory()
    folder, faces = paths.judges_folder(profile), open_faces(seen(profile), "train")
    settings = [profile.judge_epochs, profile.judge_width, profile.features]
    made_of = [code_of("judges", profile.world), faces.identity, *settings]
    code = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
    report_file = paths.judges_file(profile)
    files = [folder / f"{name}.safetensors" for name in Judges._fields]
    done = json.loads(report_file.read_text()) if report_file.exists() else {}
    if done.get("code") == code and all(trained(file, code) for file in files):
        print(f"the judges of {profile.name} are finished")
        return done
    took = {}
    report = {"profile": profile.name, "code": code, "epochs": profile.judge_epochs, "faces": len(faces)}
    for name, file in zip(Judges._fields, files, strict=True):
        torch.manual_seed(0)
        network = judge_of(name, profile)
        if not trained(file, code):
            seconds = round(fit(name, network, faces, profile.judge_epochs, folder, code, device), 1)
            weights.save(file, network, profile=profile.name, code=code, judge=name, seconds=seconds)
            (folder / f"{name}.pt").unlink()
        network = weights.load(file, device).to(memory_format=torch.channels_last)
        took[name] = read_metadata(file)["seconds"]
        report[name] = {**described(network), **accuracies(network, profile, device)}
    report["wall_seconds"] = took
    paths.write_text(report_file, json.dumps(report, indent=1, sort_keys=True) + "\n")
    return report


def trained(file, code):
    """Whether the weights that this code, these faces and settings lead to are there."""
    return file.exists() and read_metadata(file).get("code") == code


def described(network):
    """What a reader needs to know of the network itself."""
    count = sum(parameter.numel() for parameter in network.parameters())
    return {"network": type(network).__name__, "parameters": count, "dimensions": getattr(network, "dimensions", None)}


def accuracies(network, profile, device):
    """Accuracy on validation and test faces and, on drawn worlds, on true counterfactuals."""
    test = open_faces(seen(profile), "test")
    right = {
        "validation": right_on_faces(network, open_faces(seen(profile), "validation"), device),
        "test": right_on_faces(network, test, device),
    }
    if source_of(profile).true_edits:
        truths = true_counterfactuals(profile, device)
        right["counterfactuals"] = right_on_counterfactuals(network, truths, test.attributes, device)
    return {where: accuracy_table(rows) for where, rows in right.items()}


def accuracy_table(right):
    """Mean and per-attribute accuracy of (N, 13) booleans."""
    each = {name: round(value, 4) for name, value in zip(ATTRIBUTES, right.float().mean(0).tolist(), strict=True)}
    return {"mean": round(right.float().mean().item(), 5), "faces": len(right), "per_attribute": each}
