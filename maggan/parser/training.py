"""Trains the face parser on CelebAMask-HQ pairs, and judges it on the pairs held out.

Run by `python -m maggan.parser train` and `evaluate`.
"""

import hashlib
import json
import math
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.nn import functional as F
from torchmetrics.classification import MulticlassConfusionMatrix
from torchvision import tv_tensors
from torchvision.transforms import v2

from ..attributes import PARTS
from ..basics.errors import MagganError
from ..basics.paths import replacing
from ..basics.progress import interrupts_held, progress
from . import pairs as celebamask
from .bisenet import BiSeNet
from .pairs import MERGED, MERGED_PARTS, SWAPPED
from .parser import PUBLISHED_SIZE, normalise, parse


def ohem_cross_entropy(logits, labels, weights=None, threshold=0.7, least=1 / 16):
    """Cross-entropy over the hard pixels only: those whose true part has a probability below `threshold`.

    At least the share `least` of the pixels counts, the hardest ones. logits (B, 19, H, W), labels (B, H, W) int64,
    weights (19,) for the parts or None; returns a scalar.
    """
    loss = F.cross_entropy(logits, labels, reduction="none").flatten()
    fewest = max(1, int(least * len(loss)))
    cut = min(-math.log(threshold), float(loss.detach().topk(fewest).values[-1]))
    hard = loss >= cut
    weight = hard.float() if weights is None else hard * weights[labels.flatten()]
    return (loss * weight).sum() / weight.sum()


def augment(photo, labels, crop):
    """A random view of a face: scaled, cropped, mirrored, recoloured. Mirroring swaps left and right parts.

    photo (3, S, S) uint8, labels (S, S) uint8; returns the same at `crop` pixels.
    """
    size = photo.shape[-1]
    view = v2.Compose([v2.ScaleJitter((size, size), (crop / size, 1.5)), v2.RandomCrop(crop)])
    photo, labels = view(tv_tensors.Image(photo), tv_tensors.Mask(labels))
    if torch.rand(()) < 0.5:
        photo, labels = photo.flip(-1), torch.tensor(SWAPPED, dtype=torch.uint8)[labels.flip(-1).long()]
    photo = v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4)(tv_tensors.Image(photo))
    return torch.as_tensor(photo), torch.as_tensor(labels)


def training_batch(photos, labels, chances, batch, crop, seed, iteration):
    """The batch of an iteration: a function of seed and iteration alone, so that a resumed run sees the same faces.

    chances (N,): how often each face is drawn. Returns photos (B, 3, crop, crop) and labels (B, crop, crop).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed * 1_000_003 + iteration)
        chosen = torch.multinomial(chances, batch)
        views = [augment(photos[i], labels[i], crop) for i in chosen]
    return torch.stack([photo for photo, _ in views]), torch.stack([label for _, label in views])


def balance(labels):
    """Weights against rarity: of the parts in the loss (19,), and of the faces in the draw (N,).

    Earrings, necklaces, glasses and hats are few and small; unweighted, a short training never learns them.
    """
    counts = torch.stack([torch.bincount(face.flatten().long(), minlength=len(PARTS)) for face in labels]).float()
    weights = (counts.sum(0) / counts.sum()).clamp(min=1e-6) ** -0.25
    shown = counts > 0  # (N, 19)
    rarity = shown.float().mean(0).clamp(min=1e-3) ** (-1 / 3)
    return weights, (shown * rarity).amax(1)


def learning_rate(iteration, iterations, peak):
    """Linear warm-up over the first twentieth, then half a cosine down to 0."""
    warm = max(1, iterations // 20)
    if iteration < warm:
        return peak * (iteration + 1) / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (iteration - warm) / max(1, iterations - warm)))


def train_parser(folder, out, size=256, crop=224, hold_out=100, iterations=4000, batch=8, peak=1e-3, seed=0,
                 order="celebamask", device=None, bfloat16=False, every=100):  # fmt: skip
    """Train the parser from scratch on the pairs in `folder`, all but `hold_out` of them, and write it to `out`.

    Started again after an interruption, it goes on from the last checkpoint (each `every` iterations, beside `out`)
    with the same faces; finished, it returns at once. The log is `out` with the suffix .jsonl. `bfloat16` pays only
    where the processor has it. The pairs are held in memory, up to 4 GB of them. Returns the path of the weights;
    MagganError if what is there was trained with other settings or other pairs.
    """
    out = Path(out)
    if not size >= crop >= 32 or crop % 32:
        raise MagganError(f"--crop {crop}: must be a multiple of 32 and at most --size {size}.")
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    pairs = celebamask.pairs_to_learn(folder, hold_out, size)
    settings = dict(
        size=size, crop=crop, hold_out=hold_out, iterations=iterations, batch=batch, peak=peak, seed=seed, order=order,
        bfloat16=bfloat16, pairs=hashlib.sha256("\n".join(pair.name for pair in pairs).encode()).hexdigest(),
    )  # fmt: skip
    if _is_finished(out, settings):
        print(f"{out}: is finished ({iterations} iterations with these settings); delete it to train again.")
        return out
    model, optimiser = _fresh(seed, device)
    checkpoint = out.with_suffix(".checkpoint.pt")
    start = _resume(checkpoint, settings, model, optimiser)
    photos, labels, _ = celebamask.load_pairs(pairs, size, order)
    weights, chances = balance(labels)
    weights = weights.to(device)

    with interrupts_held() as interrupted:
        for iteration in progress(range(start, iterations), desc="parser", total=iterations, initial=start):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(iteration, iterations, peak)
            faces, truth = training_batch(photos, labels, chances, batch, crop, seed, iteration)
            loss, accuracy = _step(model, optimiser, faces.to(device), truth.to(device), weights, bfloat16)
            done = iteration + 1
            if done % 10 == 0 or done == iterations:
                _log(out, iteration=done, loss=loss, accuracy=accuracy)
            if interrupted or done % every == 0:
                _save_checkpoint(checkpoint, settings, done, model, optimiser)
            if interrupted:
                raise KeyboardInterrupt
    notes = {name: str(value) for name, value in settings.items()} | {"parts": " ".join(PARTS)}
    with replacing(out) as partial:
        save_file({k: v.cpu().contiguous() for k, v in model.state_dict().items()}, partial, notes)
    checkpoint.unlink(missing_ok=True)
    return out


def _fresh(seed, device):
    """An untrained parser, which no pretrained weights start off, and its optimiser."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BiSeNet()
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    model = model.to(device, memory_format=torch.channels_last)
    # Batch norms are not decayed.
    flat, deep = ([p for p in model.parameters() if (p.dim() > 1) == deep] for deep in (False, True))
    return model, torch.optim.AdamW([{"params": deep, "weight_decay": 0.05}, {"params": flat, "weight_decay": 0.0}])


def _step(model, optimiser, faces, truth, weights, bfloat16):
    """One step on a batch; returns the loss and the share of right pixels. MagganError if the loss is not finite.

    The loss is taken at every second pixel: the network's own grid has one in eight, and at full size three softmaxes
    over 19 parts cost as much as the network.
    """
    model.train()
    faces = normalise(faces).contiguous(memory_format=torch.channels_last)
    half = faces.shape[-1] // 2
    seen = torch.linspace(0, faces.shape[-1] - 1, half).round().long()  # where align_corners=True puts the logits
    truth = truth[:, seen][:, :, seen].long()
    with torch.autocast(faces.device.type, torch.bfloat16, enabled=bfloat16):
        logits = model(faces, (half, half))
    loss = sum(ohem_cross_entropy(head.float(), truth, weights) for head in logits)
    if not torch.isfinite(loss):
        raise MagganError(f"the parser's loss is {float(loss)}; train again with a lower --peak.")
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    right = (logits[0].argmax(1) == truth).float().mean()
    return float(loss.detach()), float(right)


def _log(out, **values):
    """Append one line to the log."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(out.with_suffix(".jsonl"), "a") as file:
        file.write(json.dumps(values) + "\n")


def _save_checkpoint(path, settings, done, model, optimiser):
    state = {"settings": settings, "done": done, "model": model.state_dict(), "optimiser": optimiser.state_dict()}
    with replacing(path) as partial:
        torch.save(state, partial)


def _is_finished(out, settings):
    """Whether `out` holds weights trained with these settings; MagganError if with others."""
    if not out.exists():
        return False
    try:
        with safe_open(out, "pt") as file:
            notes = file.metadata() or {}
    except (SafetensorError, OSError):
        notes = {}
    if "iterations" not in notes:
        raise MagganError(f"{out}: not weights that this command wrote; delete it, or use another --out.")
    _check_same(out, notes, settings)
    return True


def _check_same(path, notes, settings):
    """MagganError if `notes`, those of weights or of a checkpoint, were made with other settings.

    Only what they note is compared: earlier versions noted neither order, bfloat16 nor pairs.
    """
    changed = [name for name, value in settings.items() if name in notes and str(notes[name]) != str(value)]
    if changed:
        names = ", ".join(changed)
        raise MagganError(f"{path}: was trained with other settings ({names}); delete it, or use another --out.")


def _resume(path, settings, model, optimiser):
    """Load the checkpoint if there is one; returns the number of iterations done."""
    if not path.exists():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
        raise MagganError(f"{path}: damaged checkpoint; delete it to train from the start.") from None
    _check_same(path, state["settings"], settings)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return state["done"]


def evaluate_parser(parser, folder, hold_out=100, order="celebamask"):
    """Pixel accuracy and IoU on the held-out pairs, at the label maps' own size, with left and right merged.

    The mean IoU is over the parts that the labels or the result hold at all. Returns a dict of floats, with "iou"
    by part and the number of "faces".
    """
    pairs = celebamask.find_pairs(folder)
    held = celebamask.held_out([pair.name for pair in pairs], hold_out)
    device = next(parser.parameters()).device
    photos, labels, _ = celebamask.load_pairs([p for p, h in zip(pairs, held, strict=True) if h], PUBLISHED_SIZE, order)
    confusion = MulticlassConfusionMatrix(len(MERGED_PARTS)).to(device)
    for photo, truth in zip(progress(photos, desc="judging the parser"), labels, strict=True):
        parts = parse(parser, photo[None].to(device), PUBLISHED_SIZE)
        merged = torch.zeros(1, len(MERGED_PARTS), *parts.shape[2:], device=device)
        merged.index_add_(1, torch.tensor(MERGED, device=device), parts)
        confusion.update(merged.argmax(1), torch.tensor(MERGED, device=device)[truth[None].long().to(device)])
    counts = confusion.compute().double()  # (16, 16), truth by result
    right, union = counts.diag(), counts.sum(0) + counts.sum(1) - counts.diag()
    iou = {name: float(right[i] / union[i]) for i, name in enumerate(MERGED_PARTS) if union[i] > 0}
    return {
        "faces": len(photos),
        "pixel_accuracy": float(right.sum() / counts.sum()),
        "mean_iou": sum(iou.values()) / len(iou),
        "iou": iou,
    }
