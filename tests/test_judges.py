from dataclasses import replace

import pytest
import torch

from maggan.attributes import ATTRIBUTES
from maggan.basics import paths
from maggan.basics.errors import MagganError
from maggan.data import Faces, augment, drawn
from maggan.drawnfaces import draw_flipped
from maggan.evaluate import fitting, judges
from maggan.networks.judges import AttributeClassifier, InceptionFeatures, SmallFeatures
from maggan.profiles import profile


def toy_faces(count, seed=0, size=16):
    """Faces whose attribute i is the brightness of band i mod 4; mirroring leaves bands as they are."""
    draw = torch.Generator().manual_seed(seed)
    bands = torch.randint(2, (count, 4), generator=draw, dtype=torch.uint8)
    attributes = bands.repeat(1, 4)[:, :13]
    bright = bands.float().repeat_interleave(size // 4, 1)[:, None, :, None]
    images = (bright * 200 + torch.rand(count, 3, size, size, generator=draw) * 50).to(torch.uint8)

    def fetch(numbers, keys, device):
        return {key: {"images": images, "attributes": attributes}[key][numbers] for key in keys}

    return Faces([f"toy-{i}" for i in range(count)], attributes, size, fetch)


@pytest.mark.parametrize("size, blocks", [(32, 3), (64, 4), (128, 5), (256, 5)])
def test_classifier_is_stgans_at_every_size(size, blocks):
    network = AttributeClassifier(size, width=4)
    convolutions = [m for m in network.trunk if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 2 * blocks
    assert convolutions[-1].out_channels == 4 * 2 ** (blocks - 1)
    assert network(torch.zeros(2, 3, size, size)).shape == (2, 13)


def test_classifier_at_128_has_stgans_weights():
    # STGAN's has 3.30 million parameters with 40 outputs; the 27 that we leave out have 513 each.
    count = sum(parameter.numel() for parameter in AttributeClassifier(128).parameters())
    assert round((count + 27 * 513) / 1e6, 2) == 3.30


def test_feature_networks_give_what_their_logits_are_linear_in():
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    small = SmallFeatures(32, width=4).eval()
    assert small.features(images).shape == (2, 128)
    torch.testing.assert_close(small(images), small.head(small.features(images)))


def test_inception_features_are_2048():
    network = InceptionFeatures(256).eval()
    with torch.no_grad():
        assert network.features(torch.zeros(1, 3, 64, 64)).shape == (1, 2048)


def test_fit_learns_a_toy_problem(tmp_path):
    network = AttributeClassifier(16, width=4, dropout=0.1)
    fitting.fit("classifier", network, toy_faces(512), epochs=6, folder=tmp_path, code="x")
    assert judges.right_on_faces(network, toy_faces(128, seed=1)).float().mean() > 0.95


def test_interrupted_fit_ends_in_the_same_weights(tmp_path, monkeypatch):
    def fitted(folder):
        torch.manual_seed(0)
        network = SmallFeatures(16, width=4)
        fitting.fit("features", network, toy_faces(96), epochs=3, folder=tmp_path / folder, code="x")
        return network.state_dict()

    whole = fitted("whole")
    true_epoch = fitting.fit_epoch
    with monkeypatch.context() as patched:
        def stop_in_the_second(*args):
            true_epoch(*args)
            if args[4] == 1:
                raise KeyboardInterrupt

        patched.setattr(fitting, "fit_epoch", stop_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            fitted("torn")
    epochs = []
    monkeypatch.setattr(fitting, "fit_epoch", lambda *args: (epochs.append(args[4]), true_epoch(*args)))
    resumed = fitted("torn")
    assert epochs == [1, 2]  # the torn epoch is run again, the first is not
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("change", [augment.augmented, augment.roughened])
def test_augmentation_keeps_range_shape_and_draws(change):
    images = torch.rand(8, 3, 16, 16) * 2 - 1
    first, again = (change(images, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again) and first.shape == images.shape
    assert not torch.equal(first, images) and first.abs().max() < 1.6
    ramp = torch.linspace(-1, 1, 16).expand(32, 3, 16, 16)
    moved = change(ramp, torch.Generator().manual_seed(3)).mean(dim=(1, 2))
    rising = moved[..., -1] > moved[..., 0]
    if change is augment.augmented:
        assert 0 < rising.sum() < 32  # some are mirrored, some are not
    else:
        assert rising.all()


def test_the_second_judge_sees_patches_cut_out_of_some_faces():
    seen = augment.roughened(torch.ones(64, 3, 24, 24), torch.Generator().manual_seed(0))
    cut = (seen == 0).all(dim=1).sum(dim=(1, 2))
    assert set(cut.tolist()) == {0, 16}  # 4 x 4 pixels
    assert 16 < (cut > 0).sum() < 48


def test_folded_judges_read_the_same_and_leave_the_original_alone():
    torch.manual_seed(0)
    for network in (AttributeClassifier(16, width=4), SmallFeatures(16, width=4)):
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
        network.eval()
        images = torch.rand(8, 3, 16, 16) * 2 - 1
        before = network(images)
        folded = judges.folded(network)
        assert not [module for module in folded.trunk if isinstance(module, torch.nn.BatchNorm2d)]
        torch.testing.assert_close(folded(images), before, atol=1e-5, rtol=1e-5)
        assert torch.equal(network(images), before)


def test_counterfactual_is_right_when_the_flipped_bit_is_read():
    class BrightIsYes(torch.nn.Module):
        def forward(self, images):
            return images.mean(dim=(1, 2, 3))[:, None].expand(-1, 13)

    truths = torch.full((1, 13, 3, 8, 8), 255, dtype=torch.uint8)
    truths[0, 5] = 0
    labels = torch.zeros(1, 13, dtype=torch.uint8)
    labels[0, 1] = 1
    right = judges.right_on_counterfactuals(BrightIsYes(), truths, labels)
    assert right[0].tolist() == [k not in (1, 5) for k in range(13)]


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The smoke profile with fewer faces, its files under a temporary folder."""
    monkeypatch.setenv("MAGGAN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path / "results"))
    counts = dict(train_faces=12, decorrelated_faces=6, validation_faces=4, test_faces=4)
    return replace(profile("smoke"), **counts)


def test_true_counterfactuals_are_drawn_once(tiny, monkeypatch):
    truths = judges.true_counterfactuals(tiny)
    assert truths.shape == (4, 13, 3, 32, 32) and truths.dtype == torch.uint8
    seeds = [drawn.FIRST_SEED["test"] + i for i in range(4)]
    glasses = draw_flipped(seeds, 32, "Eyeglasses").images
    assert (truths[:, ATTRIBUTES.index("Eyeglasses")].float() / 127.5 - 1 - glasses).abs().max() <= 1 / 255 + 1e-4
    monkeypatch.setattr(drawn, "draw_flipped", None)
    assert torch.equal(judges.true_counterfactuals(tiny), truths)


def test_judges_train_report_and_load(tiny, monkeypatch):
    with pytest.raises(MagganError, match="python -m maggan.judges smoke"):
        judges.load_judges(tiny)
    report = judges.train_judges(tiny, device="cpu")
    for name in ("classifier", "features", "second"):
        assert set(report[name]) >= {"validation", "test", "counterfactuals"}
        table = report[name]["counterfactuals"]
        assert table["faces"] == 4 and set(table["per_attribute"]) == set(ATTRIBUTES)
        mean = sum(table["per_attribute"].values()) / 13
        assert table["mean"] == pytest.approx(mean, abs=1e-4)
    assert report["faces"] == 18
    loaded = judges.load_judges(tiny)
    assert not loaded.classifier.training and loaded.features.features(torch.zeros(1, 3, 32, 32)).shape == (1, 128)
    seconds, true_fit = report["wall_seconds"], judges.fit
    monkeypatch.setattr(judges, "fit", None)  # finished judges are not trained again
    assert judges.train_judges(tiny, device="cpu") == report
    fitted = []

    def counted(name, *args, **more):
        fitted.append(name)
        return true_fit(name, *args, **more)

    monkeypatch.setattr(judges, "fit", counted)
    (paths.judges_folder(tiny) / "second.safetensors").unlink()  # as in a folder of an earlier version
    again = judges.train_judges(tiny, device="cpu")
    assert fitted == ["second"] and again["wall_seconds"]["classifier"] == seconds["classifier"]
    assert {**again, "wall_seconds": seconds} == report
