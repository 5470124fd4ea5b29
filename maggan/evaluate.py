"""Evaluate a row on the profile's test faces: the whole protocol, one JSON file a row.

Each test face gets its 13 single flips at strength 1.0 (MRE, FID), and the flips of STGAN's test, conflicts
released, at 1.0 and 1.5 (accuracy). `python -m maggan.evaluate ROW PROFILE`; the rows "no-edit" (returns its
input) and "true-edit" (the true counterfactual, drawn worlds only) go through the same function.
"""

import argparse
import json
import time
from collections import defaultdict
from importlib.metadata import version

import numpy as np
import torch

from . import metrics, paths
from .attributes import ATTRIBUTES, PARTS, released_flips, single_flips
from .checkpoints import load_generator, run_folder
from .data import open_faces
from .errors import MagganError, cli, nearest
from .judges import load_judges, true_counterfactuals
from .profiles import profile as get_profile
from .progress import progress
from .variants import ROWS

PSEUDO_ROWS = ("no-edit", "true-edit")
STRENGTHS = (1.0, 1.5)
FACES_AT_ONCE = 16  # with their 13 edits; fewer above 128 px
FID_RESAMPLES = 40
LARGEST_RESAMPLED = 512  # features; a resample of 2048 takes minutes
ABOUT_FACES = ("attributes", "hat")
OVER_IMAGES = "bootstrap over test images, 95 %"
HAT_SHARE = 0.1  # of the picture: above it a face counts as one with a hat (Fig. 7)
RECONSTRUCTION = ("psnr", "ssim", "judge_on_reconstructions")


class NoEdit:
    """Returns its input: the judge's mistakes are its accuracy."""

    def __call__(self, images, att_diff, parts, attributes):
        return images

    def edits(self, images, att_diffs, parts, attributes):
        return images.unsqueeze(1).expand(-1, att_diffs.shape[1], -1, -1, -1)


def metrics_file(variant, profile, seed=0):
    """Where a row's metrics are: results/<profile>/metrics/<row>-seed<seed>.json."""
    return paths.results() / get_profile(profile).name / "metrics" / f"{variant}-seed{seed}.json"


def load_row(variant, profile, seed, device):
    """The generator of a row and what its JSON says of it; MagganError with the command if it is not trained."""
    if variant in PSEUDO_ROWS:
        if variant == "true-edit" and profile.world != "drawn":
            raise MagganError(f"row 'true-edit' needs drawn faces: photos of {profile.name} have no counterfactual.")
        return NoEdit(), {}
    if variant not in ROWS:
        raise nearest(variant, [*ROWS, *PSEUDO_ROWS], "row")
    folder = run_folder(profile, variant, seed)
    if not (folder / "weights.safetensors").exists():
        seeded = f" --seed {seed}" if seed else ""
        raise MagganError(
            f"{folder / 'weights.safetensors'} is not there; train the row: "
            f"python -m maggan.train {variant} {profile.name}{seeded}"
        )
    generator, config = load_generator(folder, device)
    generator.to(memory_format=torch.channels_last)
    return generator, {"config_hash": config.hash(), "iterations": config.iterations, "trained_with": config.table}


def evaluate(variant, profile, seed=0, device=None, generator=None):
    """Measure a row on all test faces and write its metrics; returns them.

    variant     a row of Table 3, "no-edit" or "true-edit"
    generator   takes the place of the row's trained one, with its calls: G(images, att_diff, parts, attributes) and
                G.edits(images, att_diffs (B, K, 13), parts, attributes) -> (B, K, 3, S, S)

    MRE is eq. 2 in the pixel range [-1, 1] with the parser's (or true) masks and the table "paper", whatever
    the row was trained with. Beside the JSON, an npz keeps the feature statistics that FID needs; where
    clean-fid is not installed FID is left out, and `add_fid` fills it in elsewhere.
    Only what is under "wall_seconds" differs between two calls. Raises MagganError if the row or the judges
    are not trained.
    """
    profile = get_profile(profile)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    about = {}
    if generator is None:
        generator, about = load_row(variant, profile, seed, device)
    started = time.monotonic()
    faces, judges = open_faces(profile, "test"), load_judges(profile, device)
    truths = true_counterfactuals(profile) if profile.world == "drawn" else None
    taken, features = measure_faces(variant, generator, faces, judges, truths, device)
    if variant == "true-edit":  # it edits, it does not reconstruct
        taken = {key: value for key, value in taken.items() if key not in RECONSTRUCTION}
    result = {
        "row": variant, "profile": profile.name, "seed": seed, "size": profile.size, "table": "paper",
        "device": "cuda" if str(device).startswith("cuda") else f"cpu, {torch.get_num_threads()} thread(s)",
        "versions": {name: version(name) for name in ("torch", "torchvision", "numpy")},
        "faces": len(taken["attributes"]), **about, **summarise(taken),
        "notes": [profile.note] if profile.note else [],
    }  # fmt: skip
    seconds = run_seconds(profile, variant, seed) | {"evaluate": round(time.monotonic() - started, 1)}
    file = metrics_file(variant, profile, seed)
    write_statistics(file.with_suffix(".npz"), features)
    write(file, {**result, "wall_seconds": seconds})
    return add_fid(file)


def run_seconds(profile, variant, seed):
    """What training took, where that is known."""
    file = run_folder(profile, variant, seed) / "run.json"
    return {"train": json.loads(file.read_text())["seconds"]} if file.exists() else {}


@torch.inference_mode()
def measure_faces(variant, generator, faces, judges, truths, device):
    """Per-face measurements (name -> (N, ...) array) and features of faces (N, D) and edits (N, 13, D).

    `truths` (n, 13, 3, S, S) uint8 or None: the first faces' true counterfactuals. The row "true-edit" has
    them for its edits, and only the faces that have them are measured.
    """
    count = len(truths) if variant == "true-edit" else len(faces)
    taken, features = defaultdict(list), {"faces": [], "edits": []}
    at_once = max(1, FACES_AT_ONCE * 128**2 // max(faces.size, 128) ** 2)
    for start in progress(range(0, count, at_once), f"evaluate {variant}", unit="batches"):
        stop = min(start + at_once, count)
        batch = faces.batch(range(start, stop), device)
        truth = None if truths is None else truths[start:stop].to(device).float() / 127.5 - 1
        if variant == "true-edit":
            plain, edits = truth, {STRENGTHS[0]: truth}
        else:
            plain = generator.edits(batch.images, single_flips(batch.attributes), batch.parts, batch.attributes)
            edits = {1.0: released_edits(generator, batch, plain)}
            strong = released_flips(batch.attributes, 1.5)
            edits[1.5] = generator.edits(batch.images, strong, batch.parts, batch.attributes)
        measured = measure_batch(generator, batch, plain, edits, judges.classifier)
        if truth is not None and len(truth):
            measured["truth_distance"] = (plain[: len(truth)] - truth).abs().mean(dim=(2, 3, 4))
        for name, value in measured.items():
            taken[name].append(value.float().cpu().numpy())
        features["faces"].append(judges.features.features(batch.images).cpu())
        features["edits"].append(judges.features.features(plain.flatten(0, 1)).unflatten(0, (-1, 13)).cpu())
    stacked = {name: np.concatenate(values) for name, values in taken.items()}
    return stacked, {name: torch.cat(values).numpy() for name, values in features.items()}


def released_edits(generator, batch, plain):
    """The edits of STGAN's test at strength 1.0: the plain ones but for the few flips that release another bit."""
    images, parts, attributes = batch
    wanted = released_flips(attributes)
    face, flip = (wanted != single_flips(attributes)).any(dim=2).nonzero(as_tuple=True)
    edits = plain.clone()
    if len(face):
        edits[face, flip] = generator(images[face], wanted[face, flip], parts[face], attributes[face])
    return edits


def measure_batch(generator, batch, plain, edits, classifier):
    """All that is measured on a batch: name -> (B,) or (B, 13).

    plain (B, 13, 3, S, S), the single flips at 1.0; edits {strength: same shape}, those of the accuracy protocol.
    """
    images, parts, attributes = batch
    reconstructed = generator(images, torch.zeros_like(attributes), parts, attributes)
    labels = attributes > 0.5
    measured = {
        "attributes": attributes,
        "hat": parts[:, PARTS.index("hat")].mean(dim=(1, 2)) > HAT_SHARE,
        "mre": metrics.mre_of_flips(images, plain, parts, attributes),
        "change": (plain - images[:, None]).abs().mean(dim=(2, 3, 4)),
        "judge_on_faces": (classifier(images) > 0) == labels,
        "judge_on_reconstructions": (classifier(reconstructed) > 0) == labels,
        "psnr": metrics.psnr(images, reconstructed),
        "ssim": metrics.ssim(images, reconstructed),
    }
    for strength, edited in edits.items():
        logits = classifier(edited.flatten(0, 1)).unflatten(0, (-1, 13))  # (B, 13, 13)
        measured[f"accuracy_{strength}"] = metrics.edit_success(logits, attributes)
    return measured


def summarise(taken):
    """Per-face measurements to {"metrics": ..., "per_attribute": ...}, each value with its interval."""
    absent = taken["attributes"] == 0  # (N, 13): where the flip adds the attribute
    hat = np.broadcast_to(taken["hat"][:, None] > 0, absent.shape)
    quantities = {name: (value, np.ones_like(value)) for name, value in taken.items() if name not in ABOUT_FACES}
    # All change less the change outside; never 0, so that an edit all of which leaks still counts.
    inside = np.maximum(taken["change"] - taken["mre"], 1e-9)
    quantities["leakage"] = taken["mre"] / inside, inside  # the sum of changes outside over the sum inside
    for strength in STRENGTHS:
        name = f"accuracy_{strength}"
        if name in taken:
            subsets = {"add": absent, "remove": ~absent, "with_hat": hat, "without_hat": ~hat}
            if "judge_on_reconstructions" in taken:
                subsets["readable"] = taken["judge_on_reconstructions"] > 0
            for suffix, some in subsets.items():
                quantities[f"{name}_{suffix}"] = taken[name], some
    overall = {name: interval(*quantity) for name, quantity in sorted(quantities.items())}
    each = {
        attribute: {
            name: interval(values[:, i], weights[:, i])
            for name, (values, weights) in sorted(quantities.items()) if values.ndim == 2
        }
        for i, attribute in enumerate(ATTRIBUTES)
    }  # fmt: skip
    return {"metrics": overall, "per_attribute": each}


def interval(values, weights):
    """A bootstrap interval as JSON; null where nothing was measured."""
    value, low, high, n = metrics.bootstrap_interval(values, weights)
    entry = {"value": value, "low": low, "high": high, "n": n, "interval": OVER_IMAGES}
    dropped = int(np.isinf(values).sum())
    return entry | ({"identical_left_out": dropped} if dropped else {})


def write_statistics(file, features):
    """Keep what FID needs: mean and covariance of both sets, and the bootstrap deviation of their distance."""
    faces, edits = features["faces"], features["edits"]
    arrays = {"n": len(faces), "deviation": float("nan")}
    for name, rows in (("faces", faces), ("edits", edits.reshape(-1, edits.shape[-1]))):
        arrays[f"{name}_mean"], arrays[f"{name}_covariance"] = metrics.feature_statistics(rows)
    if faces.shape[1] <= LARGEST_RESAMPLED:
        arrays["deviation"] = metrics.frechet_deviation(faces, edits, FID_RESAMPLES)
    with paths.replacing(file) as partial, open(partial, "wb") as out:
        np.savez(out, **arrays)


def add_fid(file):
    """Add FID to a row's metrics from the statistics beside them, where clean-fid is installed; returns the row."""
    result, missing = json.loads(file.read_text()), "FID left out: clean-fid was not installed"
    statistics = file.with_suffix(".npz")
    if "fid" in result["metrics"] or not statistics.exists():
        return result
    result["notes"] = [note for note in result["notes"] if note != missing]
    with np.load(statistics, allow_pickle=False) as kept:
        try:
            value = metrics.frechet_of_statistics(
                *(kept[f"{name}_{what}"] for name in ("faces", "edits") for what in ("mean", "covariance"))
            )
        except MagganError:
            result["notes"].append(missing)
        else:
            reach = 1.96 * float(kept["deviation"])
            result["metrics"]["fid"] = {
                "value": value, "low": value - reach, "high": value + reach, "n": int(kept["n"]),
                "interval": "1.96 bootstrap deviations over test images",
            }  # fmt: skip
    if result != json.loads(file.read_text()):  # reading leaves a file's time alone
        write(file, result)
    return result


def rounded(value):
    """JSON values with floats of six significant digits; what is not a number becomes null."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value


def write(file, result):
    """Write metrics whole or not at all, the same bytes for the same values."""
    with paths.replacing(file) as partial:
        partial.write_text(json.dumps(rounded(result), indent=1, sort_keys=True, allow_nan=False) + "\n")


def main():
    parser = argparse.ArgumentParser(prog="python -m maggan.evaluate", description="Evaluate one row.")
    parser.add_argument("row", help="a row of Table 3, no-edit or true-edit")
    parser.add_argument("profile")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["cpu", "cuda"])
    args = parser.parse_args()
    result = evaluate(args.row, args.profile, args.seed, args.device)
    shown = ("mre", "accuracy_1.0", "accuracy_1.5", "psnr", "ssim", "fid")
    values = {name: result["metrics"].get(name, {}).get("value") for name in shown}
    print(f"{args.row}: " + ", ".join(f"{name} {v:.4g}" for name, v in values.items() if v is not None))
    print(metrics_file(args.row, args.profile, args.seed))


if __name__ == "__main__":
    cli(main)
