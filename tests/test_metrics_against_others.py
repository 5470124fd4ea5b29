"""The metrics beside independent implementations, and the intervals in simulations whose truth is known."""

import io

import numpy as np
import pytest
import torch
from cleanfid import fid as cleanfid
from PIL import Image, ImageFilter
from scipy import stats
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.image.kid import poly_mmd

from maggan import metrics
from maggan.drawnfaces.paint import draw, draw_flipped
from maggan.evaluate.seeds import over_seeds
from maggan.networks.judges import FEATURES

EXPERIMENTS, IMAGES, RESAMPLES = 1000, 300, 1000
# 0.95 within three binomial deviations of 1000 experiments (0.0069 each), and 0.005 lower still, for a percentile
# interval of few images is a little short: 0.924 to 0.971.
COVERAGE = (0.95 - 3 * 0.0069 - 0.005, 0.95 + 3 * 0.0069)


def saved(images):
    """Images (B, 3, S, S) in [-1, 1] as picture files hold them: (B, S, S, 3) uint8."""
    return np.rint((images.permute(0, 2, 3, 1).numpy() + 1) * 127.5).clip(0, 255).astype(np.uint8)


def opened(pictures):
    """Pictures (B, S, S, 3) uint8 as the networks get them: (B, 3, S, S) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2) / 127.5 - 1


def noisy(picture):
    noise = np.random.default_rng(0).normal(scale=12, size=picture.shape)
    return np.rint(picture + noise).clip(0, 255).astype(np.uint8)


def blurred(picture):
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(1.5)))


def compressed(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=30)
    return np.asarray(Image.open(file))


def one_pixel_off(picture):
    picture = picture.copy()
    picture[5, 7, 1] ^= 1
    return picture


DISTURBANCES = {"noisy": noisy, "blurred": blurred, "compressed": compressed, "one pixel off": one_pixel_off}


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("how", DISTURBANCES)
def test_psnr_and_ssim_of_drawn_faces_equal_scikit_image(how, size):
    faces = saved(draw(range(6), size).images)
    copies = np.stack([DISTURBANCES[how](face) for face in faces])
    # What a generator returns lies between the levels of a file, and rounds to them.
    between = (torch.rand(6, 3, size, size, generator=torch.Generator().manual_seed(0)) - 0.5) * 0.9 / 127.5
    ours = opened(faces), opened(copies) + between
    psnr = [peak_signal_noise_ratio(a, b, data_range=255) for a, b in zip(faces, copies, strict=True)]
    ssim = [
        structural_similarity(a, b, win_size=7, data_range=255, channel_axis=2)
        for a, b in zip(faces, copies, strict=True)
    ]
    assert metrics.psnr(*ours).tolist() == pytest.approx(psnr, abs=1e-4)
    assert metrics.ssim(*ours).tolist() == pytest.approx(ssim, abs=1e-4)
    assert all(value < 1 for value in ssim) and all(value < 90 for value in psnr)


@pytest.fixture(scope="module")
def network():
    """The small profiles' feature network, untrained: seeded, with the batch statistics of some drawn faces."""
    torch.manual_seed(0)
    network = FEATURES["small"](32)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the one batch's statistics, whole
    with torch.no_grad():
        network.train()(draw(range(1000, 1100), 32).images)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Pictures (150, 32, 32, 3) uint8 by name, and the folder of PNGs of each."""
    seeds = range(150)
    edits = [draw_flipped(seeds[i::3], 32, name).images for i, name in enumerate(("Bangs", "Eyeglasses", "Male"))]
    faces = saved(draw(seeds, 32).images)
    pictures = {
        "faces": faces,
        "others": saved(draw(range(500, 650), 32).images),
        "edits": saved(torch.cat(edits)),
        "noisy": np.stack([noisy(face) for face in faces]),
    }
    root = tmp_path_factory.mktemp("pictures")
    for name, some in pictures.items():
        (root / name).mkdir()
        for i, picture in enumerate(some):
            Image.fromarray(picture).save(root / name / f"{i:04}.png")
    return pictures, root


def as_clean_fid_feeds(network):
    """The network for pictures in [0, 255], which is what clean-fid gives to a feature extractor."""
    return lambda pictures: network.features(pictures / 127.5 - 1)


def unchanged(picture):
    """In the place of clean-fid's resize to 299 pixels."""
    return picture


CLEAN_FID = dict(num_workers=0, device=torch.device("cpu"), verbose=False, custom_fn_resize=unchanged)


def test_our_features_are_those_of_clean_fids_folder_pipeline(folders, network):
    pictures, root = folders
    theirs = cleanfid.get_folder_features(str(root / "faces"), as_clean_fid_feeds(network), **CLEAN_FID)
    ours = network.features(opened(pictures["faces"])).numpy()
    assert theirs.shape == ours.shape == (150, 128)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert ours.std(axis=0).mean() > 0.1  # a thousand times the tolerance


@pytest.mark.parametrize("name", ["others", "edits", "noisy"])
def test_frechet_distance_of_images_is_that_of_clean_fids_folder_pipeline(folders, network, name):
    pictures, root = folders
    extractor = as_clean_fid_feeds(network)
    theirs = cleanfid.compute_fid(str(root / "faces"), str(root / name), custom_feat_extractor=extractor, **CLEAN_FID)
    faces, some = (network.features(opened(pictures[key])) for key in ("faces", name))
    assert metrics.frechet_distance(faces, some) == pytest.approx(theirs, rel=1e-3)
    # The comparison can fail: with the colours in the other order, or a fifth of the pictures left out.
    for wrong in (network.features(opened(pictures[name][..., ::-1])), some[:120]):
        assert abs(metrics.frechet_distance(faces, wrong) / theirs - 1) > 0.02


def clouds(seed=0):
    """Features (N, 8) of two samples of one distribution, and of one whose mean is 0.5 off."""
    random = np.random.default_rng(seed)
    return random.normal(size=(300, 8)), random.normal(size=(200, 8)), random.normal(size=(200, 8)) + 0.5


@pytest.mark.parametrize("seed", [0, 3])
def test_kernel_distance_is_clean_fids_after_seeding(seed):
    one, _, moved = clouds()
    np.random.seed(seed)
    expected = cleanfid.kernel_distance(one, moved)
    np.random.seed(99)
    assert metrics.kernel_distance(one, moved, seed=seed) == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_is_the_same_twice_and_depends_on_the_seed_alone():
    one, _, moved = clouds()
    np.random.seed(1)
    first = metrics.kernel_distance(one, moved)
    np.random.seed(2)
    second = metrics.kernel_distance(one, moved)
    assert isinstance(first, float) and first == second == metrics.kernel_distance(one, moved, seed=0)
    assert first != metrics.kernel_distance(one, moved, seed=1)


def test_kernel_distance_leaves_numpys_global_random_state_alone():
    one, other, _ = clouds()
    np.random.seed(5)
    np.random.normal()  # one more is kept back for the next call: it is part of the state
    before = np.random.get_state()
    metrics.kernel_distance(one, other)
    after = np.random.get_state()
    assert before[0] == after[0] and before[2:] == after[2:]
    np.testing.assert_array_equal(before[1], after[1])


def test_kernel_distance_of_whole_samples_is_torchmetrics():
    # Samples of one size are each other's largest subset, so that nothing is left to chance.
    _, other, moved = clouds()
    expected = poly_mmd(torch.tensor(other), torch.tensor(moved)).item()
    assert metrics.kernel_distance(other, moved) == pytest.approx(expected, rel=1e-6)


def test_kernel_distance_is_about_zero_within_a_distribution_and_clearly_above_beyond_it():
    pairs = [clouds(seed) for seed in range(8)]
    same = [metrics.kernel_distance(one, other) for one, other, _ in pairs]
    apart = [metrics.kernel_distance(one, moved) for one, _, moved in pairs]
    assert abs(np.mean(same)) < 0.01 and max(np.abs(same)) < 0.05
    assert min(apart) > 5 * max(np.abs(same))


def unpaired(random, *arrays):
    """The columns of (N, 13) arrays each shuffled by itself, all arrays alike: no face has its 13 edits any more.

    The statistic is the same, and the interval becomes the naive one, for which the edits are independent.
    """
    order = random.permuted(np.tile(np.arange(len(arrays[0]))[:, None], (1, 13)), axis=0)
    return [np.take_along_axis(array, order, axis=0) for array in arrays]


def coverage(experiment, truth):
    """The shares of 95 % intervals that hold the truth: ours, and the naive ones."""
    held = []
    for trial in range(EXPERIMENTS):
        random = np.random.default_rng(trial)
        sample = experiment(random)
        value, low, high, _ = metrics.bootstrap_interval(*sample, resamples=RESAMPLES)
        same, naive_low, naive_high, _ = metrics.bootstrap_interval(*unpaired(random, *sample), resamples=RESAMPLES)
        assert value == pytest.approx(same) and low <= value <= high
        held.append((low <= truth <= high, naive_low <= truth <= naive_high))
    return np.mean(held, axis=0)


def test_bootstrap_interval_of_correlated_edits_covers_the_truth_and_a_naive_one_does_not():
    # Like MRE: skewed, of another mean and spread for each attribute, and some faces are hard in all of them.
    means, truth = np.linspace(0.02, 0.3, 13), 0.16

    def experiment(random):
        face, noise = random.gamma(4, 1 / 4, size=(IMAGES, 1)), random.gamma(2, 1 / 2, size=(IMAGES, 13))
        return (means * face * noise,)

    ours, naive = coverage(experiment, truth)
    assert COVERAGE[0] <= ours <= COVERAGE[1]
    assert naive < 0.8


def test_bootstrap_interval_of_accuracies_over_some_edits_covers_the_truth_and_a_naive_one_does_not():
    # Like the accuracy over flips that add the attribute: a face that is easy in one edit is so in the others,
    # and easy faces have other attributes than hard ones, so that a column's truth is a ratio of two means.
    success = np.linspace(0.4, 0.7, 13) + np.array([[-0.28], [0.28]])  # of hard faces, of easy ones
    absent = np.linspace(0.3, 0.7, 13) + np.array([[-0.15], [0.15]])
    truth = ((success * absent).mean(axis=0) / absent.mean(axis=0)).mean()

    def experiment(random):
        easy = random.integers(2, size=IMAGES)
        return [(random.random((IMAGES, 13)) < rate[easy]).astype(float) for rate in (success, absent)]

    ours, naive = coverage(experiment, truth)
    assert COVERAGE[0] <= ours <= COVERAGE[1]
    assert naive < 0.85


@pytest.mark.parametrize("weighted", [False, True])
def test_bootstrap_interval_equals_scipys_but_for_the_draws(weighted):
    random = np.random.default_rng(0)
    values = random.gamma(2, 1, size=(IMAGES, 1)) * random.gamma(2, 1, size=(IMAGES, 13))
    weights = (random.random((IMAGES, 13)) < 0.5).astype(float) if weighted else np.ones((IMAGES, 13))

    def mean_of_columns(rows):
        return np.average(values[rows], axis=0, weights=weights[rows]).mean()

    settings = dict(vectorized=False, n_resamples=4000, method="percentile", rng=1)
    low, high = stats.bootstrap((np.arange(IMAGES),), mean_of_columns, **settings).confidence_interval
    ours = metrics.bootstrap_interval(values, weights if weighted else None, resamples=4000)
    assert ours[0] == pytest.approx(mean_of_columns(np.arange(IMAGES)))
    assert ours[1:3] == pytest.approx((low, high), abs=0.05 * (high - low))  # an end is drawn to some 2 % of the width


def test_frechet_deviation_keeps_each_face_with_its_edits():
    # An edit is its face, moved and disturbed: the distance then spreads far less than between unrelated samples.
    random, scale = np.random.default_rng(0), np.exp(-np.arange(16) / 4)

    def experiment(count=300):
        faces = random.normal(size=(count, 1, 16))
        own, noise = random.normal(size=(count, 1, 16)), random.normal(size=(count, 13, 16))
        return scale * faces[:, 0], scale * (faces + 0.4 + 0.3 * own + 0.3 * noise)

    samples = [experiment() for _ in range(60)]
    spread = np.std([metrics.frechet_distance(faces, edits.reshape(-1, 16)) for faces, edits in samples], ddof=1)
    for faces, edits in samples[:3]:
        assert 0.6 < metrics.frechet_deviation(faces, edits, resamples=40) / spread < 1.4
    assert metrics.frechet_deviation(faces, random.permutation(edits), resamples=40) > 2 * spread


def interval_over_seeds(values):
    """Of numbers that don't vary over images."""
    entries = [{"a": {"value": v, "low": v, "high": v, "n": 1, "interval": "bootstrap"}} for v in values]
    found = over_seeds(entries)["a"]
    return found["value"], found["low"], found["high"]


def test_interval_over_seeds_is_scipys():
    values = [0.61, 0.66, 0.58]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert interval_over_seeds(values) == pytest.approx((np.mean(values), expected.low, expected.high))


def test_interval_over_three_seeds_covers_the_truth():
    runs = np.random.default_rng(0).normal(0.7, 0.03, size=(2000, 3))
    mean, low, high = np.array([interval_over_seeds(values) for values in runs]).T
    np.testing.assert_allclose(mean, runs.mean(axis=1))
    covered = np.mean((low <= 0.7) & (0.7 <= high))
    assert 0.935 <= covered <= 0.965  # three binomial deviations of 2000 experiments, 0.0049 each
    # With the normal law's 1.96 in the place of Student's 4.30 it would be some 0.81.
    reach = 1.96 * runs.std(axis=1, ddof=1) / np.sqrt(3)
    assert np.mean(abs(mean - 0.7) <= reach) < 0.85
