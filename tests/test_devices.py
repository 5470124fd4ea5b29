"""Where tensors are made: on the device that the work is on, tried without one.

`meta` is a device that computes nothing, so that a tensor made on the CPU by oversight meets one that is elsewhere.
"""

import pytest
import torch
from lightning_fabric import Fabric
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from maggan.attributes import ATTRIBUTES, PARTS, released_flips
from maggan.data import Batch
from maggan.data.augment import augmented
from maggan.drawnfaces import draw_flipped
from maggan.evaluate import protocol as evaluate
from maggan.networks.judges import FEATURES
from maggan.profiles import profile
from maggan.systems import build_generator
from maggan.train.memory import Rehearsal
from maggan.variants import ROWS, resolve
from maggan.weights import judge_of

SMOKE = profile("smoke")
ELSEWHERE = torch.device("meta")
MOVES = {"_to_copy", "copy_", "index", "_index_put_impl_", "index_put_"}  # these may bring something from the CPU


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of two devices, as a GPU does; single numbers may come from the CPU."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor) and leaf.dim()]
        found = {tensor.device.type for tensor in tensors}
        assert len(found) < 2 or function._overloadpacket.__name__ in MOVES, f"{function} of {found}"
        return function(*args, **(kwargs or {}))


class RunElsewhere(Rehearsal):
    """A run whose networks and batches are on the other device, and whose draws are the CPU's, as in a real one."""

    def __init__(self, config):
        with ELSEWHERE:
            super().__init__(config)

    def batch(self, k):
        with ELSEWHERE:
            return super().batch(k)

    def targets(self, k, draw):
        return self.share(torch.rand(self.config.batch, len(ATTRIBUTES), generator=draw))

    def share(self, drawn):
        return drawn.to(ELSEWHERE)


@pytest.fixture
def elsewhere(monkeypatch):
    """What needs values is left out: fabric's refusal of optimisers there, and the norm that clipping divides by."""
    monkeypatch.setattr(Fabric, "_validate_setup_optimizers", staticmethod(lambda optimisers: None))
    monkeypatch.setattr(Fabric, "clip_gradients", lambda *args, **kwargs: None)


@pytest.mark.parametrize("row", ROWS)
def test_a_training_iteration_stays_on_its_device(row, elsewhere):
    run = RunElsewhere(resolve(row, SMOKE))
    with OneDevice():
        parts = run.system.step(run)
    assert {part.device for part in parts.values()} == {ELSEWHERE}
    networks = [network for network, _ in (run.g, run.d)]
    assert all(p.grad.device == ELSEWHERE for net in networks for p in net.parameters() if p.grad is not None)


@pytest.mark.parametrize("levers", [dict(recompute=True), dict(accumulate=2)], ids=str)
def test_so_do_recomputed_and_accumulated_ones(levers, elsewhere):
    run = RunElsewhere(resolve("maggan-multilevel", SMOKE, **levers))
    with OneDevice():
        parts = run.system.step(run)
    assert {part.device for part in parts.values()} == {ELSEWHERE}


@torch.inference_mode()
@pytest.mark.parametrize("row", ROWS)
def test_an_evaluation_stays_on_its_device(row):
    side = SMOKE.size
    with ELSEWHERE:
        generator = build_generator(resolve(row, SMOKE))
        classifier, features = (judge_of(name, SMOKE).eval() for name in ("classifier", "features"))
        batch = Batch(torch.empty(4, 3, side, side), torch.empty(4, len(PARTS), side, side), torch.empty(4, 13))
    with OneDevice():
        edits = evaluate.flipped(generator, batch, 1.5)
        generator(batch.images, released_flips(batch.attributes, 1.5)[:, 0], batch.parts, batch.attributes)
        measured = evaluate.measure_strength(batch, 1.5, edits, edits, classifier)
        measured |= evaluate.measure_batch(generator, batch, edits, classifier)
        measured["reversibility"] = evaluate.reversibility(generator, batch, edits)
        measured |= evaluate.measure_truth(batch, edits, edits, None, 0)
        measured["wanted"] = evaluate.wanted_attributes(batch.attributes)
        measured["features"] = features.features(edits.flatten(0, 1))
    assert {value.device for value in measured.values()} == {ELSEWHERE}


def test_judges_learn_and_look_on_their_device():
    with ELSEWHERE:
        network = FEATURES["inception"](128)
        images = torch.empty(2, 3, 128, 128)
    with OneDevice():
        seen = augmented(images, torch.Generator().manual_seed(0))
        logits = network(seen)
        logits.sum().backward()
        assert network.eval().features(seen).device == ELSEWHERE
    assert logits.shape == (2, 13)


def test_faces_are_drawn_on_their_device():
    with OneDevice():
        face = draw_flipped([1, 2], 32, "Eyeglasses", device=ELSEWHERE)
    assert face.images.device == face.parts.device == ELSEWHERE
