"""Several processes that share a batch: batch norm over all of their faces."""

import torch
from torch import nn
from torch.distributed.nn.functional import all_reduce


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the faces of all processes, on CPUs, which torch's SyncBatchNorm refuses."""

    def forward(self, x):
        """x (B, d, ...), B the same in every process -> the same shape."""
        if not self.training:
            return super().forward(x)
        others = [i for i in range(x.dim()) if i != 1]
        count = x.numel() // x.shape[1] * torch.distributed.get_world_size()
        shape = (-1, *[1] * (x.dim() - 2))
        mean = all_reduce(x.sum(others)) / count
        x = x - mean.view(shape)
        variance = all_reduce(x.square().sum(others)) / count
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
