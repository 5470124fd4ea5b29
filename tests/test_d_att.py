"""D_att trained ahead: once for all rows of a seed, exactly resumable, and left alone by the rows."""

import fcntl

import pytest
import torch

from maggan.basics import paths
from maggan.data import augment, open_faces
from maggan.losses import attribute_loss
from maggan.networks.discriminator import AttributeNetwork
from maggan.profiles import profile
from maggan.train import d_att, read_log, train
from maggan.variants import resolve

SMOKE = profile("smoke")


def files(runs):
    return sorted((runs / "smoke").glob("d_att-*.safetensors"))


def test_rows_of_a_seed_share_it(runs, monkeypatch):
    train("maggan", "smoke", iterations=1)
    (first,) = files(runs)
    made = first.read_bytes()
    monkeypatch.setattr(d_att, "learn", None)  # nobody trains it again
    train("stgan", "smoke", iterations=1)
    train("attgan", "smoke", iterations=1)
    assert files(runs) == [first] and first.read_bytes() == made
    with pytest.raises(TypeError):
        train("stgan", "smoke", seed=1, iterations=1)


def test_a_row_that_learns_with_its_own_asks_for_none(runs):
    for row, settings in (("stgan", {"attribute_trunk": "own"}), ("stargan", {}), ("fadernet", {})):
        log = read_log(train(row, "smoke", iterations=1, **settings))
        assert not files(runs) and ("L_D_att" in log or row == "fadernet")


def test_torn_and_gone_on_it_is_the_same(runs, monkeypatch):
    config, faces = resolve("maggan", SMOKE), open_faces(SMOKE, "train")
    monkeypatch.setattr(d_att, "CHECKPOINT_EVERY", 2)
    whole = d_att.trained_ahead(config, runs / "whole", "code", faces, "cpu").state_dict()
    step = d_att.learn_step

    def torn(network, optimiser, config, faces, number, device):
        if number == 3:
            raise KeyboardInterrupt
        step(network, optimiser, config, faces, number, device)

    monkeypatch.setattr(d_att, "learn_step", torn)
    with pytest.raises(KeyboardInterrupt):
        d_att.trained_ahead(config, runs / "torn", "code", faces, "cpu")
    seen = []
    monkeypatch.setattr(d_att, "learn_step", lambda *inputs: (seen.append(inputs[4]), step(*inputs)))
    again = d_att.trained_ahead(config, runs / "torn", "code", faces, "cpu").state_dict()
    assert seen == [2, 3] and all(torch.equal(whole[name], again[name]) for name in whole)
    assert not list((runs / "torn").glob("*.pt"))


@pytest.mark.parametrize("what", ["code", "faces", "setting"])
def test_of_other_code_faces_or_settings_it_is_another(runs, what):
    config, faces = resolve("maggan", SMOKE), open_faces(SMOKE, "train")
    d_att.trained_ahead(config, runs / "smoke", "code", faces, "cpu")
    if what == "faces":
        faces.identity = "others"
    other = resolve("maggan", SMOKE, attribute_steps=3) if what == "setting" else config
    d_att.trained_ahead(other, runs / "smoke", "newer" if what == "code" else "code", faces, "cpu")
    assert len(files(runs)) == 2


def test_several_levels_have_one_each():
    config = resolve("maggan-multilevel", SMOKE)
    network = AttributeNetwork(config).eval()
    images, places = torch.rand(3, 3, 32, 32), [torch.rand(3, 2)]
    logits = network(images, places=places)
    assert config.critic_levels == 2 and logits.shape == (2, 3, 13)
    noisy = network(images, torch.ones_like(images), places)
    assert not torch.equal(noisy, logits)


def test_faces_are_changed_against_it_and_no_further_than_they_may():
    torch.manual_seed(0)
    network = AttributeNetwork(resolve("maggan", SMOKE))
    images, attributes = torch.rand(8, 3, 32, 32) * 2 - 1, torch.randint(2, (8, 13)).float()
    statistics = {name: value.clone() for name, value in network.named_buffers()}
    reach = torch.linspace(0, 0.2, 8).view(8, 1, 1, 1)
    changed = d_att.against(network, images, attributes, reach, torch.zeros_like(images), places=[])
    assert ((changed - images).abs() <= reach + 1e-6).all() and torch.equal(changed[0], images[0])
    assert network.training and all(torch.equal(value, statistics[name]) for name, value in network.named_buffers())
    network.eval()
    assert attribute_loss(network(changed), attributes) > attribute_loss(network(images), attributes)


def test_stains_are_of_every_size_and_drawn_by_the_seed():
    grey = torch.zeros(64, 3, 32, 32)
    stained, again = (augment.stained(grey, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(stained, again) and 0.05 < stained.std() < 0.5
    coarse = torch.nn.functional.avg_pool2d(stained, 8)
    assert coarse.std() > 2 * stained.std() / 8  # noise of pixels alone would leave an eighth


def test_one_process_makes_it_and_others_wait(tmp_path):
    with paths.locked(tmp_path / "it"), open(tmp_path / ".it.lock") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(tmp_path / ".it.lock") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
