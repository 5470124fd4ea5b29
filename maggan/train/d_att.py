"""D_att trained ahead of the rows (eq. 9): `python -m maggan.d_att PROFILE`, or the first row that needs it.

D_att learns from real faces alone. Where it shares no layer with D_adv it is the same for every row of a seed, so it is
trained once, and well: on stained faces, and on faces that are changed against it. An ordinary classifier takes a faint
pattern for glasses, and a generator finds that pattern; this one asks for something that looks like glasses.
"""

import hashlib
import json
import time

import torch

from ..basics import paths
from ..basics.checkpoints import load_checkpoint, save_checkpoint
from ..basics.progress import interrupts_held, progress
from ..basics.weights import load_weights, save_weights
from ..data.augment import stained
from ..losses import attribute_loss
from ..systems import SYSTEMS

BATCH = 32
RATE = 2e-3
CHECKPOINT_EVERY = 250  # steps
# what of a row's settings D_att depends on
SETTINGS = ("seed", "size", "levels", "max_width", "critic_width", "critic_levels", "critic_depth", "head_width",
            "attribute_steps", "attribute_reach")  # fmt: skip


def trained_ahead(config, folder, code, faces, device):
    """The trained and frozen D_att of a row's config; trained first, or trained on, where it is not there.

    folder  of the profile's runs; code, faces  that it is made of: the fingerprint of the code, and its `Faces`
    """
    made_of = {name: getattr(config, name) for name in SETTINGS} | {"code": code, "faces": faces.identity}
    key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:12]
    file = folder / f"d_att-seed{config.seed}-{key}.safetensors"
    torch.manual_seed(config.seed)
    network = SYSTEMS[config.system].d_att(config).to(device, memory_format=torch.channels_last)
    with paths.locked(file):  # rows that start together wait for the first
        if not file.exists():
            seconds = learn(network, config, faces, file.with_suffix(".pt"), device)
            save_weights(file, network, **made_of, seconds=round(seconds, 1))
            file.with_suffix(".pt").unlink(missing_ok=True)
    return load_weights(file, network).eval().requires_grad_(False)


def learn(network, config, faces, checkpoint, device):
    """Train it from its last checkpoint on; returns the seconds it took. Randomness is a function of (seed, step)."""
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=config.attribute_steps, pct_start=0.2)
    learnt = {"network": network, "optimiser": optimiser, "schedule": schedule}
    first, seconds = 0, 0.0
    if saved := load_checkpoint(checkpoint, "D_att"):
        first, seconds = saved["step"], saved["seconds"]
        for name, part in learnt.items():
            part.load_state_dict(saved[name])
    began = time.monotonic()
    with interrupts_held() as interrupted:
        for step in progress(range(first, config.attribute_steps), f"D_att of seed {config.seed}",
                             total=config.attribute_steps, initial=first):  # fmt: skip
            learn_step(network, optimiser, config, faces, step, device)
            schedule.step()
            if interrupted or (step + 1) % CHECKPOINT_EVERY == 0:
                state = {name: part.state_dict() for name, part in learnt.items()}
                took = seconds + time.monotonic() - began
                save_checkpoint(checkpoint, {**state, "step": step + 1, "seconds": took})
            if interrupted:
                raise KeyboardInterrupt
    return seconds + time.monotonic() - began


def learn_step(network, optimiser, config, faces, step, device):
    """Eq. 9 on one batch of faces: moved, stained, and changed against the network."""
    draw = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    batch = faces.batch(torch.randint(len(faces), (BATCH,), generator=draw), device, parts=False)
    images = stained(batch.images, draw).contiguous(memory_format=torch.channels_last)
    places = [level.to(device) for level in torch.rand(config.critic_levels - 1, BATCH, 2, generator=draw)]
    if config.attribute_reach:
        reach = config.attribute_reach * torch.rand(BATCH, 1, 1, 1, generator=draw).to(device)
        start = (2 * torch.rand(images.shape, generator=draw) - 1).to(images)
        images = against(network, images, batch.attributes, reach, start, places)
    optimiser.zero_grad(set_to_none=True)
    attribute_loss(network(images, places=places), batch.attributes).backward()
    optimiser.step()


def against(network, images, attributes, reach, start, places):
    """Faces changed up the gradient of eq. 9, each value by at most `reach` (B, 1, 1, 1), from a random `start`."""
    network.eval()  # its statistics are of the faces that it learns from
    change = (start * reach / 2).requires_grad_()
    (slope,) = torch.autograd.grad(attribute_loss(network(images + change, places=places), attributes), change)
    network.train()
    return images + (change.detach() + 1.25 * reach * slope.sign()).clamp(-reach, reach)
