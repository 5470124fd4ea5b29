"""What is measured on faces and their edits: eq. 2, accuracy, PSNR, SSIM, Frechet distance, intervals."""

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import torch
from torch.nn import functional as F
from torchmetrics.functional.image import peak_signal_noise_ratio

from .basics.errors import MagganError
from .regions import influence_regions, preserved_change

RESAMPLES = 2000  # of the bootstrap over test images


def mre_of_flips(images, edits, parts, attributes, table="paper"):
    """The summands of eq. 2: what each single flip changed where the source was to be preserved.

    images (B, 3, H, W) in [-1, 1]; edits (B, 13, 3, H, W), one flip each; parts (B, 19, H, W) of the source;
    attributes (B, 13) of the source in {0, 1}. Returns (B, 13), means over pixels and colour channels.
    """
    preserved = preserved_of_flips(parts, attributes, table)
    return preserved_change(edits, images.unsqueeze(1), preserved).mean(dim=(2, 3, 4))


def preserved_of_flips(parts, attributes, table="paper"):
    """The preserved masks of the 13 single flips: (B, 19, H, W), (B, 13) -> (B, 13, 1, H, W)."""
    plus, minus = influence_regions(parts, table)
    strengthened = attributes[:, :, None, None] == 0
    return (1 - torch.where(strengthened, plus, minus)).unsqueeze(2)


def rim_energy(images, preserved):
    """Gradient energy of images on the rim of a mask: squared differences of neighbours where the mask changes.

    images (..., 3, H, W), preserved (..., 1, H, W); returns (...). An edit's over its source's is the seam score
    of reading 20: 1 where the rim is as smooth as in the source, more where there is a seam.
    """
    energy = 0
    for dim in (-1, -2):
        energy = energy + (preserved.diff(dim=dim).abs() * images.diff(dim=dim).square()).sum(dim=(-3, -2, -1))
    return energy


def mre(images, edits, parts, attributes, table="paper"):
    """Mask-aware reconstruction error (eq. 2), as a mean over pixels, colour channels and the 13 single flips.

    Arguments as `mre_of_flips`; the pixel range is [-1, 1], so [0, 1] would give half. Returns (B,).
    """
    return mre_of_flips(images, edits, parts, attributes, table).mean(dim=1)


def edit_success(logits, attributes):
    """Whether the judge reads the reversed attribute on each edit: predicted bit i of edit i is 1 - label i.

    logits (B, 13, 13), row i those of edit i; attributes (B, 13), the source's labels in {0, 1}.
    Returns (B, 13) bool.
    """
    read = logits.diagonal(dim1=1, dim2=2) > 0
    return read != (attributes > 0.5)


def readings_changed(logits, logits_of_faces):
    """Which attributes a judge reads otherwise on each edit than on its source face.

    logits (B, 13, 13), row i those of edit i; logits_of_faces (B, 13). Returns (B, 13, 13) bool.
    """
    return (logits > 0) != (logits_of_faces > 0).unsqueeze(1)


def all_read(logits, wanted):
    """Whether a judge reads on each edit all 13 attributes as they ought to be: effectiveness, joint over 13.

    logits (B, 13, 13), row i those of edit i; wanted (B, 13, 13) in {0, 1}. Returns (B, 13) bool.
    """
    return ((logits > 0) == (wanted > 0.5)).all(dim=2)


def change_where_kept(images, edits, truths):
    """Mean |edit - x| over the pixels that the true edit leaves as they are: minimality, and 0 at best.

    A pixel is left where no channel changes by 2 levels of 255. images (B, 3, H, W) in [-1, 1]; edits and truths
    (B, 13, 3, H, W). Returns (B, 13), 0 where the true edit leaves no pixel.
    """
    levels = ((truths - images.unsqueeze(1)).abs() * 127.5).round()
    kept = (levels.amax(dim=2, keepdim=True) < 2).to(images)
    change = (edits - images.unsqueeze(1)).abs() * kept
    return change.sum(dim=(2, 3, 4)) / (3 * kept.sum(dim=(2, 3, 4))).clamp(min=1)


def seam_excess(images, edits, truths, preserved):
    """Steps on a mask's rim that neither the source nor the true edit has, over the steps that they have there.

    A step is a squared difference of neighbouring pixels; what is new of it is what goes beyond the larger of the
    source's and the true edit's. The same share off the rim is subtracted, so that an edit that is sharper or noisier
    everywhere does not count: 0 where nothing was pasted, below 0 where an edit is rougher elsewhere.

    images (B, 3, H, W) in [-1, 1]; edits, truths (B, 13, 3, H, W); preserved (B, 13, 1, H, W). Returns (values,
    weights), (B, 13) each; the weights, the steps on the rim that were there, make the mean over faces one of sums.
    """
    images, sums = images.unsqueeze(1), [0.0] * 4
    for dim in (-1, -2):
        step, rim = edits.diff(dim=dim).square(), preserved.diff(dim=dim).abs()
        there = torch.maximum(images.diff(dim=dim).square(), truths.diff(dim=dim).square())
        new = (step - there).clamp(min=0)
        for i, quantity in enumerate((rim * new, rim * there, (1 - rim) * new, (1 - rim) * there)):
            sums[i] = sums[i] + quantity.sum(dim=(-3, -2, -1))
    new_on, there_on, new_off, there_off = sums
    share = new_on / there_on.clamp(min=1e-9) - new_off / there_off.clamp(min=1e-9)
    return torch.where(there_on > 0, share, 0), there_on


def as_saved(images):
    """Images in [-1, 1] as they would be saved: rounded to whole numbers in [0, 255], still floating point."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round()


def psnr(images, others):
    """Peak signal-to-noise ratio in dB of pairs (B, 3, H, W) in [-1, 1], rounded to uint8 first.

    Returns (B,); infinite where the rounded pair is identical.
    """
    return peak_signal_noise_ratio(
        as_saved(images), as_saved(others), data_range=255.0, reduction="none", dim=(1, 2, 3)
    )


def ssim(images, others, window=7):
    """Structural similarity of pairs (B, 3, H, W) in [-1, 1], rounded to uint8 first; returns (B,).

    The form of the published numbers: a uniform window, sample covariance, no border. torchmetrics' has the
    population covariance and a reflected border, which moves it by more than 1e-3 at 64 pixels.
    """
    x, y = as_saved(images).double(), as_saved(others).double()
    moments = torch.cat([x, y, x * x, y * y, x * y], dim=1)
    ux, uy, uxx, uyy, uxy = F.avg_pool2d(moments, window, stride=1).chunk(5, dim=1)
    sample = window**2 / (window**2 - 1)
    vx, vy, vxy = sample * (uxx - ux * ux), sample * (uyy - uy * uy), sample * (uxy - ux * uy)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    value = (2 * ux * uy + c1) * (2 * vxy + c2) / ((ux * ux + uy * uy + c1) * (vx + vy + c2))
    return value.mean(dim=(1, 2, 3)).to(images.dtype)


def feature_statistics(features):
    """Mean (D,) and covariance (D, D) in float64 of features (N, D): all a Frechet distance needs.

    Some thousand rows at a time: the 2048 features of all edits of CelebA's test faces take 4 GB in float64.
    """
    features = np.asarray(features)
    mean = features.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((len(mean), len(mean)))
    for start in range(0, len(features), 4096):
        centred = features[start : start + 4096] - mean
        covariance += centred.T @ centred
    return mean, covariance / (len(features) - 1)


def frechet_of_statistics(mean_a, covariance_a, mean_b, covariance_b):
    """Frechet distance of two Gaussians by clean-fid's own function; MagganError where it is not installed."""
    try:  # here, for machines that only train have no clean-fid
        from cleanfid.fid import frechet_distance as cleanfid_distance
    except ImportError:
        raise MagganError("the Frechet distance needs clean-fid: pip install clean-fid==0.1.35") from None
    return float(cleanfid_distance(mean_a, covariance_a, mean_b, covariance_b))


def frechet_distance(features_a, features_b):
    """Frechet distance between features (N, D) and (M, D), in float64 through clean-fid's function.

    Returns a float. Raises MagganError where clean-fid is not installed.
    """
    return frechet_of_statistics(*feature_statistics(features_a), *feature_statistics(features_b))


def kernel_distance(features_a, features_b, seed=0):
    """Kernel distance (KID) between features (N, D) and (M, D) by clean-fid's own function, its subsets by `seed`.

    Returns a float; NumPy's global random state, which that function draws from, is left as it was. Raises
    MagganError where clean-fid is not installed.
    """
    try:  # here, for machines that only train have no clean-fid
        from cleanfid.fid import kernel_distance as cleanfid_distance
    except ImportError:
        raise MagganError("the kernel distance needs clean-fid: pip install clean-fid==0.1.35") from None
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        return float(cleanfid_distance(np.asarray(features_a, np.float64), np.asarray(features_b, np.float64)))
    finally:
        np.random.set_state(state)


def gaussian_distance(mean_a, covariance_a, mean_b, covariance_b):
    """Frechet distance of two Gaussians, float64 tensors (D,) and (D, D), by symmetric eigenvalues; a tensor."""
    values, vectors = torch.linalg.eigh(covariance_a)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    trace = torch.linalg.eigvalsh(root @ covariance_b @ root).clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + covariance_a.trace() + covariance_b.trace() - 2 * trace


def frechet_deviation(faces, edits, resamples, seed=0):
    """Bootstrap standard deviation of the Frechet distance, resampling test images with all their edits.

    faces (N, D), edits (N, 13, D). Many distances: by symmetric eigenvalues, which equal clean-fid's matrix
    root and take a fraction of its time.
    """
    faces, edits = (torch.as_tensor(rows, dtype=torch.float64) for rows in (faces, edits))

    def weighted(rows, counts):
        mean = counts @ rows / counts.sum()
        return mean, (rows * counts[:, None]).T @ rows / counts.sum() - torch.outer(mean, mean)

    distances = []
    for counts in torch.as_tensor(resample_counts(len(faces), resamples, seed), dtype=torch.float64):
        mean_a, a = weighted(faces, counts)
        mean_b, b = weighted(edits.flatten(0, 1), counts.repeat_interleave(edits.shape[1]))
        distances.append(gaussian_distance(mean_a, a, mean_b, b))
    return torch.stack(distances).std().item()


@lru_cache(maxsize=8)
def resample_counts(n, resamples=RESAMPLES, seed=0):
    """How often each of n images is drawn in each bootstrap resample: (resamples, n) uint8."""
    random = np.random.default_rng(seed)
    draws = (np.bincount(random.integers(n, size=n), minlength=n) for _ in range(resamples))
    return np.stack([row.astype(np.uint8) for row in draws])


def ratio(values, weights):
    """Mean over the K columns of values / weights, both sums over images; columns of no weight are left out."""
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = weights > 0
        return np.where(seen, values / weights, 0).sum(axis=-1) / seen.sum(axis=-1)  # nan where nothing is seen


def shares(values, weights):
    """Weighted means over images of (N, ...) arrays, as (...); nan where nothing has weight."""
    below = weights.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below > 0, (values * weights).sum(axis=0) / below, np.nan)


def bootstrap_interval(values, weights=None, resamples=RESAMPLES, seed=0, level=0.95):
    """Value and percentile interval of a mean over test images, resampling whole images.

    values (N,) or (N, K), a row an image; the statistic is the mean over images, then over columns. weights
    of the same shape turn each column's mean into sum(values * weights) / sum(weights), for accuracies over
    some of the flips. Infinite values have no weight. Returns (value, low, high, n): n values had weight;
    all three are nan where none had.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values.reshape(len(values), -1)
    weights = np.ones_like(values) if weights is None else np.asarray(weights, np.float64).reshape(values.shape)
    weights = np.where(np.isfinite(values), weights, 0)
    values = np.where(weights > 0, values, 0) * weights
    n = int((weights > 0).sum())
    if n == 0:
        return float("nan"), float("nan"), float("nan"), 0
    counts = resample_counts(len(values), resamples, seed)
    both = np.concatenate([values, weights], axis=1)
    # A few hundred resamples at a time: 2000 x 20,000 counts in float64 would take 320 MB.
    sums = np.concatenate([counts[i : i + 250].astype(np.float64) @ both for i in range(0, resamples, 250)])
    k = values.shape[1]
    resampled = ratio(sums[:, :k], sums[:, k:])
    low, high = np.nanquantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return float(ratio(values.sum(axis=0), weights.sum(axis=0))), float(low), float(high), n


def wilson_interval(successes, n, level=0.95):
    """Share of successes in n independent trials and Wilson's interval: (value, low, high), nan where n is 0.

    For the flips of one attribute, one a face: there the bootstrap's interval has no width when all succeed.
    """
    if n == 0:
        return float("nan"), float("nan"), float("nan")
    z, share = NormalDist().inv_cdf((1 + level) / 2), successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return share, centre - reach, centre + reach


def success_within(errors, successes, limit):
    """The area under a success-preservation curve: mean success over all budgets of MRE from 0 to `limit`.

    errors, successes (K,), MRE and accuracy at K strengths. Within a budget counts the best success of what lies on the
    curve there, points joined by straight lines; none where the budget is below every point. Returns a float in [0, 1].
    """
    order = np.argsort(errors, kind="stable")
    errors, best = np.asarray(errors)[order], np.maximum.accumulate(np.asarray(successes)[order])
    budgets = np.linspace(0, limit, 201)
    return float(np.interp(budgets, errors, best, left=0.0).mean())
