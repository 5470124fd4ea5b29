"""The state of one training run: one iteration of it, and what of it stays on disk."""

import json
import pickle
import sys
import time
from dataclasses import asdict

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision.utils import make_grid, save_image

from . import paths
from .attributes import single_flips
from .errors import MagganError
from .systems import SYSTEMS
from .weights import save_weights

SAMPLE_FACES = 6
DROPOUT = 62  # the stream of what a network draws itself; a row's k-th step has stream k


class Run:
    """The state of one training run: networks, optimisers, running average, iteration."""

    def __init__(self, config, folder, fabric, faces, validation):
        self.config, self.folder, self.fabric, self.faces = config, folder, fabric, faces
        torch.manual_seed(config.seed)
        system = SYSTEMS[config.system]
        generator, discriminator = (network(config).apply(system.initialise) for network in system[:2])
        self.average = None
        if config.average:
            mean = get_ema_multi_avg_fn(config.average)
            self.average = AveragedModel(generator, multi_avg_fn=mean, use_buffers=True).to(fabric.device)
        layout = dict(memory_format=torch.channels_last)  # 1.2 times faster convolutions
        rates = ((generator, config.rate_g), (discriminator, config.rate_d))
        self.g, self.d = (
            fabric.setup(net.to(**layout), torch.optim.Adam(net.parameters(), lr=rate, betas=(0.5, 0.999)))
            for net, rate in rates
        )
        for (net, _), methods in ((self.g, system.g_methods), (self.d, system.d_methods)):
            for method in methods:
                net.mark_forward_method(method)
        self.shown = validation.batch(range(min(SAMPLE_FACES, len(validation))), fabric.device)
        self.iteration, self.saved, self.seconds = 0, 0, 0.0
        self.started = self.saved_at = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)

    # one iteration -------------------------------------------------------------------------------------------

    def step(self):
        """One iteration of the row's system; returns the loss parts as numbers."""
        self.set_rates()
        torch.manual_seed(counter(self.config.seed, self.iteration, DROPOUT))
        parts = SYSTEMS[self.config.system].step(self)
        if self.average:
            self.average.update_parameters(self.g[0].module)
        self.iteration += 1
        return {name: value.item() for name, value in parts.items()}

    def update(self, which, total, parts, clip=None):
        """One step of "g" or "d" down the gradient, its norm at most `clip`, unless a loss is not finite."""
        net, optimiser = {"g": self.g, "d": self.d}[which]
        bad = [name for name, value in parts.items() if not torch.isfinite(value)]
        if bad:
            raise self.diverged(f"{', '.join(bad)} is", self.iteration + 1)
        optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(total)
        if clip:
            self.fabric.clip_gradients(net, optimiser, max_norm=clip)
        optimiser.step()

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
        """The faces of D's k-th step in this iteration: every epoch in an order of its own, shared by the ranks."""
        config, n = self.config, len(self.faces)
        first = (self.iteration * config.critic_steps + k) * config.batch
        numbers = [self.order(i // n)[i % n] for i in range(first, first + config.batch)]
        mine = numbers[self.fabric.global_rank :: self.fabric.world_size]
        return self.faces.batch(mine, self.fabric.device)

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
        """A sheet of validation faces: source, reconstruction and the 13 single flips, one face a row."""
        if not self.fabric.is_global_zero:
            return
        G, shown = self.trained(), self.shown
        training = G.training
        G.eval()
        with torch.no_grad():
            flips = torch.cat([torch.zeros_like(shown.attributes)[:, None], single_flips(shown.attributes)], 1)
            edits = G.edits(shown.images, flips, shown.parts, shown.attributes)
        G.train(training)
        rows = torch.cat([shown.images[:, None], edits], 1)  # (B, 15, 3, S, S)
        with paths.replacing(self.folder / "samples" / f"{self.iteration:07d}.png") as partial:
            save_image(make_grid(rows.flatten(0, 1) * 0.5 + 0.5, nrow=rows.shape[1], padding=1), partial, "png")
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
