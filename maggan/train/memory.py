"""How much memory a row needs to train: `python -m maggan.memory ROW PROFILE`.

An iteration is rehearsed on tensors without values, which takes seconds and no memory, and what would be alive is
counted. Workspaces of convolutions and gaps between tensors come on top: a tenth or so.
"""

import weakref
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..attributes import ATTRIBUTES, PARTS, relation_matrices
from ..basics.errors import MagganError
from ..basics.images import Batch
from .run import AHEAD, Run

GB = 1e9
SPARE = 0.9  # of a device's memory, at most


class Counter(TorchDispatchMode):
    """Counts the bytes of all tensors made inside it that are alive, and their peak."""

    def __init__(self):
        super().__init__()
        self.alive, self.peak, self.known = 0, 0, set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self.count(tensor.untyped_storage())
        return made

    def count(self, storage):
        """Take up a storage, until nobody needs it any more."""
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.alive += size
            self.peak = max(self.peak, self.alive)
            weakref.finalize(storage, self.freed, key, size)

    def freed(self, key, size):
        self.known.discard(key)
        self.alive -= size


class Rehearsal(Run):
    """A run on tensors without values: they are made and dropped as in a real one, and nothing depends on them."""

    def __init__(self, config):
        short = [MixedPrecision("bf16-mixed", "cpu")] if config.precision == "bf16" else None
        # the average is counted apart, nothing compiles what has no values, and one step of D needs as much as several
        plain = replace(config, average=0.0, compile=False, critic_steps=1)
        super().__init__(plain, Fabric(accelerator="cpu", devices=1, plugins=short), faces=None)

    def placed(self, net):
        """Left where it is: tensors without values cannot be moved."""
        return net

    def set_up(self, net, rate):
        """A network and its optimiser."""
        optimiser = torch.optim.Adam(net.parameters())
        return self.fabric.setup_module(net, move_to_device=False), self.fabric.setup_optimizers(optimiser)

    def check_finite(self, parts):
        pass

    def places(self):
        return [[(0.5, 0.5)] * self.config.batch] * (self.config.critic_levels - 1)

    def batch(self, k):
        n, side = self.config.batch, self.config.size
        parts = torch.empty(n, len(PARTS), side, side)
        return Batch(torch.empty(n, 3, side, side), parts, torch.empty(n, len(ATTRIBUTES)))

    def targets(self, k, draw):
        return torch.empty(self.config.batch, len(ATTRIBUTES))


@cache  # seconds each
def peak_bytes(config):
    """The peak of an iteration's tensors on a GPU, in bytes: networks, optimisers, batches and activations."""
    counter = Counter()
    relation_matrices(config.table)  # read once and kept: with values
    with FakeTensorMode(allow_non_fake_inputs=True):
        run = Rehearsal(config)
        networks = [list(net.state_dict().values()) for net, _ in (run.g, run.d)]
        for tensor in (*networks[0], *networks[1]):
            counter.count(tensor.untyped_storage())
        with counter:
            for _ in range(2):  # optimisers have their state from the first one on
                run.system.step(run)
    average = sum(tensor.nbytes for tensor in networks[0]) if config.average else 0
    return counter.peak + average + bytes_ahead(config)


def bytes_ahead(config):
    """The faces that are read ahead, images and parts."""
    return AHEAD * config.batch * (3 + len(PARTS)) * config.size**2 * 4


def needs(config):
    """What a run needs, in one line."""
    how = f"batch {config.batch}" + (f" in {config.accumulate} pieces" if config.accumulate > 1 else "")
    need = f"about {peak_bytes(config) / GB:.1f} GB of memory"
    return f"row {config.variant} of {config.profile} ({config.size} px, {how}, {config.precision}) needs {need}"


def remedy(config, available):
    """What makes a run fit into so many bytes of a device's memory, in one line."""
    for pieces in range(1, config.batch + 1):
        smaller = replace(config, recompute=True, accumulate=pieces)
        if config.batch % pieces == 0 and smaller != config and peak_bytes(smaller) <= SPARE * available:
            return f"--set recompute=true --set accumulate={pieces}"
    return "a device with more memory, or a smaller profile"


@contextmanager
def memory_told(config, device):
    """Where the device's memory will not do: MagganError that says what is needed, and what to change."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        there = torch.cuda.get_device_properties(device).total_memory
        said = f"{needs(config)}; this device has {there / GB:.0f} GB, and other processes may hold some of it"
        raise MagganError(f"{said}: take {remedy(config, there)}") from None


def is_out_of_memory(error):
    """Whether an error says that a device's memory is full; libraries that PyTorch calls say it in their own words."""
    words = "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"
    return isinstance(error, torch.OutOfMemoryError) or any(each in str(error) for each in words)
