"""FID and KID by attribute: edits that add it against real faces that have it, and against their true edits.

A ruler is checked: where the true edits score worse than a row by it, it cannot judge that row, and its entry says so.
"""

import hashlib
from typing import NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from .. import metrics
from ..attributes import ATTRIBUTES
from ..basics import paths
from ..basics.images import from_levels
from ..basics.progress import progress
from ..data import open_faces
from .judges import seen

FEWEST = 50  # faces on either side, below which an attribute is left out
REAL = 1000  # real faces of an attribute, at most
RESAMPLES = 20  # of FID; a resample is 13 distances
LARGEST = 512  # features, above which there is no FID by attribute: one distance of 2048 takes seconds
KEPT = 2000  # rows of either set at a check of the pooled KID
BATCH = 64
BY_FID = "1.96 bootstrap deviations over faces"
BY_KID = "1.96 deviations over faces, by the delta method"


class References(NamedTuple):
    """Features to compare with: of real faces (R, D), which attributes those have (R, 13), of true edits (n, 13, D)."""

    real: np.ndarray
    has: np.ndarray
    true: np.ndarray | None


@torch.inference_mode()
def references(profile, network, truths, device="cpu"):
    """The References of a profile by a feature network, computed once and kept beside the judges.

    truths (n, 13, 3, S, S) uint8, or None. Real faces are training faces, drawn by chance from all that have an
    attribute, 1000 of each.
    """
    faces, folder = open_faces(seen(profile), "train"), paths.judges_folder(profile)
    judge = hashlib.sha256((folder / "features.safetensors").read_bytes()).hexdigest()
    made_of = {"judge": judge, "faces": faces.identity}
    some = sampled(faces.attributes)

    def real():
        batches = progress(some.split(BATCH), f"{profile.name} features of real faces", unit="batches")
        return torch.cat([network.features(faces.batch(few, device, parts=False).images).cpu() for few in batches])

    def true():
        of_faces = progress(truths, f"{profile.name} features of true edits", unit="faces")
        return torch.stack([network.features(from_levels(each.to(device))).cpu() for each in of_faces])

    of_real = kept(folder / "features-of-real.safetensors", made_of, real)
    of_true = None
    if truths is not None:
        drawn = paths.faces_folder(profile) / "counterfactuals.safetensors"
        with safe_open(drawn, "pt") as stored:
            about = {**made_of, **{f"true {name}": value for name, value in stored.metadata().items()}}
        of_true = kept(folder / "features-of-true.safetensors", about, true)
    return References(of_real.numpy(), faces.attributes[some].numpy() > 0, None if of_true is None else of_true.numpy())


def sampled(attributes, most=REAL, seed=0):
    """The numbers, in order, of faces such that each attribute is had by `most` of them or by all that have it.

    attributes (N, 13) in {0, 1}; returns (R,) int64.
    """
    order = torch.randperm(len(attributes), generator=torch.Generator().manual_seed(seed))
    has = attributes[order] > 0
    wanted = (has & (has.cumsum(0) <= most)).any(dim=1)
    return order[wanted].sort().values


def kept(file, made_of, make):
    """A tensor from its file, or made and written there where the file is missing or of something else."""
    if file.exists():
        with safe_open(file, "pt") as stored:
            if stored.metadata() == made_of:
                return load_file(file)["features"]
    found = make()
    with paths.replacing(file) as partial:
        save_file({"features": found}, partial, metadata=made_of)
    return found


# one attribute ------------------------------------------------------------------------------------------------------


def kernel_shares(x, y):
    """The unbiased kernel distance (KID) of features (N, D) and (M, D), and what each row adds to its error.

    The kernel is (x.y / D + 1)^3. Returns (value, (N,), (M,)): the variance of the value is the sum of the squares of
    both arrays, to first order.
    """
    x, y = (np.asarray(rows, dtype=np.float64) for rows in (x, y))
    n, m = len(x), len(y)
    xx, yy, xy = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    of_x = (xx.sum(axis=1) - np.diag(xx)) / (n - 1) - xy.mean(axis=1)
    of_y = (yy.sum(axis=1) - np.diag(yy)) / (m - 1) - xy.mean(axis=0)
    value = of_x.mean() + of_y.mean()
    return float(value), 2 * (of_x - of_x.mean()) / n, 2 * (of_y - of_y.mean()) / m


def moments(rows, counts=None):
    """Weighted mean and sample covariance of features (N, D), `counts` (N,) how often each counts, as tensors."""
    rows = torch.as_tensor(rows, dtype=torch.float64)
    counts = torch.ones(len(rows), dtype=torch.float64) if counts is None else torch.as_tensor(counts).double()
    n = counts.sum()
    centred = rows - (counts @ rows / n)
    return counts @ rows / n, (centred * counts[:, None]).T @ centred / (n - 1)


class Pair(NamedTuple):
    """Two sets to compare for one attribute: features, and which face of its set each row is of."""

    x: np.ndarray
    y: np.ndarray
    faces_x: np.ndarray
    faces_y: np.ndarray


def pairs(edits, attributes, against, which, paired):
    """{attribute: Pair} of edits that add it, and the attributes with too few faces.

    edits (N, 13, D), attributes (N, 13) of the sources; against[:, i] or `against` (M, D) with which (M, 13) bool.
    `paired` says that row k of both is of the same face.
    """
    found, few = {}, []
    for i, name in enumerate(ATTRIBUTES):
        x, y = np.flatnonzero(attributes[:, i] == 0), np.flatnonzero(which[:, i])
        if not paired:
            y = y[np.random.default_rng(0).permutation(len(y))[:REAL]] if len(y) > REAL else y
        if min(len(x), len(y)) < FEWEST:
            few.append(name)
            continue
        other = against[y, i] if against.ndim == 3 else against[y]
        found[name] = Pair(edits[x, i], other, x, y)
    return found, few


def kid_of(found, n, m, paired):
    """KID of each Pair and their mean, with intervals: {attribute: entry}, entry.

    n and m are how many faces the two sets have.
    """
    each, of_x, of_y, values, counts = {}, np.zeros(n), np.zeros(m), [], 0
    for name, pair in found.items():
        value, x, y = kernel_shares(pair.x, pair.y)
        one_x, one_y = np.zeros(n), np.zeros(m)
        one_x[pair.faces_x], one_y[pair.faces_y] = x, y
        each[name] = entry(value, deviation(one_x, one_y, paired), len(x), BY_KID)
        of_x, of_y = of_x + one_x, of_y + one_y
        values.append(value)
        counts += len(x)
    k = len(values)
    return each, entry(float(np.mean(values)), deviation(of_x / k, of_y / k, paired), counts, BY_KID)


def deviation(of_x, of_y, paired):
    """The standard deviation from what each face adds; where both sets have the same faces they add together."""
    if paired:
        return float(np.sqrt(np.square(of_x + of_y).sum()))
    return float(np.sqrt(np.square(of_x).sum() + np.square(of_y).sum()))


def fid_of(found, n, m, paired):
    """FID of each Pair and their mean, as `kid_of`; intervals by resampling the faces of both sets."""
    values = [distance(pair) for pair in found.values()]
    counts_x = metrics.resample_counts(n, RESAMPLES)
    counts_y = counts_x if paired else metrics.resample_counts(m, RESAMPLES, 1)
    resampled = np.array([
        [distance(pair, a[pair.faces_x], b[pair.faces_y]) for pair in found.values()]
        for a, b in zip(counts_x, counts_y, strict=True)
    ])  # (RESAMPLES, attributes)  # fmt: skip
    each = {name: entry(value, float(resampled[:, i].std(ddof=1)), len(pair.x), BY_FID)
            for i, ((name, pair), value) in enumerate(zip(found.items(), values, strict=True))}  # fmt: skip
    counts = sum(len(pair.x) for pair in found.values())
    return each, entry(float(np.mean(values)), float(resampled.mean(axis=1).std(ddof=1)), counts, BY_FID)


def distance(pair, counts_x=None, counts_y=None):
    """The Frechet distance of a Pair, with rows counted as often as said."""
    return metrics.gaussian_distance(*moments(pair.x, counts_x), *moments(pair.y, counts_y)).item()


def entry(value, deviation, n, interval):
    reach = 1.96 * deviation
    return {"value": value, "low": value - reach, "high": value + reach, "n": n, "interval": interval}


# all of a row -------------------------------------------------------------------------------------------------------


def by_attribute(edits, attributes, of):
    """FID and KID by attribute: (metrics, {attribute: metrics}, {name: attributes left out}).

    edits (N, 13, D), features of the single flips of test faces with attributes (N, 13); `of` are the References.
    """
    overall, each, left_out = {}, {name: {} for name in ATTRIBUTES}, {}
    n = 0 if of.true is None else min(len(of.true), len(edits))
    kinds = {"added": (edits, attributes, of.real, of.has, False)}
    if n:
        kinds["truth"] = (edits[:n], attributes[:n], of.true[:n], attributes[:n] == 0, True)
    for kind, (x, labels, y, which, paired) in kinds.items():
        found, few = pairs(x, labels, y, which, paired)
        if few:
            left_out |= {f"{ruler}_{kind}": few for ruler in rulers(edits)}
        for ruler, measure in rulers(edits).items() if found else ():
            singles, mean = measure(found, len(x), len(y), paired)
            for name, single in singles.items():
                each[name][f"{ruler}_{kind}"] = single
            overall[f"{ruler}_{kind}"] = mean
    if n:
        check(overall, each, edits[:n], attributes[:n], of._replace(true=of.true[:n]))
    return overall, each, left_out


def rulers(features):
    return {"kid": kid_of} | ({"fid": fid_of} if features.shape[-1] <= LARGEST else {})


def check(overall, each, edits, attributes, of):
    """Say in the entries by which ruler the true edits score worse than these edits of the same faces."""
    (ours, _), (true, _) = (pairs(x, attributes, of.real, of.has, False) for x in (edits, of.true))
    measures = {"kid_added": lambda pair: kernel_shares(pair.x, pair.y)[0]}
    if edits.shape[-1] <= LARGEST:
        measures["fid_added"] = distance
    for name, measure in measures.items():
        scores = {one: (measure(ours[one]), measure(true[one])) for one in ours}
        for one, (score, of_true) in scores.items():
            each[one][name] |= verdict(of_true, score)
        if scores:
            score, of_true = np.mean(list(scores.values()), axis=0)
            overall[name] |= verdict(of_true, score)


def verdict(of_true, score):
    """{} where the true edits score at least as well, but for rounding, else why the ruler cannot judge."""
    if not of_true - score > 1e-3 * abs(score):
        return {}
    return {"cannot_judge": f"the true edits score worse by it ({of_true:.3g} against {score:.3g} on the same faces)"}


def pooled_scores(faces, edits, true):
    """FID and KID of all edits pooled against the faces, of the true edits and of these: {name: (2,)}.

    faces (n, D), edits and true (n, 13, D), of the same faces.
    """
    found = {"fid": [], "kid": []}
    some = np.random.default_rng(0).permutation(faces.shape[0] * 13)[:KEPT]
    for rows in (true.reshape(-1, true.shape[-1]), edits.reshape(-1, edits.shape[-1])):
        found["fid"].append(metrics.gaussian_distance(*moments(faces), *moments(rows)).item())
        found["kid"].append(kernel_shares(faces, rows[some])[0])
    return {name: np.array(scores) for name, scores in found.items()}
