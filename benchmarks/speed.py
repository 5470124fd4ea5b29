"""Speeds that the project relies on, each as a ratio within one run: `make bench`.

A time alone says little on a machine one does not know; a ratio of two ways of doing the same carries over.
"""

import os
import subprocess
import sys
import time

import torch

from maggan.attributes import single_flips
from maggan.data import Batch
from maggan.drawnfaces import draw
from maggan.losses import reconstruction_loss
from maggan.networks import Generator, initialise
from maggan.variants import resolve

FACES = 16


def seconds(work, least=3.0):
    """The fastest of several calls of `work`, for at least `least` seconds."""
    work()
    best, until = float("inf"), time.perf_counter() + least
    while time.perf_counter() < until:
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def compare(what, slow, fast):
    """Print how many times faster `fast` is than `slow`: {label: work} of one entry each."""
    (slow_label, slow_work), (fast_label, fast_work) = *slow.items(), *fast.items()
    a, b = seconds(slow_work), seconds(fast_work)
    print(f"{what}: {fast_label} {b * 1e3:.0f} ms, {slow_label} {a * 1e3:.0f} ms: ratio {a / b:.2f}", flush=True)


def generator_step(generator, batch, **layout):
    """One forward and backward pass, for timing."""
    generator.to(**layout)
    images = batch.images.contiguous(**layout)
    flips = single_flips(batch.attributes)[:, 3]

    def work():
        edited, rebuilt, _ = generator.edit_and_reconstruct(images, flips, batch.parts)
        (reconstruction_loss(images, rebuilt) + edited.mean()).backward()

    return work


def side_by_side():
    """Drawing in one process of two threads against two processes of one, the way make runs rows."""
    code = "from maggan.drawnfaces import draw\nfor k in range({}): draw(range(64), 64)"

    def run(processes, threads, rounds):
        env = os.environ | {"OMP_NUM_THREADS": str(threads)}
        started = time.perf_counter()
        for child in [subprocess.Popen([sys.executable, "-c", code.format(rounds)], env=env) for _ in range(processes)]:
            child.wait()
        return time.perf_counter() - started

    rounds = 24
    one, two = run(1, 2, rounds), run(2, 1, rounds // 2)
    rate = 64 * rounds / two
    print(f"drawing 64 px faces with masks: two processes {rate:.0f} faces/s (start included), "
          f"one process of two threads {64 * rounds / one:.0f}: ratio {one / two:.2f}", flush=True)  # fmt: skip


def main():
    torch.set_num_threads(1)
    config = resolve("maggan", "drawn64")
    drawn = draw(range(FACES), config.size)
    batch = Batch(drawn.images, drawn.parts, drawn.attributes)
    G = Generator(config).apply(initialise).eval()
    flips = single_flips(batch.attributes)

    def one_by_one():
        for i in range(13):
            G(batch.images, flips[:, i], batch.parts)

    with torch.inference_mode():
        compare("13 edits of a face", {"encoding each time": one_by_one},
                {"encoding once": lambda: G.edits(batch.images, flips, batch.parts)})  # fmt: skip
    compare("a training pass of G", {"contiguous": generator_step(G, batch, memory_format=torch.contiguous_format)},
            {"channels last": generator_step(G, batch, memory_format=torch.channels_last)})  # fmt: skip
    side_by_side()


if __name__ == "__main__":
    main()
