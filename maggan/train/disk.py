"""What of a training run stays on disk: checkpoint, log, sample sheets, snapshots, weights."""

import json
import os
import sys
import time

import pandas as pd
import torch
from torch.nn import functional as F
from torchvision.utils import make_grid, save_image

from ..attributes import single_flips
from ..basics import paths
from ..basics.checkpoints import damaged, load_checkpoint, save_checkpoint
from ..basics.images import Batch
from ..weights import save

SAMPLE_FACES = 6
SAMPLE_SIZE = 256  # pixels of a face on a sheet, at most


class Disk:
    """A run's folder, and how long the run has taken. The first process alone writes."""

    def __init__(self, run, folder, validation):
        self.run, self.folder = run, folder
        self.shown = validation.batch(range(min(SAMPLE_FACES, len(validation))))
        self.checkpoint = folder / "checkpoint.pt"
        self.seconds = 0.0
        self.started = self.saved_at = time.monotonic()

    @property
    def writes(self):
        """Whether this process is the one that writes."""
        return self.run.fabric.is_global_zero

    def load(self):
        """Go on from the last checkpoint, if there is one; MagganError where it is damaged."""
        run, state = self.run, load_checkpoint(self.checkpoint, "the row")
        if state is None:
            return
        try:
            for name, (net, optimiser) in (("g", run.g), ("d", run.d)):
                net.load_state_dict(state[name])
                optimiser.load_state_dict(state[f"{name}_optimiser"])
            if run.average:
                run.average.load_state_dict(state["average"])
        except torch.OutOfMemoryError:  # a RuntimeError too, and no fault of the file
            raise
        except (RuntimeError, KeyError, ValueError):
            raise damaged(self.checkpoint, "the row") from None
        run.iteration = run.saved = state["iteration"]
        run.settle_rates()
        self.seconds = state["seconds"]

    def save(self):
        """Write a checkpoint; the old one stays until the new one is whole, and where the new one is not finite."""
        run = self.run
        for name, (net, _) in (("G", run.g), ("D", run.d)):
            if not all(torch.isfinite(value).all() for value in net.state_dict().values()):
                raise run.diverged(f"weights of {name} are", run.iteration)
        self.seconds += time.monotonic() - self.started
        self.started = self.saved_at = time.monotonic()
        if self.writes:
            state = {"iteration": run.iteration, "seconds": self.seconds}
            if run.average:
                state["average"] = run.average.state_dict()
            for name, (net, optimiser) in (("g", run.g), ("d", run.d)):
                state |= {name: net.state_dict(), f"{name}_optimiser": optimiser.state_dict()}
            save_checkpoint(self.checkpoint, state)
        run.saved = run.iteration

    def log(self, parts):
        """Append this iteration to the log; a killed run may leave a torn last line, which `read_log` skips."""
        if self.writes:
            rounded = {name: float(f"{value:.6g}") for name, value in parts.items()}
            line = json.dumps({"iteration": self.run.iteration, **rounded}) + "\n"
            with open(self.folder / "log.jsonl", "a") as file:
                file.write("\n" * needs_newline(file) + line)

    def sample(self, on_sample):
        """A sheet of validation faces, one a row, at most 256 px each: source, reconstruction, the 13 single flips."""
        if not self.writes:
            return
        run = self.run
        G, shown = run.trained(), Batch(*(tensor.to(run.fabric.device) for tensor in self.shown))
        training = G.training
        G.eval()
        with torch.no_grad():
            flips = torch.cat([torch.zeros_like(shown.attributes)[:, None], single_flips(shown.attributes)], 1)
            edits = G.edits(shown.images, flips, shown.parts, shown.attributes)
        G.train(training)
        rows = torch.cat([shown.images[:, None], edits], 1)  # (B, 15, 3, S, S)
        tiles = F.adaptive_avg_pool2d(rows.flatten(0, 1), min(rows.shape[-1], SAMPLE_SIZE)).cpu()
        with paths.replacing(self.folder / "samples" / f"{run.iteration:07d}.png") as partial:
            save_image(make_grid(tiles * 0.5 + 0.5, nrow=rows.shape[1], padding=1), partial, "png")
        if on_sample:
            on_sample(self.folder, run.iteration)

    def snapshot(self):
        """Keep the weights of this iteration."""
        if self.writes:
            self.save_weights(self.folder / "snapshots" / f"{self.run.iteration:07d}.safetensors")

    def save_weights(self, file):
        """Write the generator that would be judged, with all that rebuilds it inside."""
        save(file, self.run.trained(), iteration=self.run.iteration)

    def finish(self):
        """Write the weights, and beside them what the run took.

        Where they were only lost, they get the time of the checkpoint they come from: what was made of them stays.
        """
        run, weights = self.run, self.folder / "weights.safetensors"
        lost = run.iteration == run.saved and (self.folder / "run.json").exists()
        if not lost:
            self.save()
        if not self.writes:
            return
        if not lost:
            cuda = run.fabric.device.type == "cuda"
            took = {
                "seconds": round(self.seconds, 1),
                "device": "one GPU" if cuda else f"CPU, {torch.get_num_threads()} thread(s)",
                "peak_memory_mb": peak_memory_mb(cuda),
            }
            paths.write_text(self.folder / "run.json", json.dumps(took, indent=1) + "\n")
        self.save_weights(weights)
        if lost:
            os.utime(weights, ns=(self.checkpoint.stat().st_mtime_ns,) * 2)


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
    import resource  # which Windows lacks

    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux kibibytes
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
