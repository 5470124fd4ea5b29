"""How a judge learns: what it sees of the faces, and the training itself: all that decides its weights."""

import math
import time

import torch
from torch.nn import functional as F

from ..basics.checkpoints import load_checkpoint, save_checkpoint
from ..basics.progress import progress

BATCH = 64


def augmented(images, draw):
    """Mirrored, moved by up to 1/16 of the side, scaled by up to 8 % and with noise, each face its own way.

    images (B, 3, S, S) in [-1, 1]; `draw` is a CPU generator, so the draws are the same on any device.
    The noise keeps the judge from reading faint patterns that a generator could learn to paint.
    """
    n = len(images)
    uniform = torch.rand(n, 5, generator=draw) * 2 - 1
    mirror = torch.where(uniform[:, 0] > 0, 1.0, -1.0)
    scale = 1 + 0.08 * uniform[:, 1]
    zero = torch.zeros(n)
    moves = torch.stack([mirror * scale, zero, uniform[:, 2] / 8, zero, scale, uniform[:, 3] / 8], 1).view(n, 2, 3)
    grid = F.affine_grid(moves.to(images.device), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    noise = torch.randn(images.shape, generator=draw) * (0.1 * uniform[:, 4].abs()).view(n, 1, 1, 1)
    return moved + noise.to(images.device)


def roughened(images, draw):
    """What the second judge sees: moved, scaled, lighter or darker, blurred, a patch cut out, and more noise.

    images (B, 3, S, S) in [-1, 1]; `draw` is a CPU generator. Nothing is mirrored. It shares no habit with `augmented`
    but moves and noise, so that a generator that pleases one judge by a quirk of its need not please the other.
    """
    n, size, device = len(images), images.shape[-1], images.device
    uniform = torch.rand(n, 8, generator=draw) * 2 - 1
    zero, scale = torch.zeros(n), 1 + 0.12 * uniform[:, 0]
    moves = torch.stack([scale, zero, uniform[:, 1] / 6, zero, scale, uniform[:, 2] / 6], 1).view(n, 2, 3)
    grid = F.affine_grid(moves.to(device), list(images.shape), align_corners=False)
    seen = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    share = uniform[:, 3].clamp(min=0.3).sub(0.3).view(n, 1, 1, 1).to(device)  # a third of the faces are blurred
    blurred = F.avg_pool2d(F.pad(seen, (1, 1, 1, 1), mode="replicate"), 3, 1)
    seen = seen.lerp(blurred, share)
    light = (1 + 0.1 * uniform[:, 4:5, None, None]).to(device), (0.05 * uniform[:, 5:6, None, None]).to(device)
    seen = seen * light[0] + light[1]
    noise = torch.randn(images.shape, generator=draw) * (0.15 * uniform[:, 6].abs()).view(n, 1, 1, 1)
    corner = torch.rand(n, 2, generator=draw) * (size - size // 6)
    axis = torch.arange(size)
    inside = [(axis >= start[:, None]) & (axis < start[:, None] + size // 6) for start in corner.unbind(1)]
    cut = (inside[0][:, None, :, None] & inside[1][:, None, None, :] & (uniform[:, 7] > 0).view(n, 1, 1, 1)).to(device)
    return (seen + noise.to(device)).masked_fill(cut, 0.0)


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
