"""How a judge learns: all that decides its weights."""

import math
import time

import torch
from torch.nn import functional as F

from ..basics.checkpoints import load_checkpoint, save_checkpoint
from ..basics.progress import progress
from ..data.augment import augmented

BATCH = 64


def fit(name, network, faces, epochs, folder, code, device="cpu", rate=2e-3, seed=0, augment=augmented):
    """Train a network on the attributes of `faces`, from its last whole epoch on; returns the seconds it took.

    AdamW with one cycle of the learning rate; `augment(images, draw)` is what it sees of them. All
    randomness is a function of (seed, epoch), so an interrupted run ends as an uninterrupted one.
    """
    steps = math.ceil(len(faces) / BATCH)
    network.to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=epochs * steps, pct_start=0.2)
    first, seconds, file = 0, 0.0, folder / f"{name}.pt"
    run = {"code": code, "epochs": epochs, "faces": len(faces)}
    saved = load_checkpoint(file, "this judge") or {}
    if saved.get("run") == run:
        first, seconds = saved["epoch"], saved["seconds"]
        for part, key in ((network, "network"), (optimiser, "optimiser"), (schedule, "schedule")):
            part.load_state_dict(saved[key])
    with progress(total=epochs * steps, initial=first * steps, desc=f"judge: {name}", unit="batches") as bar:
        for epoch in range(first, epochs):
            started = time.monotonic()
            fit_epoch(network, optimiser, schedule, faces, seed * 1000 + epoch, device, bar, augment)
            seconds += time.monotonic() - started
            state = {key: part.state_dict() for key, part in
                     (("network", network), ("optimiser", optimiser), ("schedule", schedule))}  # fmt: skip
            save_checkpoint(file, {**state, "run": run, "epoch": epoch + 1, "seconds": seconds})
    return seconds


def fit_epoch(network, optimiser, schedule, faces, seed, device, bar, augment=augmented):
    """Every face once, augmented."""
    network.train()
    torch.manual_seed(seed)  # for the dropout
    draw = torch.Generator().manual_seed(seed)
    for numbers in torch.randperm(len(faces), generator=draw).split(BATCH):
        batch = faces.batch(numbers, device, parts=False)
        images = augment(batch.images, draw).contiguous(memory_format=torch.channels_last)
        loss = F.binary_cross_entropy_with_logits(network(images), batch.attributes)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        bar.set_postfix(loss=f"{loss.item():.4f}", refresh=False)
        bar.update()
