"""The state of one training run: one iteration of it, and what of it stays on disk."""

import json
import pickle
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision.utils import make_grid, save_image

from . import paths
from .attributes import relation_matrices, single_flips
from .data import Batch
from .errors import MagganError
from .parallel import synchronised
from .systems import SYSTEMS
from .weights import save_weights

SAMPLE_FACES = 6
SAMPLE_SIZE = 256  # pixels of a face on a sheet, at most
AHEAD = 2  # batches read ahead of a GPU
PATCHES = 61  # the stream of the patches' places
DROPOUT = 62  # the stream of what a network draws itself; a row's k-th step has stream k


class Run:
    """The state of one training run: networks, optimisers, running average, iteration."""

    def __init__(self, config, folder, fabric, faces, validation):
        self.config, self.folder, self.fabric, self.faces = config, folder, fabric, faces
        if config.batch % (fabric.world_size * config.accumulate):
            raise MagganError(
                f"batch {config.batch} cannot be shared evenly by {fabric.world_size} processes in {config.accumulate} "
                "pieces each: change batch, accumulate or devices."
            )
        if fabric.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(fabric.device)  # the peak is to be this run's
        torch.manual_seed(config.seed)
        system = SYSTEMS[config.system]
        generator, discriminator = (network(config).apply(system.initialise) for network in system[:2])
        if fabric.world_size > 1:
            generator, discriminator = synchronised(generator, fabric), synchronised(discriminator, fabric)
        self.average = None
        if config.average:
            mean = get_ema_multi_avg_fn(config.average)
            self.average = AveragedModel(generator, multi_avg_fn=mean, use_buffers=True).to(fabric.device)
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        adam = dict(betas=(0.5, 0.999), fused=config.fused or None)
        rates = ((generator, config.rate_g), (discriminator, config.rate_d))
        self.g, self.d = (
            fabric.setup(net.to(memory_format=layout), torch.optim.Adam(net.parameters(), lr=rate, **adam))
            for net, rate in rates
        )
        if config.compile:
            torch.compiler.assume_constant_result(relation_matrices)  # read from a file, which breaks a graph
            # not of D: the penalty's second derivative does not go through compiled code
            generator.encode, generator.decode = torch.compile(generator.encode), torch.compile(generator.decode)
        for (net, _), methods in ((self.g, system.g_methods), (self.d, system.d_methods)):
            for method in methods:
                net.mark_forward_method(method)
        self.shown = validation.batch(range(min(SAMPLE_FACES, len(validation))))
        self.reader, self.ahead = ThreadPoolExecutor(1), {}
        self.iteration, self.saved, self.seconds = 0, 0, 0.0
        self.started = self.saved_at = time.monotonic()

    # one iteration -------------------------------------------------------------------------------------------

    def step(self):
        """One iteration of the row's system; returns the loss parts as numbers."""
        self.set_rates()
        torch.manual_seed(counter(self.config.seed, self.iteration, DROPOUT))
        parts = SYSTEMS[self.config.system].step(self)
        if self.average:
            self.average.update_parameters(self.g[0].module)
        self.iteration += 1
        return {name: value.item() for name, value in self.of_all(parts).items()}

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

    def judged(self, images, noise):
        """D of edits, for G to learn from: past the wrapper, for processes must not wait for gradients of D here."""
        with self.fabric.autocast():
            value, logits = self.d[0].module(images, noise)
        return value.float(), logits.float()

    def draw(self, k):
        """The random generator of this iteration's k-th step, on the CPU, so that draws are the same on any device."""
        return torch.Generator().manual_seed(counter(self.config.seed, self.iteration, k))

    def diverged(self, what, iteration):
        """The error for something that is not finite; what was saved before stays."""
        kept = f"the checkpoint of iteration {self.saved} is kept" if self.saved else "there is no checkpoint yet"
        return MagganError(
            f"{self.folder.name}: {what} not finite at iteration {iteration}; {kept}; "
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
                group["lr"] = rate * factor

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
        per_iteration = SYSTEMS[self.config.system].batches or self.config.critic_steps
        ahead = (divmod(k + i, per_iteration) for i in range(AHEAD + 1))
        return [(self.iteration + later) * self.config.critic_steps + step for later, step in ahead]

    def targets(self, k, draw):
        """This process's share of the attributes of the k-th step's whole batch, shuffled (reading 7)."""
        numbers = self.numbers(self.iteration * self.config.critic_steps + k)
        return self.share(self.faces.attributes[numbers][torch.randperm(len(numbers), generator=draw)].float())

    def places(self):
        """Where this process's patches lie in this iteration, the same for real faces and edits (`Piece.places`)."""
        shape = self.config.critic_levels - 1, self.config.batch, 2
        return torch.rand(shape, generator=self.draw(PATCHES))[:, self.mine].tolist()

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

    # what stays on disk --------------------------------------------------------------------------------------

    def load(self):
        """Go on from the last checkpoint, if there is one."""
        file = self.folder / "checkpoint.pt"
        if not file.exists():
            return
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
            for name, (net, optimiser) in (("g", self.g), ("d", self.d)):
                net.load_state_dict(state[name])
                optimiser.load_state_dict(state[f"{name}_optimiser"])
            if self.average:
                self.average.load_state_dict(state["average"])
        except torch.OutOfMemoryError:  # a RuntimeError too, and no fault of the file
            raise
        except (RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError):
            raise MagganError(f"{file} is damaged; delete it, and the row starts again.") from None
        self.iteration = self.saved = state["iteration"]
        self.seconds = state["seconds"]

    def save(self):
        """Write a checkpoint; the old one stays until the new one is whole, and where the new one is not finite."""
        for name, (net, _) in (("G", self.g), ("D", self.d)):
            if not all(torch.isfinite(value).all() for value in net.state_dict().values()):
                raise self.diverged(f"weights of {name} are", self.iteration)
        self.seconds += time.monotonic() - self.started
        self.started = self.saved_at = time.monotonic()
        if self.fabric.is_global_zero:
            state = {"iteration": self.iteration, "seconds": self.seconds}
            if self.average:
                state["average"] = self.average.state_dict()
            for name, (net, optimiser) in (("g", self.g), ("d", self.d)):
                state |= {name: net.state_dict(), f"{name}_optimiser": optimiser.state_dict()}
            with paths.replacing(self.folder / "checkpoint.pt") as partial:
                torch.save(state, partial)
        self.saved = self.iteration

    def log(self, parts):
        """Append this iteration to the log; a killed run may leave a torn last line, which `read_log` skips."""
        if self.fabric.is_global_zero:
            rounded = {name: float(f"{value:.6g}") for name, value in parts.items()}
            with open(self.folder / "log.jsonl", "a") as file:
                file.write("\n" * needs_newline(file) + json.dumps({"iteration": self.iteration, **rounded}) + "\n")

    def trained(self):
        """The generator to be judged: the running average where the recipe keeps one."""
        return self.average.module if self.average else self.g[0].module

    def sample(self, on_sample):
        """A sheet of validation faces, one a row, at most 256 px each: source, reconstruction, the 13 single flips."""
        if not self.fabric.is_global_zero:
            return
        G, shown = self.trained(), Batch(*(tensor.to(self.fabric.device) for tensor in self.shown))
        training = G.training
        G.eval()
        with torch.no_grad():
            flips = torch.cat([torch.zeros_like(shown.attributes)[:, None], single_flips(shown.attributes)], 1)
            edits = G.edits(shown.images, flips, shown.parts, shown.attributes)
        G.train(training)
        rows = torch.cat([shown.images[:, None], edits], 1)  # (B, 15, 3, S, S)
        tiles = F.adaptive_avg_pool2d(rows.flatten(0, 1), min(rows.shape[-1], SAMPLE_SIZE)).cpu()
        with paths.replacing(self.folder / "samples" / f"{self.iteration:07d}.png") as partial:
            save_image(make_grid(tiles * 0.5 + 0.5, nrow=rows.shape[1], padding=1), partial, "png")
        if on_sample:
            on_sample(self.folder, self.iteration)

    def snapshot(self):
        """Keep the weights of this iteration."""
        if self.fabric.is_global_zero:
            self.save_weights(self.folder / "snapshots" / f"{self.iteration:07d}.safetensors")

    def save_weights(self, file):
        """Write the generator that would be judged, with the config inside."""
        save_weights(file, self.trained(), config=asdict(self.config), iteration=self.iteration)

    def finish(self):
        """Write the weights, and beside them what the run took."""
        self.save()
        if self.fabric.is_global_zero:
            cuda = self.fabric.device.type == "cuda"
            took = {
                "seconds": round(self.seconds, 1),
                "device": "one GPU" if cuda else f"CPU, {torch.get_num_threads()} thread(s)",
                "peak_memory_mb": peak_memory_mb(cuda),
            }
            with paths.replacing(self.folder / "run.json") as partial:
                partial.write_text(json.dumps(took, indent=1) + "\n")
            self.save_weights(self.folder / "weights.safetensors")


def counter(seed, iteration, stream):
    """A number for a random generator that names (seed, iteration, stream) and no other."""
    return (seed * 1_000_003 + iteration) * 64 + stream + 1


def needs_newline(file):
    """1 if the file's last line was torn by a kill, else 0."""
    if not file.tell():
        return 0
    with open(file.name, "rb") as reader:
        reader.seek(-1, 2)
        return int(reader.read(1) != b"\n")


def peak_memory_mb(cuda):
    """Peak memory of the device, or of this process."""
    if cuda:
        return round(torch.cuda.max_memory_allocated() / 2**20)
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux kibibytes
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
