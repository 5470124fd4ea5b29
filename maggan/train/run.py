"""The numbers of one training run: networks, optimisers, running average, and one iteration of them.

All randomness is a function of (seed, iteration). What of a run stays on disk is in `disk.py`.
"""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..attributes import relation_matrices
from ..basics.errors import MagganError
from ..basics.parallel import synchronised
from ..networks.generator import LAYOUTS
from ..systems import SYSTEMS
from .graphs import Graphs

AHEAD = 2  # batches read ahead of a GPU
PATCHES = 61  # the stream of the patches' places
DROPOUT = 62  # the stream of what a network draws itself; a row's k-th step has stream k


class Run:
    """The state of one training run: networks, optimisers, running average, iteration."""

    def __init__(self, config, fabric, faces):
        self.config, self.fabric, self.faces = config, fabric, faces
        self.system = SYSTEMS[config.system]
        if config.batch % (fabric.world_size * config.accumulate):
            raise MagganError(
                f"batch {config.batch} cannot be shared evenly by {fabric.world_size} processes in {config.accumulate} "
                "pieces each: change batch, accumulate or devices."
            )
        torch.manual_seed(config.seed)
        built = (self.system.generator, self.system.discriminator)
        generator, discriminator = (network(config).apply(self.system.initialise) for network in built)
        if fabric.world_size > 1:
            generator, discriminator = synchronised(generator, fabric), synchronised(discriminator, fabric)
        self.average = None
        if config.average:
            mean = get_ema_multi_avg_fn(config.average)
            self.average = AveragedModel(generator, multi_avg_fn=mean, use_buffers=True).to(fabric.device)
        self.graphs = Graphs() if self.has_graphs else None
        self.g, self.d = self.set_up(generator, config.rate_g), self.set_up(discriminator, config.rate_d)
        self.d_att = None
        if config.attribute_trunk == "ahead":  # it learns no more; `train` loads it
            self.d_att = self.placed(self.system.d_att(config).eval().requires_grad_(False))
        if config.compile:
            torch.compiler.assume_constant_result(relation_matrices)  # read from a file, which breaks a graph
            # not of D: the penalty's second derivative does not go through compiled code
            generator.encode, generator.decode = torch.compile(generator.encode), torch.compile(generator.decode)
        for (net, _), methods in ((self.g, self.system.g_methods), (self.d, self.system.d_methods)):
            for method in methods:
                net.mark_forward_method(method)
        self.reader, self.ahead = ThreadPoolExecutor(1), {}
        self.iteration, self.saved = 0, 0  # the latter: of the last checkpoint

    def placed(self, net):
        """A network on the run's device, in the run's layout."""
        return net.to(self.fabric.device, memory_format=LAYOUTS[self.config.channels_last])

    def set_up(self, net, rate):
        """A network on the run's device, in its layout, and its optimiser."""
        if self.graphs:  # a number would be part of the graph
            rate = torch.tensor(rate, device=self.fabric.device)
        adam = torch.optim.Adam(self.placed(net).parameters(), lr=rate, betas=(0.5, 0.999),
                                fused=self.config.fused or None, capturable=bool(self.graphs))  # fmt: skip
        return self.fabric.setup(net, adam)

    @property
    def has_graphs(self):
        """Whether the steps are captured: on one GPU, of a system whose steps draw nothing."""
        one_gpu = self.fabric.device.type == "cuda" and self.fabric.world_size == 1
        return one_gpu and self.config.graphs and self.system.capturable

    @property
    def name(self):
        """The name of the run's folder."""
        return f"{self.config.variant}-seed{self.config.seed}"

    def step(self):
        """One iteration of the row's system; returns the loss parts as numbers."""
        self.set_rates()
        torch.manual_seed(counter(self.config.seed, self.iteration, DROPOUT))
        parts = self.system.step(self)
        if self.graphs:
            self.check_finite(parts)
        if self.average:
            self.average.update_parameters(self.g[0].module)
        self.iteration += 1
        return {name: value.item() for name, value in self.of_all(parts).items()}

    def computed(self, function, *inputs):
        """function(run, *inputs), as a CUDA graph where the run has them."""
        return self.graphs(function, self, *inputs) if self.graphs else function(self, *inputs)

    def update(self, which, losses, clip=None):
        """One step of "g" or "d" down the gradient of the mean of `losses`, its norm at most `clip`; returns the parts.

        `losses` are functions that return (total, parts), one a piece of the batch; the graph of a piece is gone before
        the next is made. Raises MagganError where a part is not finite, on every process.
        """
        net, optimiser = {"g": self.g, "d": self.d}[which]
        optimiser.zero_grad(set_to_none=True)
        seen = []
        for i, loss in enumerate(losses, 1):
            with self.fabric.no_backward_sync(net, enabled=i < len(losses)):
                total, parts = loss()
                if not self.graphs:  # whose steps nobody looks into
                    self.check_finite(self.of_all(parts))
                self.fabric.backward(total / len(losses))
            seen.append(parts)
        if clip:
            self.fabric.clip_gradients(net, optimiser, max_norm=clip)
        optimiser.step()
        return {name: torch.stack([each[name].detach() for each in seen]).mean() for name in seen[0]}

    def check_finite(self, parts):
        """MagganError that names the parts that are not finite."""
        if not torch.stack(list(parts.values())).isfinite().all():  # a GPU is waited for once, not for every part
            bad = [name for name, value in parts.items() if not value.isfinite()]
            raise self.diverged(f"{', '.join(bad)} is", self.iteration + 1)

    def of_all(self, parts):
        """Loss parts as means over the processes."""
        if self.fabric.world_size == 1:
            return parts
        together = self.fabric.all_reduce(torch.stack([value.detach() for value in parts.values()]), reduce_op="mean")
        return dict(zip(parts, together, strict=True))

    def judged(self, images, noise, places):
        """D of edits, for G to learn from: past the wrapper, for processes must not wait for gradients of D here."""
        D = self.d[0].module
        with self.fabric.autocast():
            if self.d_att:
                value, logits = D.critic(images, places), self.d_att(images, noise, places)
            else:
                value, logits = D(images, noise, places)
        return value.float(), logits.float()

    def draw(self, k):
        """The random generator of this iteration's k-th step, on the CPU, so that draws are the same on any device."""
        return torch.Generator().manual_seed(counter(self.config.seed, self.iteration, k))

    def diverged(self, what, iteration):
        """The error for something that is not finite; what was saved before stays."""
        kept = f"the checkpoint of iteration {self.saved} is kept" if self.saved else "there is no checkpoint yet"
        return MagganError(
            f"{self.name}: {what} not finite at iteration {iteration}; {kept}; "
            "train anew with lower rates, e.g. --set rate_g=1e-4 --set rate_d=1e-4 (this run is then put aside)."
        )

    def set_rates(self):
        """The learning rates as a function of the iteration."""
        config, done = self.config, self.iteration / self.config.iterations
        factor = 1.0
        if done >= config.decay_from:
            factor = 0.1 if config.decay == "step" else (1 - done) / (1 - config.decay_from)
        for (_, optimiser), rate in ((self.g, config.rate_g), (self.d, config.rate_d)):
            for group in optimiser.param_groups:
                if torch.is_tensor(group["lr"]):
                    group["lr"].fill_(rate * factor)
                else:
                    group["lr"] = rate * factor

    def settle_rates(self):
        """Once optimisers are loaded, whatever device they were saved on: their rates as this run has them."""
        for _, optimiser in (self.g, self.d):
            for group in optimiser.param_groups:
                rate = float(group["lr"])
                group["lr"] = torch.tensor(rate, device=self.fabric.device) if self.graphs else rate
                group["capturable"] = bool(self.graphs)

    def batch(self, k):
        """This process's faces of D's k-th step in this iteration; a GPU's next ones are read meanwhile."""
        steps, device = self.batches_from(k), self.fabric.device
        if device.type == "cpu":
            return self.faces.batch(self.numbers(steps[0])[self.mine], device)
        self.ahead = {n: self.ahead.get(n) or self.reader.submit(self.faces.batch, self.numbers(n)[self.mine], device)
                      for n in steps}  # fmt: skip
        return self.ahead.pop(steps[0]).result()

    def batches_from(self, k):
        """The numbers of this iteration's k-th batch and of the AHEAD that will be asked for after it."""
        per_iteration = self.system.batches or self.config.critic_steps
        ahead = (divmod(k + i, per_iteration) for i in range(AHEAD + 1))
        return [(self.iteration + later) * self.config.critic_steps + step for later, step in ahead]

    def targets(self, k, draw):
        """This process's share of the attributes of the k-th step's whole batch, shuffled (reading 7)."""
        numbers = self.numbers(self.iteration * self.config.critic_steps + k)
        return self.share(self.faces.attributes[numbers][torch.randperm(len(numbers), generator=draw)].float())

    def places(self):
        """Where this process's patches lie in this iteration, the same for real faces and edits (`Piece.places`)."""
        shape = self.config.critic_levels - 1, self.config.batch, 2
        return [level.to(self.fabric.device) for level in torch.rand(shape, generator=self.draw(PATCHES))[:, self.mine]]

    def numbers(self, step):
        """The faces of D's step number `step`, of all processes: every epoch has an order of its own."""
        n, first = len(self.faces), step * self.config.batch
        return torch.tensor([self.order(i // n)[i % n] for i in range(first, first + self.config.batch)])

    @property
    def mine(self):
        """What of a batch is this process's."""
        return slice(self.fabric.global_rank, None, self.fabric.world_size)

    def share(self, drawn):
        """This process's share of what was drawn for the whole batch, on its device."""
        return drawn[self.mine].to(self.fabric.device)

    def order(self, epoch):
        if getattr(self, "_order", (None,))[0] != epoch:
            draw = torch.Generator().manual_seed(counter(self.config.seed, epoch, -1))
            self._order = epoch, torch.randperm(len(self.faces), generator=draw).tolist()
        return self._order[1]

    def trained(self):
        """The generator to be judged: the running average where the recipe keeps one."""
        return self.average.module if self.average else self.g[0].module


def counter(seed, iteration, stream):
    """A number for a random generator that names (seed, iteration, stream) and no other."""
    return (seed * 1_000_003 + iteration) * 64 + stream + 1
