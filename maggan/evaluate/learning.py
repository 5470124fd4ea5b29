"""How a row learns: success and error of the snapshots that its training kept, on validation faces.

`python -m maggan.learning ROW PROFILE` measures them; Figure 9 and the claims about it are drawn from the result.
"""

import hashlib
import json
from collections import defaultdict

import numpy as np
import torch

from .. import weights
from ..attributes import ATTRIBUTES
from ..basics import paths
from ..basics.errors import MagganError
from ..basics.parallel import keep_freed_memory
from ..basics.progress import progress
from ..basics.weights import read_metadata
from ..config import Config
from ..data import open_faces
from ..stages import code_of
from .judges import load_judges
from .protocol import faces_at_once, flipped, load_row, measure_strength, released_edits
from .results import command, read_learning
from .summaries import STRENGTHS, interval, of_one_attribute, write


def snapshots(variant, profile, seed=0):
    """The snapshots of a finished row, first to last; MagganError where it is not trained or kept none."""
    load_row(variant, profile, seed, "cpu")
    folder = paths.run_folder(profile, variant, seed)
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
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cpu":
        keep_freed_memory()
    file, kept = paths.learning_file(variant, profile, seed), snapshots(variant, profile, seed)
    config = Config.of(read_metadata(kept[-1])["config"])
    result = {"row": variant, "profile": profile.name, "seed": seed, "size": profile.size,
              "config_hash": config.hash(), "iterations": config.iterations, "points": []}  # fmt: skip
    faces, judges = open_faces(profile, "validation"), load_judges(profile, device)
    judge = paths.judges_folder(profile) / "classifier.safetensors"
    made_of = [code_of("learning", profile.world), faces.identity, sha256_of(judge)]
    result["made_of"] = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]
    if file.exists() and file.stat().st_mtime > kept[-1].stat().st_mtime:  # newer than the training
        before = read_learning(variant, profile, seed, whole=False)
        if {**before, "points": []} == result:
            result = before
    done = {point["iteration"] for point in result["points"]}
    left = [snapshot for snapshot in kept if int(snapshot.stem) not in done]
    for snapshot in progress(left, f"learning of {variant}", unit="snapshots"):
        generator = weights.load(snapshot, device).to(memory_format=torch.channels_last)
        measured = measure_snapshot(generator, faces, judges.classifier, device)
        result["points"].append({"iteration": int(snapshot.stem), "faces": len(faces), **measured})
        write(file, result)
    return json.loads(file.read_text())
