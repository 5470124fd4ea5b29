"""The peer systems: their published sizes, what they are told, and that each learns through the same calls."""

import os
import signal

import pytest
import torch

from maggan.basics.errors import MagganError
from maggan.basics.fingerprint import closure
from maggan.editor import Editor
from maggan.profiles import profile
from maggan.stages import NEUTRAL, STAGES, code_of
from maggan.systems import SYSTEMS
from maggan.systems.attgan import AttGAN
from maggan.systems.stargan import PatchCritic, StarGAN
from maggan.train import read_log, train
from maggan.train.run import Run
from maggan.variants import PEERS, resolve
from maggan.weights import load

SMOKE = profile("smoke")


def parameters(network, config):
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in network(config).parameters())


@pytest.mark.parametrize(
    ("network", "row", "count"),
    [(AttGAN, "attgan", 43_459_203), (StarGAN, "stargan", 8_455_616), (PatchCritic, "stargan", 44_827_584)],
)
def test_parameter_counts_at_the_published_size(network, row, count):
    assert parameters(network, resolve(row, profile("celeba128"))) == count


def test_every_system_can_be_chosen():
    assert all(resolve("stgan", SMOKE, system=name).system == name for name in SYSTEMS)
    assert {diff["system"] for diff in PEERS.values()} == set(SYSTEMS) - {"stgan"}


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_rows_fingerprint_leaves_out_what_it_never_meets(system):
    roots = [root.format(world="drawn", system=system) for root in STAGES["train"]]
    reached, needed = set(closure(roots, NEUTRAL)), {"train.run", "data.drawn", f"systems.{system}"}
    for part in (SYSTEMS[system].generator, SYSTEMS[system].discriminator, SYSTEMS[system].step):
        needed |= set(closure([part.__module__.removeprefix("maggan.")], NEUTRAL))
    assert needed <= reached
    own = {"networks.discriminator", "systems.critic", "data.celeba", *(f"systems.{name}" for name in SYSTEMS)}
    assert reached & own == needed & own


def test_no_two_systems_share_a_fingerprint():
    assert len({code_of("train", "drawn", system) for system in SYSTEMS}) == len(SYSTEMS)


def peer(row, faces=2):
    torch.manual_seed(0)
    config = resolve(row, SMOKE)
    images = torch.rand(faces, 3, config.size, config.size) * 2 - 1
    attributes = torch.randint(2, (faces, 13)).float()
    return SYSTEMS[config.system].generator(config).eval(), images, attributes


@pytest.mark.parametrize("row", PEERS)
def test_many_edits_at_once_are_the_edits_one_by_one(row):
    G, images, attributes = peer(row)
    flips = torch.stack([torch.eye(13)[0], -torch.eye(13)[3]]).expand(2, 2, 13)
    with torch.no_grad():
        many = G.edits(images, flips, None, attributes)
        one = G(images, flips[:, 1], None, attributes)
    assert many.shape == (2, 2, *images.shape[1:]) and many.abs().max() <= 1
    torch.testing.assert_close(many[:, 1], one)
    assert not torch.allclose(many[:, 0], many[:, 1])


@pytest.mark.parametrize("row", ["attgan", "stargan", "fadernet"])
def test_the_target_is_the_source_plus_the_change(row):
    G, images, attributes = peer(row)
    other = torch.randint(2, attributes.shape).float()
    with torch.no_grad():
        changed = G(images, other - attributes, None, attributes)
        torch.testing.assert_close(changed, G(images, torch.zeros_like(other), None, other))


def test_icgans_change_starts_from_the_side_it_leaves():
    G, images, attributes = peer("icgan")
    read = torch.where(attributes > 0, 1.0, -1.0)
    seen = []
    G.generate = lambda noise, target: seen.append(target) or images
    encoded = {"noise": torch.zeros(2, 100), "attributes": read}
    G.decode(encoded, torch.eye(13)[[0, 0]] - torch.eye(13)[[1, 1]])
    assert (seen[0][:, 0] == 1).all() and (seen[0][:, 1] == -1).all() and torch.equal(seen[0][:, 2:], read[:, 2:])


def test_icgan_reads_the_source_itself():
    G, images, attributes = peer("icgan")
    with torch.no_grad():
        zero = torch.zeros_like(attributes)
        assert torch.equal(G(images, zero, None, attributes), G(images, zero, None, 1 - attributes))


@pytest.mark.parametrize("row", PEERS)
def test_a_peer_trains_and_its_networks_both_learn(runs, row):
    folder = train(row, "smoke", iterations=4)
    config = load(folder).config
    assert config == resolve(row, SMOKE, iterations=4)
    log = read_log(folder)
    assert len(log) == 4 and log.filter(like="L_G").notna().any(axis=None)
    torch.manual_seed(config.seed)
    system, saved = SYSTEMS[config.system], torch.load(folder / "checkpoint.pt", weights_only=True)
    for key, network in (("g", system.generator), ("d", system.discriminator)):
        fresh = network(config).apply(system.initialise)
        still = {name for name, start in fresh.named_parameters() if torch.equal(start, saved[key][name])}
        # a critic's constants cancel in the difference of eq. 7
        assert still <= {"adv.2.bias", "patches.5.bias", "patches.8.bias"}


@pytest.mark.parametrize("row", PEERS)
def test_a_peer_that_was_interrupted_ends_in_the_same_weights(runs, row, monkeypatch):
    whole = (train(row, "smoke", iterations=4) / "weights.safetensors").read_bytes()
    (runs / "smoke" / f"{row}-seed0").rename(runs / "whole")
    step = Run.step

    def step_and_interrupt(self):
        parts = step(self)
        if self.iteration == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return parts

    with monkeypatch.context() as interrupting:
        interrupting.setattr(Run, "step", step_and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(row, "smoke", iterations=4)
    assert (train(row, "smoke", iterations=4) / "weights.safetensors").read_bytes() == whole


def test_a_peer_that_needs_the_source_says_so(runs):
    editor = Editor.load(train("attgan", "smoke", iterations=1))
    from PIL import Image

    face = Image.new("RGB", (40, 40))
    with pytest.raises(MagganError, match="row attgan is told the target's attributes"):
        editor.edit(face, {"Male": 1})
    assert editor.edit(face, {"Male": 1}, attributes=torch.zeros(13)).size == (32, 32)
