"""Steps of training as CUDA graphs: an iteration has thousands of small kernels, and Python takes longer than they do.

A step is run as it is a few times, then captured once and replayed. What it looks at stands in tensors that stay where
they are; nothing in it may come from the CPU, and whether its losses are finite is looked at after it.
"""

from collections import Counter

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

WARM = 3  # calls of a step before it is captured


def signature(inputs):
    """What tells the form of inputs from another: shapes and types of tensors, and all that is none."""
    leaves, form = tree_flatten(inputs)
    return str(form), tuple((leaf.shape, leaf.dtype) if torch.is_tensor(leaf) else leaf for leaf in leaves)


class Static:
    """Inputs in tensors that stay where they are; what is no tensor stays what it is."""

    def __init__(self, inputs):
        leaves, self.form = tree_flatten(inputs)
        self.leaves = [torch.empty_like(leaf) if torch.is_tensor(leaf) else leaf for leaf in leaves]

    def take(self, inputs):
        """Copy the values of other inputs of the same form into these; returns these."""
        for mine, other in zip(self.leaves, tree_flatten(inputs)[0], strict=True):
            if torch.is_tensor(mine):
                mine.copy_(other, non_blocking=True)
        return tree_unflatten(self.leaves, self.form)


class Captured:
    """A function of static inputs as a CUDA graph; nothing is computed while it is captured."""

    def __init__(self, function, inputs, stream, pool):
        self.static, self.graph = Static(inputs), torch.cuda.CUDAGraph()
        held = self.static.take(inputs)
        # faces are read ahead by another thread, which may go on meanwhile
        with torch.cuda.graph(self.graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            self.results = function(*held)

    def __call__(self, *inputs):
        """The function's results for these inputs, which the next call overwrites."""
        self.static.take(inputs)
        self.graph.replay()
        return self.results


class Graphs:
    """Functions of tensors, each captured once for every form of its inputs."""

    def __init__(self):
        self.stream, self.pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()
        self.calls, self.captured = Counter(), {}

    def __call__(self, function, run, *inputs):
        """function(run, *inputs), a dictionary of tensors that the next call overwrites."""
        key = function, signature(inputs)
        self.calls[key] += 1
        if self.calls[key] <= WARM:
            return self.aside(function, run, *inputs)
        if key not in self.captured:
            self.captured[key] = self.capture(lambda *held: function(run, *held), inputs)
        return self.captured[key](*inputs)

    def aside(self, function, *inputs):
        """The function as it is, on the stream that it will be captured on."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            results = function(*inputs)
        torch.cuda.current_stream().wait_stream(self.stream)
        return results

    def capture(self, function, inputs):
        """The function for inputs of this form."""
        return Captured(function, inputs, self.stream, self.pool)
