import numpy as np
import pytest
import torch
from cleanfid.fid import frechet_distance as cleanfid_distance
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from maggan import metrics
from maggan.attributes import ATTRIBUTES, PARTS


def face(size=16, count=2, seed=0):
    """Random images in [-1, 1], random soft parts and attributes."""
    random = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, size, size, generator=random) * 2 - 1
    parts = torch.rand(count, len(PARTS), size, size, generator=random)
    attributes = (torch.rand(count, len(ATTRIBUTES), generator=random) > 0.5).float()
    return images, parts / parts.sum(1, keepdim=True), attributes


def only(part, size=8):
    """Parts (1, 19, S, S) of a face that is all `part`."""
    parts = torch.zeros(1, len(PARTS), size, size)
    parts[:, PARTS.index(part)] = 1
    return parts


def test_mre_of_the_identity_is_zero():
    images, parts, attributes = face()
    edits = images.unsqueeze(1).expand(-1, 13, -1, -1, -1)
    assert metrics.mre(images, edits, parts, attributes).tolist() == [0, 0]


def test_mre_is_zero_where_everything_may_change():
    # Every flip of No_Beard may change the lips, so on a face that is all lip no change of it counts.
    images, edits = torch.zeros(1, 3, 8, 8), torch.ones(1, 13, 3, 8, 8)
    for label in (0.0, 1.0):
        terms = metrics.mre_of_flips(images, edits, only("u_lip"), torch.full((1, 13), label))[0]
        assert terms[ATTRIBUTES.index("No_Beard")] == 0
        assert terms[ATTRIBUTES.index("Eyeglasses")] == 1


def test_mre_by_hand():
    # Half hair, half hat. Black_Hair may touch hair in both directions; Bald only when it is strengthened.
    parts = only("hair")
    parts[:, PARTS.index("hair"), :, 4:] = 0
    parts[:, PARTS.index("hat"), :, 4:] = 1
    images, edits = torch.zeros(1, 3, 8, 8), torch.full((1, 13, 3, 8, 8), 0.5)
    edits[:, :, 0] = -1.0  # change 1, .5, .5 in the channels: mean 2/3
    attributes = torch.zeros(1, 13)
    hair = {"Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young"}  # AR+ has hair
    terms = metrics.mre_of_flips(images, edits, parts, attributes)[0]
    expected = [(1 / 3 if name in hair else 2 / 3) for name in ATTRIBUTES]
    torch.testing.assert_close(terms, torch.tensor(expected))
    assert metrics.mre(images, edits, parts, attributes).item() == pytest.approx(np.mean(expected))
    attributes[:, ATTRIBUTES.index("Bald")] = 1  # now weakened: hair is to be preserved too
    assert metrics.mre_of_flips(images, edits, parts, attributes)[0, 0].item() == pytest.approx(2 / 3)


def test_edit_success_needs_the_opposite_of_the_label():
    attributes = torch.tensor([[0.0, 1.0] + [0.0] * 11])
    logits = torch.full((1, 13, 13), -3.0)
    logits[0, 0] = 3.0
    success = metrics.edit_success(logits, attributes)[0]
    assert success.tolist() == [True, True] + [False] * 11


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.6])
def test_psnr_and_ssim_equal_scikit_image(noise):
    images, _, _ = face(size=24, count=3)
    smooth = torch.nn.functional.avg_pool2d(images, 5, 1, 2)
    random = torch.Generator().manual_seed(1)
    others = smooth + noise * torch.randn(smooth.shape, generator=random)  # also outside [-1, 1]
    ours_psnr, ours_ssim = metrics.psnr(smooth, others), metrics.ssim(smooth, others)
    assert ours_psnr.shape == ours_ssim.shape == (3,)
    for i in range(3):
        a, b = (
            np.round((x[i].clamp(-1, 1).permute(1, 2, 0).numpy() + 1) * 127.5).astype(np.uint8)
            for x in (smooth, others)
        )
        assert ours_psnr[i].item() == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255), abs=1e-4)
        expected = structural_similarity(a, b, win_size=7, data_range=255, channel_axis=2)
        assert ours_ssim[i].item() == pytest.approx(expected, abs=1e-4)


def test_identical_pairs_are_infinite_and_left_out_of_the_mean():
    images, _, _ = face()
    others = images.clone()
    others[1] = -others[1]
    values = metrics.psnr(images, others)
    assert values[0] == float("inf") and torch.isfinite(values[1])
    value, low, high, n = metrics.bootstrap_interval(values)
    assert value == low == high == pytest.approx(values[1].item()) and n == 1
    assert metrics.ssim(images, images).tolist() == pytest.approx([1, 1])
    assert np.isnan(metrics.bootstrap_interval([np.inf, np.inf])[0])


def test_frechet_distance_of_known_gaussians():
    # Two clouds of equal, exact covariance, three apart: the distance is 9.
    random = np.random.default_rng(0)
    cloud = random.normal(size=(500, 6))
    moved = cloud + np.array([3, 0, 0, 0, 0, 0])
    assert metrics.frechet_distance(cloud, cloud) == pytest.approx(0, abs=1e-6)
    assert metrics.frechet_distance(cloud, moved) == pytest.approx(9, abs=1e-6)
    # Commuting covariances: the trace term is the sum of the squared differences of the deviations.
    scaled = (cloud - cloud.mean(0)) * 2 + cloud.mean(0)
    assert metrics.frechet_distance(cloud, scaled) == pytest.approx(np.trace(np.cov(cloud.T)), rel=1e-6)


def test_frechet_distance_is_clean_fids():
    random = np.random.default_rng(1)
    a = random.normal(size=(400, 16)) @ random.normal(size=(16, 16))
    b = random.normal(size=(300, 16)) @ random.normal(size=(16, 16)) + 0.5
    expected = cleanfid_distance(a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))
    assert metrics.frechet_distance(torch.tensor(a), torch.tensor(b)) == pytest.approx(expected, rel=1e-9)


def test_bootstrap_interval_covers_the_truth():
    random = np.random.default_rng(0)
    covered = []
    for trial in range(200):
        values = random.exponential(size=(120, 3)) + random.normal(size=(120, 1))  # columns go together
        value, low, high, n = metrics.bootstrap_interval(values, resamples=400, seed=trial)
        assert low < value < high and value == pytest.approx(values.mean()) and n == 360
        covered.append(low <= 1.0 <= high)
    assert 0.90 <= np.mean(covered) <= 0.99


def test_weighted_bootstrap_is_a_mean_of_column_ratios():
    values = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=float)
    weights = np.array([[1, 0], [1, 0], [1, 1], [0, 1]], dtype=float)
    value, low, high, n = metrics.bootstrap_interval(values, weights)
    assert value == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert 0 <= low < value < high <= 1 and n == 5
    assert metrics.bootstrap_interval(values, weights) == (value, low, high, n)
    weights[:, 1] = 0  # an attribute no face can be edited in does not count as 0
    assert metrics.bootstrap_interval(values, weights)[0] == pytest.approx(2 / 3)
