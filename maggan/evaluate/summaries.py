"""What was measured on every face, to the numbers of a row's JSON file: means with intervals, FID and KID.

Per-face measurements are arrays (N,) or (N, 13), a row a test face, under the names that `evaluate` gave them.
"""

import json

import numpy as np
import torch

from .. import metrics
from ..attributes import ATTRIBUTES, released_flips, single_flips
from ..basics import paths
from ..basics.errors import MagganError
from .rulers import pooled_scores, verdict

STRENGTHS = (1.0, 1.5)  # of eq. 2, and of STGAN's published test
CURVE = (0.25, 0.5, 1.0, 1.5, 2.0)  # of the success-preservation curve
CURVE_FACES = 150  # the first test faces: the other strengths are edited on them alone
LARGEST_ERROR = 0.1  # MRE, in the pixel range [-1, 1], up to which the curve's area counts
YES_OR_NO = ("accuracy_", "judge_on_", "effectiveness")
ABOUT_FACES = ("attributes", "hat", "logits_of_faces", *(f"logits_{strength}" for strength in STRENGTHS))
INSIDE = ("change", "seam_of_source", "seam_weight", "seam_weight_blended")  # weights; of no interest alone
OVER_IMAGES = "bootstrap over test images, 95 %"
WILSON = "Wilson over test images, 95 %"
FID_RESAMPLES = 40
LARGEST_RESAMPLED = 512  # features; a resample of 2048 takes minutes
KEPT_FEATURES = 2000  # rows of either set that KID is taken over


def summarise(taken):
    """Per-face measurements to {"metrics": ..., "per_attribute": ..., "curve": ...}, each value with its interval."""
    points = success_and_error(taken)
    only_curve = {name(strength) for strength in set(CURVE) - set(STRENGTHS) for name in (accuracy_name, mre_name)}
    taken = {name: values for name, values in taken.items() if name not in only_curve}
    quantities = {name: (value, np.ones_like(value, dtype=float)) for name, value in taken.items()
                  if name not in ABOUT_FACES + INSIDE}  # fmt: skip
    quantities |= ratios(taken) | seams(taken) | subsets(taken) | differences(taken)
    if "logits_of_faces" in taken:
        quantities["attribute_leakage"] = attribute_leakage(taken)
    overall = {name: interval(*quantity) for name, quantity in sorted(quantities.items())}
    each = {
        attribute: {
            name: of_one_attribute(name, values[:, i], weights[:, i])
            for name, (values, weights) in sorted(quantities.items()) if values.ndim > 1
        }
        for i, attribute in enumerate(ATTRIBUTES)
    }  # fmt: skip
    if len(points) == len(CURVE):
        overall["area"] = area(points)
    shown = [{"strength": strength, "accuracy": interval(success), "mre": interval(error)}
             for strength, (success, error) in points.items()]  # fmt: skip
    found = {"metrics": overall, "per_attribute": each, "curve": shown}
    return found | ({"attribute_leakage": leakage_matrix(taken)} if "logits_of_faces" in taken else {})


def ratios(taken):
    """Leakage, the sum of changes outside the region over the sum inside; seams, rim energy of edits over the source's.

    As {name: (values, weights)}, both (N, 13): sum(values * weights) / sum(weights) is an attribute's ratio of sums
    over faces; a row's number is the mean of the 13.
    """
    # All change less the change outside; never 0, so that an edit all of which leaks still counts.
    found = {"leakage": (taken["mre"], np.maximum(taken["change"] - taken["mre"], 1e-9))}
    for name in ("seam", "seam_blended"):
        if name in taken:
            found[name] = taken[name], taken["seam_of_source"]
    with np.errstate(invalid="ignore", divide="ignore"):
        return {name: (np.where(below > 0, above / below, 0), below) for name, (above, below) in found.items()}


def seams(taken):
    """New steps on the rim, as {name: (values, weights)}: an attribute's is a ratio of sums over faces."""
    names = {"seam_excess": "seam_weight", "seam_excess_blended": "seam_weight_blended"}
    return {name: (taken[name], taken[weight]) for name, weight in names.items() if name in taken}


def differences(taken):
    """What each face and flip has beyond what it would have anyway: {name: (values, weights)}, (N, 13) each.

    MRE beyond that of the plain reconstruction, and how much nearer to the truth an edit is than its source.
    """
    pairs = {"mre_excess": ("mre", "mre_floor"), "truth_gain": ("no_edit_distance_nearest", "truth_distance_nearest")}
    found = {name: taken[a] - taken[b] for name, (a, b) in pairs.items() if a in taken and b in taken}
    return {name: (values, np.ones_like(values, dtype=float)) for name, values in found.items()}


def attribute_leakage(taken, strength=1.0):
    """How often the judge's reading of another attribute changes: (values, weights), (N, 13, 12), the others in order.

    What STGAN's test releases with a flip has no weight there.
    """
    changed, counted = readings(taken, strength)
    others = ~np.eye(len(ATTRIBUTES), dtype=bool)
    shape = (len(changed), len(ATTRIBUTES), len(ATTRIBUTES) - 1)
    return changed[:, others].reshape(shape), counted[:, others].reshape(shape)


def leakage_matrix(taken, strength=1.0):
    """Shares of changed readings, rows flips, columns attributes, success on the diagonal: 13 lists of 13."""
    changed, counted = readings(taken, strength)
    shares = metrics.shares(changed, counted)
    np.fill_diagonal(shares, taken[accuracy_name(strength)].mean(axis=0))
    return shares.tolist()


def readings(taken, strength):
    """Which readings changed, and which of them count: both (N, 13, 13) floats of 0 and 1."""
    logits, of_faces, attributes = (
        torch.as_tensor(taken[name]) for name in (f"logits_{strength}", "logits_of_faces", "attributes")
    )
    changed = metrics.readings_changed(logits, of_faces)
    released = released_flips(attributes) != single_flips(attributes)
    return changed.double().numpy(), (~released).double().numpy()


def subsets(taken):
    """MRE and accuracy over some flips: those that add or remove the attribute, faces with and without a hat.

    "readable" are the flips whose plain reconstruction the judge reads right, so that blur cannot pass for success.
    """
    absent = taken["attributes"] == 0  # (N, 13): where the flip adds the attribute
    hat = np.broadcast_to(taken["hat"][:, None] > 0, absent.shape)
    parts = {"add": absent, "remove": ~absent, "with_hat": hat, "without_hat": ~hat}
    quantities = {f"mre_{name}": (taken["mre"], some) for name, some in parts.items()}
    if "judge_on_reconstructions" in taken:
        parts["readable"] = taken["judge_on_reconstructions"] > 0
    for name in (f"accuracy_{strength}" for strength in STRENGTHS):
        if name in taken:
            quantities |= {f"{name}_{suffix}": (taken[name], some) for suffix, some in parts.items()}
    return quantities


def success_and_error(taken):
    """The curve's points: {strength: (accuracy, MRE)}, both (n, 13) over the first faces."""
    points = {}
    for strength in CURVE:
        success, error = (taken.get(name(strength)) for name in (accuracy_name, mre_name))
        if success is not None and error is not None:
            points[strength] = success[:CURVE_FACES], error[:CURVE_FACES]
    return points


def accuracy_name(strength):
    return f"accuracy_{strength}"


def mre_name(strength):
    """MRE is at strength 1.0, eq. 2's, where nothing else is said."""
    return "mre" if strength == 1.0 else f"mre_{strength}"


def area(points):
    """The area under the curve as JSON, with a bootstrap interval over the same faces at every strength."""
    means = np.stack([values.mean(axis=1) for pair in points.values() for values in pair], 1)  # (n, 2K)
    counts = metrics.resample_counts(len(means)).astype(np.float64)
    rows = np.concatenate([means.mean(axis=0, keepdims=True), counts @ means / len(means)])
    value, *resampled = (metrics.success_within(row[1::2], row[::2], LARGEST_ERROR) for row in rows)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return {"value": value, "low": low, "high": high, "n": len(means), "interval": OVER_IMAGES}


def interval(values, weights=None):
    """A bootstrap interval as JSON; null where nothing was measured."""
    value, low, high, n = metrics.bootstrap_interval(values, weights)
    entry = {"value": value, "low": low, "high": high, "n": n, "interval": OVER_IMAGES}
    dropped = int(np.isinf(values).sum())
    return entry | ({"identical_left_out": dropped} if dropped else {})


def of_one_attribute(name, values, weights=None):
    """An interval for one attribute, whose flips are one a face, (N,): Wilson's where they fail or succeed."""
    if not name.startswith(YES_OR_NO):
        return interval(values, weights)
    weights = np.ones_like(values) if weights is None else weights
    counted = weights > 0
    n = int(counted.sum())
    value, low, high = metrics.wilson_interval(float(values[counted].sum()), n)
    return {"value": value, "low": low, "high": high, "n": n, "interval": WILSON}


# FID and KID ---------------------------------------------------------------------------------------------------


def write_statistics(file, features, true=None):
    """Keep what FID and KID need: mean and covariance of both sets, the deviation of their distance, some features.

    With the features of true edits (n, 13, D), of the first n faces, how those score beside these edits is kept too.
    """
    faces, edits = features["faces"], features["edits"]
    arrays = {"n": len(faces), "deviation": float("nan")}
    for name, rows in (("faces", faces), ("edits", edits.reshape(-1, edits.shape[-1]))):
        arrays[f"{name}_mean"], arrays[f"{name}_covariance"] = metrics.feature_statistics(rows)
        some = np.random.default_rng(0).permutation(len(rows))[:KEPT_FEATURES]
        arrays[f"{name}_some"] = rows[some].astype(np.float32)
    if faces.shape[1] <= LARGEST_RESAMPLED:
        arrays["deviation"] = metrics.frechet_deviation(faces, edits, FID_RESAMPLES)
    if true is not None:
        n = min(len(true), len(faces))
        scores = pooled_scores(faces[:n], edits[:n], true[:n])
        arrays |= {f"{name}_of_true_and_these": each for name, each in scores.items()}
    with paths.replacing(file) as partial, open(partial, "wb") as out:
        np.savez(out, **arrays)


def add_fid(file):
    """Add FID and KID to a row's metrics from the statistics beside them, where clean-fid is installed.

    Returns the row.
    """
    result, missing = json.loads(file.read_text()), "FID left out: clean-fid was not installed"
    statistics = file.with_suffix(".npz")
    if "fid" in result["metrics"] or not statistics.exists():
        return result
    result["notes"] = [note for note in result["notes"] if note != missing]
    with np.load(statistics, allow_pickle=False) as kept:
        try:
            result["metrics"] |= distances(kept)
        except MagganError:
            result["notes"].append(missing)
    if result != json.loads(file.read_text()):  # reading leaves a file's time alone
        write(file, result)
    return result


def distances(kept):
    """FID and KID as JSON, from what `write_statistics` kept."""
    fid = metrics.frechet_of_statistics(
        *(kept[f"{name}_{what}"] for name in ("faces", "edits") for what in ("mean", "covariance"))
    )
    reach = 1.96 * float(kept["deviation"])
    found = {
        "fid": {"value": fid, "low": fid - reach, "high": fid + reach, "n": int(kept["n"]),
                "interval": "1.96 bootstrap deviations over test images"},
    }  # fmt: skip
    if "faces_some" in kept:  # statistics of older runs have none
        found["kid"] = {"value": metrics.kernel_distance(kept["faces_some"], kept["edits_some"]), "low": None,
                        "high": None, "n": len(kept["faces_some"]),
                        "interval": "none: a mean over clean-fid's random subsets"}  # fmt: skip
    for name, entry in found.items():
        if (checked := f"{name}_of_true_and_these") in kept:
            entry |= verdict(*kept[checked])
    return found


# on disk -------------------------------------------------------------------------------------------------------


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
    paths.write_text(file, json.dumps(rounded(result), indent=1, sort_keys=True, allow_nan=False) + "\n")
