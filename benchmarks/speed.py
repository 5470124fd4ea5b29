"""Speeds that the project relies on, each as a ratio within one run: `make bench`.

A time alone says little on a machine one does not know; a ratio of two ways of doing the same carries over. Where both
ways give numbers, they are compared too. Writes results/bench/bench.{csv,md}.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torchvision.utils import save_image

from maggan import losses, metrics, weights
from maggan.attributes import single_flips
from maggan.basics import parallel, paths
from maggan.basics.images import Batch, from_levels, to_levels
from maggan.basics.parallel import launch
from maggan.basics.progress import progress
from maggan.drawnfaces import draw
from maggan.evaluate import protocol
from maggan.masks.coding import compress, expand, quantise
from maggan.networks.discriminator import discriminator
from maggan.networks.generator import Generator
from maggan.networks.judges import SmallFeatures
from maggan.networks.layers import xavier
from maggan.profiles import profile
from maggan.regions import preserved_mask
from maggan.train.memory import peak_bytes
from maggan.train.run import Run
from maggan.variants import resolve

STEP_FACES, STEP_SIZE = 8, 128  # a training iteration at STGAN's full widths
FID_FACES = 300
UNITS = {"ms": 1e3, "GB": 1e-9}


class Line(NamedTuple):
    """One line of the table: how many times less `ours` takes than `other`, in seconds or bytes; what else was seen."""

    what: str
    ours: str
    taken: float
    other: str
    others: float
    seen: str = ""
    unit: str = "ms"


def seconds(*works, calls=3):
    """The fastest of several calls of each, after one to warm up: by turns, so that a machine that is slow for a while
    is slow for all of them."""
    best = [float("inf")] * len(works)
    for call in range(calls + 1):
        for i, work in enumerate(works):
            started = time.perf_counter()
            work()
            if call:
                best[i] = min(best[i], time.perf_counter() - started)
    return best


def faces(count, size):
    """Drawn faces as a Batch."""
    drawn = draw(range(count), size)
    return Batch(drawn.images, drawn.parts, drawn.attributes)


def lively(network, *inputs):
    """An untrained network whose batch norms have seen data: without that its output hardly depends on its input."""
    network.train()
    with torch.no_grad():
        for _ in range(30):
            network(*inputs)
    return network.eval()


class Always:
    """The same faces again and again, so that nothing but the step is timed."""

    def __init__(self, batch):
        self.there = {"cpu": batch}
        self.attributes, self.size = batch.attributes, batch.images.shape[-1]

    def __len__(self):
        return len(self.attributes)

    def batch(self, numbers, device="cpu", parts=True):
        device = str(device)
        if device not in self.there:
            self.there[device] = Batch(*(tensor.to(device) for tensor in self.there["cpu"]))
        return self.there[device]


def started(config, device):
    """A run on one batch of drawn faces, of which only the step is of interest: nothing is written."""
    batch = Always(faces(config.batch, config.size))
    return Run(config, launch(device, precision=config.precision), batch)


# What is timed in processes of its own, for how memory is kept cannot be undone within one.
# Row (vi) at STGAN's full widths, ours and as one writes it down: every pass in full, float32 and PyTorch's own layout.
ITERATION = ("maggan", "straightforward", "straightforward, freed memory kept")
# A batch of an evaluation at 64 px.
EVALUATION = ("freed memory kept", "given back")


def work_of(way, device):
    """What is timed of one of the ways above, to be called."""
    if way in EVALUATION:
        if way == "given back":
            parallel.keep_freed_memory = lambda: None
        drawn64 = profile("drawn64")
        generator = Generator(resolve("maggan", drawn64)).eval()
        networks = {kind: weights.judge_of(kind, drawn64).eval() for kind in ("classifier", "features")}
        batch, fabric = Always(faces(protocol.FACES_AT_ONCE, drawn64.size)), launch(device)
        return lambda: protocol.measure_faces("maggan", generator, batch, SimpleNamespace(**networks), None, fabric)
    # on two CPU cores channels_last made an iteration of these widths slower when it was tried, 3.6 s against 3.4 s
    config = resolve("maggan", profile("celeba128"), batch=STEP_FACES, critic_steps=1, channels_last=device == "cuda")
    if way == "maggan":
        return started(config, device).step
    if way == ITERATION[2]:
        launch(device)
    batch = Batch(*(tensor.to(device) for tensor in faces(STEP_FACES, STEP_SIZE)))
    return Straightforward(replace(config, precision="32"), batch, device).step


def in_processes(ways, device, calls=8):
    """The fastest call of each way, in seconds: each in a process of its own, by turns."""
    command = [sys.executable, __file__, "--device", device, "--way"]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    options["env"] = os.environ | {"TQDM_DISABLE": "1"}
    children = [subprocess.Popen([*command, way], **options) for way in ways]
    best = [float("inf")] * len(children)
    for call in range(calls + 1):
        for i, child in enumerate(children):
            child.stdin.write("go\n")
            child.stdin.flush()
            taken = float(child.stdout.readline())
            if call:  # the first warms up
                best[i] = min(best[i], taken)
    for child in children:
        child.stdin.close()
        child.wait()
    return best


def answer(way, device):
    """One of the processes: do the work whenever told to, and say how long it took."""
    work = work_of(way, device)
    for _ in sys.stdin:
        started = time.perf_counter()
        work()
        print(time.perf_counter() - started, flush=True)


def training_iteration(device):
    """Row (vi): ours against the step as one writes it down; and, on a CPU, with what ours does about memory."""
    what = "training iteration, STGAN's widths, 128 px, batch 8"
    for against in ITERATION[1:] if device == "cpu" else ITERATION[1:2]:
        ours, other = in_processes((ITERATION[0], against), device)  # not all at once: each takes 4 GB
        yield Line(what, ITERATION[0], ours, against, other)


def kept_memory(device):
    """A batch of an evaluation whose process keeps freed memory, against one that gives it back to the system."""
    what = f"evaluation of {protocol.FACES_AT_ONCE} faces of 64 px"
    ours, other = in_processes(EVALUATION, "cpu")
    return Line(what, EVALUATION[0], ours, EVALUATION[1], other)


# The settings that decide how an iteration is computed.
LEVERS = {
    "channels_last": {"channels_last": True}, "fused": {"fused": True}, "compile": {"compile": True},
    "bf16": {"precision": "bf16"},
}  # fmt: skip


def lever(name, device):
    """A training iteration with one of the levers, against without any."""
    at = profile("celeba128" if device == "cuda" else "drawn64")
    plain = resolve("maggan", at, critic_steps=1, precision="32", fused=False, channels_last=False)
    ways = replace(plain, **LEVERS[name]), plain
    with_it, without = seconds(*(started(way, device).step for way in ways), calls=20)
    return Line(f"training iteration of {at.name}", name, with_it, f"without {name}", without)


def levers(device):
    """Each lever that a device has."""
    for name in LEVERS:
        if name != "bf16" or device == "cuda":
            yield lever(name, device)


def memory_levers(device):
    """What a training iteration of 512 px holds in memory, rehearsed: recomputing, and the batch in two pieces."""
    config = resolve("maggan", profile("celeba512"), recompute=False)
    plain = peak_bytes(config)
    for name, setting in {"recompute": {"recompute": True}, "accumulate 2": {"accumulate": 2}}.items():
        with_it = peak_bytes(replace(config, **setting))
        yield Line("memory of an iteration of celeba512, rehearsed", name, with_it, f"without {name}", plain, unit="GB")


class Straightforward:
    """Steps of D and one of G by eq. 7 to 11: the generator runs in full wherever an equation says G."""

    def __init__(self, config, batch, device):
        torch.manual_seed(0)
        self.config, self.batch = config, batch
        self.G, self.D = (net.apply(xavier).to(device) for net in (Generator(config), discriminator(config)))
        self.optimisers = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (self.G, self.D)]

    def step(self, critic_steps=1):
        G, D, (x, parts, attributes), config = self.G, self.D, self.batch, self.config
        of_g, of_d = self.optimisers
        target = attributes.roll(1, 0)
        att_diff = target - attributes
        for _ in range(critic_steps):
            with torch.no_grad():
                fake = G(x, att_diff, parts)
            of_real, logits = D(x)
            alpha = torch.rand(len(x), 1, 1, 1, device=x.device)
            total, _ = losses.discriminator_loss(
                config, of_real, D.critic(fake), logits, attributes, D.penalty(x, fake, alpha)
            )
            self.update(of_d, total)
        edited, rebuilt = G(x, att_diff, parts), G(x, torch.zeros_like(att_diff), parts)
        preserved = preserved_mask(parts, att_diff, config.table)
        total, _ = losses.generator_loss(config, x, edited, rebuilt, preserved, *D(edited), target)
        self.update(of_g, total)

    def update(self, optimiser, total):
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        optimiser.step()
        total.item()  # wait for the device


def thirteen_edits(device):
    """All single flips of faces from one encoding, against 13 full passes."""
    config = resolve("maggan", profile("celeba128"))
    torch.manual_seed(0)
    G = Generator(config).apply(xavier).to(device, memory_format=torch.channels_last)
    x, parts, attributes = (tensor.to(device) for tensor in faces(2, STEP_SIZE))
    flips = single_flips(attributes)
    lively(G, x, flips[:, 0], parts)

    def one_by_one():
        return torch.stack([G(x, flips[:, i], parts) for i in range(13)], 1)

    def together():
        return G.edits(x, flips, parts)

    with torch.inference_mode():
        edits = one_by_one()
        apart, own = (edits - together()).abs().max().item(), (edits - edits.mean(1, keepdim=True)).abs().mean().item()
        ours, other = seconds(together, one_by_one, calls=8)
    return Line("13 edits of a face, STGAN's widths, 128 px", "encoded once", ours / 2, "13 full passes", other / 2,
                f"the two ways differ by {apart:.0e} at most, one edit from the mean of 13 by {own:.2f}")  # fmt: skip


def mask_store(device):
    """Reading soft masks as they are stored, against compressed npz files of the same levels."""
    levels = quantise(draw(range(16), 256).parts).numpy()
    stored = [compress(each) for each in levels]
    files = []
    for each in levels:
        files.append(io.BytesIO())
        np.savez_compressed(files[-1], levels=each)

    def read():
        return [expand(data) for data in stored]

    def read_npz():
        return [torch.from_numpy(np.load(io.BytesIO(file.getvalue()))["levels"]) * (2 / 255) for file in files]

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ours, other = (taken / 16 for taken in seconds(read, read_npz, calls=10))
    torch.set_num_threads(threads)
    kilobytes = [sum(map(len, stored)) / 16e3, sum(len(file.getvalue()) for file in files) / 16e3]
    return Line("reading the masks of a face", "mask store", ours, "npz", other,
                f"{1 / ours:.0f} faces/s a core; {kilobytes[0]:.1f} KB a face, npz {kilobytes[1]:.1f} KB")  # fmt: skip


def fid(device):
    """FID of tensors, against clean-fid on folders of PNGs, with the same network."""
    from cleanfid import fid as cleanfid

    torch.manual_seed(0)
    real = draw(range(FID_FACES), 64).images
    edits = draw(range(10_000, 10_000 + FID_FACES), 64, decorrelate=True).images
    real, edits = (from_levels(to_levels(images * 0.5 + 0.5)) for images in (real, edits))
    network = lively(SmallFeatures(64).to(device), real[:64].to(device))
    network.hidden.weight.data *= 10  # distances of the order that trained features have

    def features(images):
        with torch.inference_mode():
            return torch.cat([network.features(some.to(device)).cpu() for some in images.split(64)]).numpy()

    def ours():
        return metrics.frechet_distance(features(real), features(edits))

    def of_folders():
        with tempfile.TemporaryDirectory() as folder:
            statistics = []
            for name, images in (("real", real), ("edits", edits)):
                (Path(folder) / name).mkdir()
                for i, image in enumerate(images):
                    save_image(image * 0.5 + 0.5, Path(folder) / name / f"{i:05d}.png")
                made = cleanfid.get_folder_features(
                    str(Path(folder) / name), model=lambda batch: torch.from_numpy(features(batch / 127.5 - 1)),
                    num_workers=0, batch_size=64, device=torch.device("cpu"), mode="clean", verbose=False,
                    custom_image_tranform=lambda image: image, custom_fn_resize=lambda image: image,
                )  # fmt: skip
                statistics += [made.mean(0), np.cov(made, rowvar=False)]
            return cleanfid.frechet_distance(*statistics)

    a, b = ours(), of_folders()
    taken, other = seconds(ours, of_folders)
    return Line(f"FID of {FID_FACES} and {FID_FACES} faces of 64 px", "from tensors", taken, "clean-fid on folders",
                other, f"{a:.4f} against {b:.4f}")  # fmt: skip


def side_by_side(device):
    """Drawing in one process of two threads against two processes of one, the way make runs rows."""
    code = "from maggan.drawnfaces import draw\nfor k in range({}): draw(range(64), 64)"

    def run(processes, threads, rounds):
        env = os.environ | {"OMP_NUM_THREADS": str(threads)}
        for child in [subprocess.Popen([sys.executable, "-c", code.format(rounds)], env=env) for _ in range(processes)]:
            child.wait()

    rounds = 24
    two, one = seconds(lambda: run(2, 1, rounds // 2), lambda: run(1, 2, rounds))
    return Line(f"drawing {64 * rounds} faces of 64 px with masks", "two processes", two, "one of two threads", one,
                f"{64 * rounds / two:.0f} faces/s, start included")  # fmt: skip


def importing(device):
    """Importing what names the attributes, against PyTorch alone, which that needs; `maggan` itself imports nothing."""

    def run(what):
        return lambda: subprocess.run([sys.executable, "-c", f"import {what}"], check=True)

    ours, other = seconds(run("maggan.attributes"), run("torch"))
    return Line("importing", "maggan.attributes", ours, "torch", other)


BENCHMARKS = (
    training_iteration, thirteen_edits, kept_memory, levers, memory_levers, mask_store, fid, side_by_side, importing,
)  # fmt: skip


def table(lines):
    """The lines as a table of text."""
    return pd.DataFrame([{
        "what": line.what, "ours": line.ours, "takes": f"{line.taken * UNITS[line.unit]:.1f} {line.unit}",
        "against": line.other, "which takes": f"{line.others * UNITS[line.unit]:.1f} {line.unit}",
        "ratio": f"{line.others / line.taken:.2f}", "seen": line.seen,
    } for line in lines])  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--way", choices=ITERATION + EVALUATION, help="only times this, at every line it is sent")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    device = args.device
    if args.way:
        answer(args.way, device)
        return
    launch(device)  # as training and evaluation do: on CPUs, freed memory is kept from here on
    name = torch.cuda.get_device_name() if device == "cuda" else f"{os.cpu_count()} CPU cores"
    lines = []
    for benchmark in progress(BENCHMARKS, "bench", unit="comparisons"):
        made = benchmark(device)
        lines += [made] if isinstance(made, Line) else made
    shown = table(lines)
    print(shown.to_string(index=False))
    folder = paths.results() / "bench"
    said = f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    head = " | ".join(shown.columns)
    rows = "\n".join(f"| {' | '.join(row)} |" for row in shown.itertuples(index=False))
    texts = {"csv": shown.to_csv(index=False), "md": f"{said}\n\n| {head} |\n{'|---' * len(shown.columns)}|\n{rows}\n"}
    for kind, text in texts.items():
        with paths.replacing(folder / f"bench.{kind}") as partial:
            partial.write_text(text)
    print(f"written: {folder / 'bench.md'}")


if __name__ == "__main__":
    main()
