"""How a row learns: success and error of the snapshots that its training kept, on validation faces.

`python -m maggan.learning ROW PROFILE` measures them; Figure 9 and the claims about it are drawn from the result.
"""

import argparse
import hashlib
import json
import re
from collections import defaultdict

import numpy as np
import torch

from . import paths
from .allocator import keep_freed_memory
from .attributes import ATTRIBUTES
from .checkpoints import load_generator, run_folder
from .data import open_faces
from .dependencies import fingerprint
from .errors import MagganError, cli
from .evaluate import faces_at_once, flipped, load_row, measure_strength, released_edits
from .judges import judges_folder, load_judges
from .measured import command
from .profiles import profile as get_profile
from .progress import progress
from .seeds import combined
from .summaries import STRENGTHS, interval, of_one_attribute, write


def learning_file(variant, profile, seed=0):
    """Where the curve of a row is: results/<profile>/learning/<row>-seed<seed>.json."""
    return paths.results() / get_profile(profile).name / "learning" / f"{variant}-seed{seed}.json"


def snapshots(variant, profile, seed=0):
    """The snapshots of a finished row, first to last; MagganError where it is not trained or kept none."""
    load_row(variant, profile, seed, "cpu")
    folder = run_folder(profile, variant, seed)
    found = sorted((folder / "snapshots").glob("*.safetensors"))
    if not found:
        raise MagganError(
            f"{folder} has no snapshots, for it was trained before there were any; move it away and train the row "
            f"again: {command(variant, profile, seed)}"
        )
    return found


def sha256_of(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


@torch.inference_mode()
def measure_snapshot(generator, faces, classifier, device):
    """Accuracy and MRE at both strengths over all faces: {"metrics": ..., "per_attribute": ...}."""
    taken = defaultdict(list)
    at_once = faces_at_once(faces.size)
    for start in range(0, len(faces), at_once):
        batch = faces.batch(range(start, min(start + at_once, len(faces))), device)
        for strength in STRENGTHS:
            edits = flipped(generator, batch, strength)
            released = released_edits(generator, batch, edits, strength)
            for name, value in measure_strength(batch, strength, edits, released, classifier).items():
                taken[name].append(value.float().cpu().numpy())
    values = {name: np.concatenate(parts) for name, parts in taken.items()}
    return {
        "metrics": {name: interval(value) for name, value in values.items()},
        "per_attribute": {
            attribute: {name: of_one_attribute(name, value[:, i]) for name, value in values.items()}
            for i, attribute in enumerate(ATTRIBUTES)
        },
    }


def learning(variant, profile, seed=0, device=None):
    """Measure the snapshots of a row on the profile's validation faces and write the curve; returns it.

    What is measured stays measured when interrupted, as long as it is of the same weights. Raises MagganError
    where the row is not trained or kept no snapshots.
    """
    profile = get_profile(profile)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cpu":
        keep_freed_memory()
    file, kept = learning_file(variant, profile, seed), snapshots(variant, profile, seed)
    _, config = load_generator(kept[-1])
    result = {"row": variant, "profile": profile.name, "seed": seed, "size": profile.size,
              "config_hash": config.hash(), "iterations": config.iterations, "points": []}  # fmt: skip
    faces, judges = open_faces(profile, "validation"), load_judges(profile, device)
    judge = judges_folder(profile) / "classifier.safetensors"
    made_of = [fingerprint("learning", profile.world), faces.identity, sha256_of(judge)]
    result["made_of"] = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]
    if file.exists() and file.stat().st_mtime > kept[-1].stat().st_mtime:  # newer than the training
        before = read_learning(variant, profile, seed, whole=False)
        if {**before, "points": []} == result:
            result = before
    done = {point["iteration"] for point in result["points"]}
    left = [snapshot for snapshot in kept if int(snapshot.stem) not in done]
    for snapshot in progress(left, f"learning of {variant}", unit="snapshots"):
        generator, _ = load_generator(snapshot, device)
        generator.to(memory_format=torch.channels_last)
        measured = measure_snapshot(generator, faces, judges.classifier, device)
        result["points"].append({"iteration": int(snapshot.stem), "faces": len(faces), **measured})
        write(file, result)
    return json.loads(file.read_text())


def read_learning(variant, profile, seed=0, whole=True):
    """The curve that `learning` wrote; MagganError with the command where there is none, or half of one."""
    profile, file = get_profile(profile), learning_file(variant, profile, seed)
    photos = " CELEBA=folder" if profile.world == "celeba" else ""
    make = f"make learning PROFILE={profile.name}{photos}"
    if not file.exists():
        raise MagganError(f"{file} is not there: {make}")
    try:
        curve = json.loads(file.read_text())
    except ValueError:
        raise MagganError(f"{file} is damaged; delete it and run: {make}") from None
    if whole and (not curve["points"] or curve["points"][-1]["iteration"] != curve.get("iterations")):
        raise MagganError(f"{file} is half measured: {make} goes on from there")
    return curve


def learning_over_seeds(variant, profile):
    """The points of a row's curve, first to last, the seeds that were measured taken together (`seeds.combined`).

    MagganError with the command where there is no curve, half of one, or curves of different lengths.
    """
    profile = get_profile(profile)
    found = learning_file(variant, profile).parent.glob(f"{variant}-seed*.json")
    seeds = sorted(int(number[1]) for file in found if (number := re.fullmatch(rf"{variant}-seed(\d+)", file.stem)))
    curves = {seed: read_learning(variant, profile, seed)["points"] for seed in seeds or [0]}
    lengths = {seed: [point["iteration"] for point in points] for seed, points in curves.items()}
    for seed, points in lengths.items():
        if points != next(iter(lengths.values())):
            file = learning_file(variant, profile, seed)
            raise MagganError(f"{file} has other iterations than the seed before it; delete the older one of them.")
    return [combined(dict(zip(curves, points, strict=True))) for points in zip(*curves.values(), strict=True)]


def main():
    parser = argparse.ArgumentParser(prog="python -m maggan.learning", description="How a row learns.")
    parser.add_argument("row")
    parser.add_argument("profile")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["cpu", "cuda"])
    args = parser.parse_args()
    for point in learning(args.row, args.profile, args.seed, args.device)["points"]:
        values = {name: entry["value"] for name, entry in point["metrics"].items()}
        print(f"{point['iteration']}: " + ", ".join(f"{name} {value:.4g}" for name, value in values.items()))


if __name__ == "__main__":
    cli(main)
