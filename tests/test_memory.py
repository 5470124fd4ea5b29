"""Memory counted on tensors without values: against a real run, and what it says."""

import sys
from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from maggan.commands import memory
from maggan.data import Batch
from maggan.profiles import profile
from maggan.systems import build_generator
from maggan.systems.critic import step
from maggan.train.disk import SAMPLE_FACES
from maggan.train.memory import Counter, Rehearsal, bytes_ahead, needs, peak_bytes, remedy
from maggan.variants import resolve

SMOKE = profile("smoke")


def test_alive_is_what_somebody_still_holds():
    with Counter() as counter:
        a = torch.zeros(1000)
        b = a.view(10, 100) + 1
        assert counter.alive == 8000 and counter.peak == 8000
        del a
        assert counter.alive == 4000 and counter.peak == 8000
        del b
        torch.zeros(10)
    assert counter.alive == 0 and counter.peak == 8000


@pytest.mark.parametrize("row", ["stgan", "maggan", "maggan-multilevel", "stargan"])
def test_a_rehearsal_counts_what_a_real_iteration_holds(row, monkeypatch):
    """The same step on tensors with values, counted the same way."""
    config = resolve(row, SMOKE)
    expected = peak_bytes(config)
    torch.manual_seed(0)
    monkeypatch.setattr(Rehearsal, "batch", lambda self, k: real_batch(self.config))
    counter = Counter()
    run = Rehearsal(config)
    for net, _ in (run.g, run.d):
        for tensor in net.state_dict().values():
            counter.count(tensor.untyped_storage())
    with counter:
        for _ in range(2):
            step(run)
    average = sum(tensor.nbytes for tensor in run.g[0].state_dict().values())
    assert expected == pytest.approx(counter.peak + average + bytes_ahead(config), rel=0.02)


def real_batch(config):
    n, side = config.batch, config.size
    parts = torch.rand(n, 19, side, side).softmax(1)
    return Batch(torch.rand(n, 3, side, side) * 2 - 1, parts, torch.randint(2, (n, 13)).float())


def test_every_lever_saves_memory():
    plain = resolve("maggan", profile("celeba128"), precision="32")
    most = peak_bytes(plain)
    for lever in ({"precision": "bf16"}, {"recompute": True}, {"accumulate": 2}):
        assert peak_bytes(replace(plain, **lever)) < 0.95 * most, lever


def test_values_are_left_alone():
    """What is read once and kept, such as the relation, must not be kept without its values."""
    from maggan.attributes import relation_matrices

    peak_bytes(resolve("maggan", SMOKE))
    assert relation_matrices()[0].sum().item() > 0


def test_what_a_run_needs_is_one_line_and_so_is_the_remedy(monkeypatch, capsys):
    config = resolve("maggan", SMOKE)
    need = peak_bytes(config)
    assert needs(config) == f"row maggan of smoke (32 px, batch 4, 32) needs about {need / 1e9:.1f} GB of memory"
    assert remedy(config, need) == "--set recompute=true --set accumulate=1"
    assert remedy(config, 1000) == "a device with more memory, or a smaller profile"
    monkeypatch.setattr(sys, "argv", ["memory", "maggan", "smoke", "--gb", "80"])
    memory.main()
    assert capsys.readouterr().out.splitlines()[-1] == "it fits"


@pytest.mark.parametrize("name", ["drawn256", "drawn512", "drawn1024"])
def test_a_sheet_of_samples_needs_no_more_than_training(name):
    config = resolve("maggan", profile(name))
    side = config.size
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        generator = build_generator(config).eval()
        faces = torch.empty(SAMPLE_FACES, 3, side, side), torch.empty(SAMPLE_FACES, 14, 13)
        with Counter() as counter:
            edits = generator.edits(*faces, torch.empty(SAMPLE_FACES, 19, side, side))
    assert edits.shape == (SAMPLE_FACES, 14, 3, side, side)
    assert counter.peak < peak_bytes(config)
