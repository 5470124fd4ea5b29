"""Several processes at one task: how they are launched, batch norm over all of their faces, and gathering."""

import ctypes

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import distributed, nn

from .errors import MagganError

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # the numbers of glibc's settings, from malloc.h


def keep_freed_memory():
    """Have the C library keep what is freed for the next tensor, instead of handing it back to the system.

    A large tensor is otherwise new memory each time, and the system clears every page of it first, which can be more
    than half of an evaluation's time (`make bench`). Numbers do not change; the process stays as large as it once was.
    This is of glibc; elsewhere nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, -1)


def launch(device=None, devices=1, nodes=1, precision="32", part_by_part=False):
    """The fabric of `devices` processes on each of `nodes` machines, this one among them; starts those that are not.

    On CPUs they keep freed memory from here on.

    device      "cpu" or "cuda"; None takes a GPU if there is one
    precision   "bf16" for passes of networks in bfloat16, where the device has it; never of losses and penalties, for
                it would blur the critic's differences and the penalty's norm (reading 6)
    part_by_part  whether an iteration leaves out part of a network

    Raises MagganError if there is no such device.
    """
    accelerator = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise MagganError("there is no GPU that PyTorch can use here; leave device out, or say device='cpu'.")
    # statistics of batch norm are shared where they are taken; sending them around would break the second of two
    # passes in a row
    several = DDPStrategy(broadcast_buffers=False, find_unused_parameters=part_by_part)
    short = precision == "bf16" and accelerator == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    fabric = Fabric(
        accelerator=accelerator, devices=devices, num_nodes=nodes, strategy=several if devices * nodes > 1 else "auto",
        precision="bf16-mixed" if short else "32-true",
    )  # fmt: skip
    fabric.launch()
    if accelerator == "cpu":
        keep_freed_memory()
    return fabric


def gathered(fabric, share):
    """What every process has, in their order, on the first; None on the others."""
    if fabric.world_size == 1:
        return [share]
    shares = [None] * fabric.world_size if fabric.is_global_zero else None
    distributed.gather_object(share, shares)
    return shares


class Sum(torch.autograd.Function):
    """The sum over all processes, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(_, x):
        x = x.clone()
        distributed.all_reduce(x)
        return x

    @staticmethod
    def backward(_, gradient):
        return Sum.apply(gradient)


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the faces of all processes, on CPUs, which torch's SyncBatchNorm refuses."""

    def forward(self, x):
        """x (B, d, ...), B the same in every process -> the same shape."""
        if not self.training:
            return super().forward(x)
        others = [i for i in range(x.dim()) if i != 1]
        count = x.numel() // x.shape[1] * distributed.get_world_size()
        shape = (-1, *[1] * (x.dim() - 2))
        mean = Sum.apply(x.sum(others)) / count
        x = x - mean.view(shape)
        variance = Sum.apply(x.square().sum(others)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        return x * (self.weight * (variance + self.eps).rsqrt()).view(shape) + self.bias.view(shape)

    def _check_input_dim(self, x):
        """Any number of dimensions will do."""


def synchronised(network, fabric):
    """The network with the statistics of its batch norms taken over all processes; names of weights stay."""
    if fabric.device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for name, child in network.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
            shared.load_state_dict(child.state_dict())
            setattr(network, name, shared)
        else:
            synchronised(child, fabric)
    return network
