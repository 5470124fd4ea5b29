"""What only a GPU can show, in one go: `make bench-gpu`.

1. images a second, peak memory and the share of the card's peak at 128 to 1024 px; at 128 px also without CUDA graphs,
   and the step as one writes it down;
2. ten iterations in float32 on the CPU and on the GPU, with CUDA graphs and without: how far the losses are apart;
3. each setting that decides how an iteration is computed, against without;
4. how much memory was estimated; what is said where memory will not do;
5. rows stgan and maggan at 256 px, maggan at 512 and 1024 px: trained for a while, evaluated, pictures.

Each result is on the disk at once, in results/bench/gpu.json, and is not measured again: the same command goes on where
it was. What fails is said, and does not keep the rest from being measured. It needs PyTorch, torchvision and what
training needs, no network.
"""

import argparse
import gc
import json
import os
import sys
import time
import traceback
from dataclasses import replace

import torch
from PIL import Image
from speed import LEVERS, Straightforward, faces, lever, started
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from maggan.basics import paths
from maggan.basics.errors import MagganError, cli
from maggan.basics.images import Batch
from maggan.evaluate import evaluate
from maggan.evaluate.judges import train_judges
from maggan.profiles import profile
from maggan.train import train
from maggan.train.memory import memory_told, peak_bytes
from maggan.variants import resolve

# dense bfloat16 on the tensor cores, by NVIDIA's data sheets, in 10^12 operations a second
PEAKS = {"H200": 989, "H100 PCIe": 756, "H100": 989, "A100": 312, "L40S": 362, "4090": 165}
SIZES = ("drawn128", "drawn256", "drawn512", "drawn1024")
ROWS = (("stgan", "drawn256"), ("maggan", "drawn256"), ("maggan", "drawn512"), ("maggan", "drawn1024"))
WARM, TIMED = 5, 10  # iterations; steps are captured within the first ones
RATE = 2e-5  # at the usual ones Adam makes full steps of mere rounding, and after ten nothing can be compared
# Faces are drawn as they are needed. The judges of these rows see few of them: seconds instead of minutes.
FEW = dict(train_faces=2000, decorrelated_faces=1000, validation_faces=64, test_faces=96)


class Operations(TorchDispatchMode):
    """Counts floating point operations. PyTorch's own counter follows modules too, and stops at the penalty."""

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if function._overloadpacket in flop_registry:
            self.total += flop_registry[function._overloadpacket](*args, **(kwargs or {}), out_val=made)
        return made


def agreement(device, base, graphs):
    """How far apart any loss is, relatively, in ten float32 iterations on the CPU and on the device."""
    config = resolve("maggan", profile(base), precision="32", fused=False, graphs=graphs, rate_g=RATE, rate_d=RATE)
    logs, before = [], (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        for where in ("cpu", device):
            run = started(config, where)
            logs.append([run.step() for _ in range(10)])
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
    apart = [max(abs(a[name] - b[name]) / max(1, abs(a[name])) for name in a) for a, b in zip(*logs, strict=True)]
    about = {"row": "maggan", "profile": base, "rates": RATE, "graphs": graphs}
    return about | {"distance at each iteration": apart, "largest": max(apart)}


def gain(name, device):
    """A lever's gain."""
    line = lever(name, device)
    taken = {"ms": 1e3 * line.taken, "without, ms": 1e3 * line.others}
    return {"lever": line.ours, "of": line.what, **taken, "gain": line.others / line.taken}


def rate(name, device, tflops, row="maggan", **settings):
    """How fast and how large an iteration of a row is."""
    config = resolve(row, profile(name), **settings)
    with Operations() as counter:
        started(replace(config, graphs=False), device).step()
    run = started(config, device)
    for _ in range(WARM):
        run.step()
    on_gpu = device == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    begun = time.perf_counter()
    for _ in range(TIMED):
        run.step()  # waits for the device, for it returns numbers
    seconds = (time.perf_counter() - begun) / TIMED
    work = counter.total / seconds / 1e12
    return {
        "row": row, "profile": name, "batch": config.batch, "precision": config.precision, "graphs": bool(run.graphs),
        "seconds an iteration": seconds,
        "images a second": config.batch / seconds, "teraflops": work,
        "share of peak": work / tflops if tflops else None,
        "peak GB": torch.cuda.max_memory_reserved() / 1e9 if on_gpu else None,
    }  # fmt: skip


def written_down(name, device):
    """How fast an iteration is as one writes it down: every pass in full, in float32 and PyTorch's own layout."""
    config = resolve("maggan", profile(name))
    batch = Batch(*(tensor.to(device) for tensor in faces(config.batch, config.size)))
    plain = Straightforward(replace(config, precision="32"), batch, device)
    for _ in range(WARM):
        plain.step(config.critic_steps)
    begun = time.perf_counter()
    for _ in range(TIMED):
        plain.step(config.critic_steps)
    return {"profile": name, "batch": config.batch, "seconds an iteration": (time.perf_counter() - begun) / TIMED}


def too_large(device):
    """What is said where memory will not do: half of what maggan needs at 1024 px."""
    config, there = resolve("maggan", profile("drawn1024")), torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, 0.5 * peak_bytes(config) / there))
    try:
        with memory_told(config, torch.device(device)):
            started(config, device).step()
    except MagganError as error:
        return {"said": str(error)}
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    return {"said": None}


def trained(row, name, iterations, judge_epochs, device):
    """A row trained for so many iterations, and its numbers; its last sheet is put beside them."""
    few = replace(profile(name), **FEW, judge_epochs=judge_epochs, sample_every=max(iterations // 5, 1))
    train_judges(few, device)
    folder = train(row, few, device=device, iterations=iterations)
    took = json.loads((folder / "run.json").read_text())
    sheet = max((folder / "samples").glob("*.png"))
    with paths.replacing(paths.results() / f"{row}-{name}.jpg") as partial:
        Image.open(sheet).save(partial, "jpeg", quality=90)
    metrics = evaluate(row, few, device=device)["metrics"]
    shown = {
        key: metrics[key]["value"]
        for key in ("mre", "psnr", "ssim", "accuracy_1.0", "accuracy_1.5", "fid")
        if key in metrics
    }
    return {"row": row, "profile": name, "iterations": iterations, **took, **shown}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tflops", type=float, help="the card's peak in bfloat16, if it is not a known one")
    parser.add_argument(
        "--iterations", type=int, default=200, help="of a row at 256 px; half at 512, a quarter at 1024"
    )
    parser.add_argument("--judge-epochs", type=int, default=1)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        raise MagganError("no GPU that PyTorch can use is here; on CPUs: make bench.")
    device, card = "cuda", torch.cuda.get_device_name()
    tflops = args.tflops or next((peak for name, peak in PEAKS.items() if name in card), None)
    results = Results(paths.results() / "bench" / "gpu.json", {"card": card, "torch": torch.__version__})
    # folders of their own: these short runs must not take the place of real ones
    os.environ |= {"MAGGAN_RUNS": str(paths.runs() / "bench-gpu"), "MAGGAN_RESULTS": str(results.file.with_suffix(""))}
    torch.set_num_threads(min(4, torch.get_num_threads()))  # more of them take the CPU's side longer
    torch.set_float32_matmul_precision("high")  # as in training
    for name in SIZES:
        results.take(f"rate {name}", lambda name=name: rate(name, device, tflops))
    results.take("rate drawn128, no graphs", lambda: rate("drawn128", device, tflops, graphs=False))
    results.take("rate drawn128, stgan", lambda: rate("drawn128", device, tflops, row="stgan"))
    results.take("rate drawn128, written down", lambda: written_down("drawn128", device))
    for graphs in (True, False):
        results.take(f"agreement, graphs {graphs}", lambda graphs=graphs: agreement(device, "drawn64", graphs))
    for name in LEVERS:
        results.take(f"lever {name}", lambda name=name: gain(name, device))
    results.take("estimated GB", lambda: {name: peak_bytes(resolve("maggan", profile(name))) / 1e9 for name in SIZES})
    results.take("too large", lambda: too_large(device))
    for row, name in ROWS:
        count = args.iterations * 256 // profile(name).size
        results.take(f"{row} {name}", lambda row=row, name=name, count=count: trained(
            row, name, count, args.judge_epochs, device))  # fmt: skip
    print(f"written: {results.file}")
    if results.failed:
        print(f"failed: {', '.join(results.failed)}; the same command tries them again", file=sys.stderr)
        sys.exit(1)


class Results:
    """Named results in a JSON file, each measured once; `failed` names those that could not be."""

    def __init__(self, file, about):
        self.file, self.failed = file, []
        self.known = json.loads(file.read_text()) if file.exists() else {"about": about}
        if self.known["about"] != about:
            raise MagganError(f"{file}: was measured on {self.known['about']}; move it away to measure on {about}.")

    def take(self, name, measure):
        """Measure what is not known yet, print it and write it down."""
        if name not in self.known:
            gc.collect()  # compiled networks go no other way, and their memory is to be free
            torch.cuda.empty_cache()
            try:
                self.known[name] = measure()
            except Exception:
                traceback.print_exc()
                self.failed.append(name)
                return
            with paths.replacing(self.file) as partial:
                partial.write_text(json.dumps(self.known, indent=1) + "\n")
        print(f"{name}: {json.dumps(self.known[name])}", flush=True)


if __name__ == "__main__":
    cli(main)
