"""Train one row of Table 3: `train(variant, profile)`, or `python -m maggan.train ROW PROFILE` from a shell.

The whole loop is here. All randomness is a function of (seed, iteration), so a run that was interrupted
anywhere, `kill -9` included, and started again ends in the weights of the uninterrupted one: bit for bit on a
CPU with the same number of threads.
"""

import argparse
import json
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict

import pandas as pd
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision.utils import make_grid, save_image

from . import losses, paths
from .attributes import single_flips
from .checkpoints import run_folder
from .data import open_faces
from .dependencies import fingerprint
from .errors import MagganError, cli
from .networks import Discriminator, Generator, initialise
from .profiles import profile as get_profile
from .progress import progress
from .regions import preserved_mask
from .variants import resolve
from .weights import save_weights

CHECKPOINT_SECONDS = 60
SAMPLE_FACES = 6


def train(variant, profile, seed=0, device=None, devices=1, on_sample=None, **overrides):
    """Train a row, or go on from its last checkpoint; a finished run returns at once.

    variant         a row of Table 3, a key of `variants.VARIANTS`
    profile         where the faces come from, their size, how long to train
    seed            of the weights, the order of faces and the targets
    device          "cpu" or "cuda"; None takes a GPU if there is one. On a GPU that has it, bfloat16
    devices         how many processes share a batch
    on_sample       called with (run folder, iteration) after each sample sheet, for live pictures
    overrides       any other field of `Config`, e.g. lambda_3=50

    Writes into `run_folder(profile, variant, seed)`: config.json, log.jsonl (one line an iteration),
    samples/*.png, checkpoint.pt and, at the end, weights.safetensors and run.json. Returns that folder.
    Raises MagganError when a loss is not finite; the last good checkpoint is kept then.
    """
    config = resolve(variant, profile, seed, **overrides)
    folder = run_folder(profile, variant, seed)
    code = fingerprint("train", get_profile(profile).world)
    fabric = launch(device, devices)
    if fabric.is_global_zero:
        fresh_start_if_changed(folder, config, code)
    fabric.barrier()
    if (folder / "weights.safetensors").exists():
        print(f"{folder.name} is finished ({config.iterations} iterations)")
        return folder
    run = Run(config, folder, fabric, open_faces(profile, "train"), open_faces(profile, "validation"))
    run.load()
    left = range(run.iteration, config.iterations)
    steps = progress(left, folder.name, total=config.iterations, initial=run.iteration)
    with interrupts_held() as interrupted:
        for _ in steps:
            parts = run.step()
            run.log(parts)
            steps.set_postfix({name.removeprefix("L_"): f"{value:.3g}" for name, value in parts.items()}, refresh=False)
            if run.iteration % get_profile(profile).sample_every == 0:
                run.sample(on_sample)
            if interrupted or time.monotonic() - run.saved_at > CHECKPOINT_SECONDS:
                run.save()
            if interrupted:
                raise KeyboardInterrupt
    run.finish(code)
    return folder


class Run:
    """The state of one training run: networks, optimisers, running average, iteration."""

    def __init__(self, config, folder, fabric, faces, validation):
        self.config, self.folder, self.fabric, self.faces = config, folder, fabric, faces
        torch.manual_seed(config.seed)
        generator, discriminator = Generator(config).apply(initialise), Discriminator(config).apply(initialise)
        self.average = AveragedModel(
            generator, multi_avg_fn=get_ema_multi_avg_fn(config.average), use_buffers=True
        ).to(fabric.device)
        layout = dict(memory_format=torch.channels_last)  # 1.2 times faster convolutions
        rates = ((generator, config.rate_g), (discriminator, config.rate_d))
        self.g, self.d = (
            fabric.setup(net.to(**layout), torch.optim.Adam(net.parameters(), lr=rate, betas=(0.5, 0.999)))
            for net, rate in rates
        )
        self.g[0].mark_forward_method("edit_and_reconstruct")
        self.d[0].mark_forward_method("critic")
        self.shown = validation.batch(range(min(SAMPLE_FACES, len(validation))), fabric.device)
        self.iteration, self.seconds = 0, 0.0
        self.started = self.saved_at = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)

    # one iteration -------------------------------------------------------------------------------------------

    def step(self):
        """`critic_steps` steps of D, each on a fresh batch, and one of G on the last; returns the loss parts."""
        config, (G, opt_g), (D, opt_d) = self.config, self.g, self.d
        self.set_rates()
        for k in range(config.critic_steps):
            last = k == config.critic_steps - 1
            draw = torch.Generator().manual_seed(counter(config.seed, self.iteration, k))
            batch = self.batch(k)
            target = batch.attributes[torch.randperm(len(batch.attributes), generator=draw)]  # reading 7
            att_diff = target - batch.attributes
            with torch.set_grad_enabled(last):
                edited, reconstructed, logits = G.edit_and_reconstruct(batch.images, att_diff, batch.parts)
            d_parts = self.step_d(D, opt_d, batch, edited.detach(), draw, self.iteration * config.critic_steps + k)
        preserved = preserved_mask(self.guide(batch.parts, logits), att_diff, config.table)
        if config.reconstruction == "cycle":
            reconstructed = G(edited, -att_diff, batch.parts)
        D.requires_grad_(False)
        with self.fabric.autocast():  # D.module: several processes must not wait for gradients of D here
            of_fake, of_fake_att = D.module(edited, self.noise(draw, edited))
        total, parts = losses.generator_loss(
            config, batch.images, edited, reconstructed, preserved, of_fake, of_fake_att, target
        )
        if logits is not None:
            parts["L_G_seg"] = losses.segmentation_loss(logits, batch.parts)
            total = total + config.lambda_seg * parts["L_G_seg"]
        self.update(opt_g, total, parts)
        D.requires_grad_(True)
        self.average.update_parameters(G.module)
        self.iteration += 1
        return {**d_parts, **{name: value.item() for name, value in parts.items()}}

    def step_d(self, D, opt_d, batch, fake, draw, count):
        """One step of D (eq. 7 and 9); returns its loss parts as numbers."""
        config = self.config
        of_real, logits = D(batch.images, self.noise(draw, fake))
        of_fake = D.critic(fake)
        penalty = None
        if count % config.penalty_every == 0:
            alpha = torch.rand(len(fake), 1, 1, 1, generator=draw).to(fake.device)
            with torch.autocast(fake.device.type, enabled=False):  # reading 6: the norm in float32
                penalty = losses.gradient_penalty(D.critic, batch.images, fake, alpha)
        total, parts = losses.discriminator_loss(config, of_real, of_fake, logits, batch.attributes, penalty)
        self.update(opt_d, total, parts)
        return {name: value.item() for name, value in parts.items()}

    def update(self, optimiser, total, parts):
        """One step down the gradient, unless a loss is not finite."""
        bad = [name for name, value in parts.items() if not torch.isfinite(value)]
        if bad:
            raise MagganError(
                f"{self.folder.name}: {', '.join(bad)} is not finite at iteration {self.iteration}; "
                f"the last good checkpoint is {self.folder / 'checkpoint.pt'}: lower rate_g or rate_d and go on."
            )
        optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(total)
        optimiser.step()

    def guide(self, parts, logits):
        """The masks that guide the loss: the parser's, or row (vii)'s own, detached so that G can't widen them."""
        return parts if logits is None else logits.detach().softmax(1)

    def noise(self, draw, like):
        """Standard normal noise for what D_att sees, or None; drawn on the CPU, so it is the same on any device."""
        if not self.config.attribute_noise:
            return None
        return torch.randn(like.shape, generator=draw).to(like)

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
        state = torch.load(file, map_location=self.fabric.device, weights_only=True)
        for name, (net, optimiser) in (("g", self.g), ("d", self.d)):
            net.load_state_dict(state[name])
            optimiser.load_state_dict(state[f"{name}_optimiser"])
        self.average.load_state_dict(state["average"])
        self.iteration, self.seconds = state["iteration"], state["seconds"]

    def save(self):
        """Write a checkpoint; the old one stays until the new one is whole."""
        self.seconds += time.monotonic() - self.started
        self.started = self.saved_at = time.monotonic()
        if self.fabric.is_global_zero:
            state = {"iteration": self.iteration, "seconds": self.seconds, "average": self.average.state_dict()}
            for name, (net, optimiser) in (("g", self.g), ("d", self.d)):
                state |= {name: net.state_dict(), f"{name}_optimiser": optimiser.state_dict()}
            with paths.replacing(self.folder / "checkpoint.pt") as partial:
                torch.save(state, partial)

    def log(self, parts):
        """Append this iteration to the log; a killed run may leave a torn last line, which `read_log` skips."""
        if self.fabric.is_global_zero:
            rounded = {name: float(f"{value:.6g}") for name, value in parts.items()}
            with open(self.folder / "log.jsonl", "a") as file:
                file.write("\n" * needs_newline(file) + json.dumps({"iteration": self.iteration, **rounded}) + "\n")

    def trained(self):
        """The generator to be judged: the running average where the recipe keeps one."""
        return self.average.module if self.config.average else self.g[0].module

    def sample(self, on_sample):
        """A sheet of validation faces: source, reconstruction and the 13 single flips, one face a row."""
        if not self.fabric.is_global_zero:
            return
        G, shown = self.trained(), self.shown
        training = G.training
        G.eval()
        with torch.no_grad():
            flips = torch.cat([torch.zeros_like(shown.attributes)[:, None], single_flips(shown.attributes)], 1)
            edits = G.edits(shown.images, flips, shown.parts)
        G.train(training)
        rows = torch.cat([shown.images[:, None], edits], 1)  # (B, 15, 3, S, S)
        with paths.replacing(self.folder / "samples" / f"{self.iteration:07d}.png") as partial:
            save_image(make_grid(rows.flatten(0, 1) * 0.5 + 0.5, nrow=rows.shape[1], padding=1), partial, "png")
        if on_sample:
            on_sample(self.folder, self.iteration)

    def finish(self, code):
        """Write the weights with the config inside, and beside them what the run took."""
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
            metadata = {"config": asdict(self.config), "iteration": self.iteration, "code": code}
            save_weights(self.folder / "weights.safetensors", self.trained(), **metadata)


def launch(device, devices):
    """The fabric: device, precision (bfloat16 where the GPU has it) and processes."""
    accelerator = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise MagganError("there is no GPU that PyTorch can use here; leave device out, or say device='cpu'.")
    half = accelerator == "cuda" and torch.cuda.is_bf16_supported()
    # each process keeps its own statistics of batch norm: sharing them between two passes breaks the backward one
    strategy = DDPStrategy(broadcast_buffers=False) if devices > 1 else "auto"
    precision = "bf16-mixed" if half else "32-true"
    fabric = Fabric(accelerator=accelerator, strategy=strategy, devices=devices, precision=precision)
    fabric.launch()
    return fabric


def fresh_start_if_changed(folder, config, code):
    """Put a run of another config or of other code aside, so that nothing is lost and nothing is mixed."""
    wanted = json.dumps({"config": asdict(config), "code": code}, indent=1, sort_keys=True) + "\n"
    file = folder / "config.json"
    if file.exists() and file.read_text() != wanted:
        aside = folder.with_name(f"{folder.name}.before-{time.strftime('%Y%m%d-%H%M%S')}")
        folder.rename(aside)
        print(f"the code or the settings of {folder.name} have changed: the old run is kept as {aside.name}")
    if not file.exists():
        with paths.replacing(file) as partial:
            partial.write_text(wanted)


@contextmanager
def interrupts_held():
    """Hold Ctrl-C and SIGTERM back until the iteration is whole: yields a list that is filled by either."""
    seen, signals = [], (signal.SIGINT, signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return
    before = [signal.signal(number, lambda *_: seen.append(True)) for number in signals]
    try:
        yield seen
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


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


def read_log(folder):
    """The log as a table, one row an iteration; of an iteration that ran twice around a kill, the later one."""
    rows = {}
    with open(folder / "log.jsonl") as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                continue  # torn by a kill
            rows[row["iteration"]] = row
    return pd.DataFrame([rows[i] for i in sorted(rows)])


def peak_memory_mb(cuda):
    """Peak memory of the device, or of this process."""
    if cuda:
        return round(torch.cuda.max_memory_allocated() / 2**20)
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main():
    parser = argparse.ArgumentParser(prog="python -m maggan.train", description="Train one row of Table 3.")
    parser.add_argument("row")
    parser.add_argument("profile")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["cpu", "cuda"])
    parser.add_argument("--devices", type=int, default=1, help="processes that share a batch")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any other setting")
    args = parser.parse_args()
    overrides = {}
    for setting in args.set:
        name, _, value = setting.partition("=")
        try:
            overrides[name] = json.loads(value)
        except ValueError:
            overrides[name] = value
    print(train(args.row, args.profile, args.seed, args.device, args.devices, **overrides))


if __name__ == "__main__":
    cli(main)
