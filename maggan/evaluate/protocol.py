"""Evaluate a row on the profile's test faces: the whole protocol, one JSON file a row.

Each test face gets its 13 single flips at strength 1.0 (MRE, FID), and the flips of STGAN's test, conflicts
released, at 1.0 and 1.5 (accuracy, leakage of attributes); the first faces get both at the strengths of the
success-preservation curve, and some are edited back. Where there are true edits, edits are compared with them.
docs/measures.md says what each measure is.
`python -m maggan.evaluate ROW PROFILE`; the rows "no-edit" (returns its input) and "true-edit" (the true
counterfactual, drawn worlds only) go through the same function.
"""

import json
import time
from dataclasses import replace
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from .. import metrics, weights
from ..attributes import PARTS, released_flips, single_flips
from ..basics import paths
from ..basics.errors import MagganError, nearest
from ..basics.images import Batch, from_levels
from ..basics.parallel import gathered, launch
from ..basics.progress import progress
from ..data import open_faces, source_of
from ..regions import blend
from ..variants import LIMITS, ROWS
from . import rulers, summaries
from .judges import folded, load_judges
from .kept import faces_file, write_faces
from .summaries import CURVE, CURVE_FACES, STRENGTHS, accuracy_name, add_fid, mre_name
from .truths import styled_counterfactuals, true_counterfactuals, wanted_attributes

REVERSED_FACES = 100  # the first test faces: each edit is edited back, a pass of its own
FLIPS_AT_ONCE = 4  # that are edited back together
FACES_AT_ONCE = 16  # with their 13 edits; fewer above 128 px
HAT_SHARE = 0.1  # of the picture: above it a face counts as one with a hat (Fig. 7)
RECONSTRUCTION = ("psnr", "ssim", "judge_on_reconstructions", "composition")


class Measured(NamedTuple):
    """What was measured of one batch of faces, the first of which has number `start`."""

    start: int
    taken: dict  # name -> (B, ...)
    features: dict  # of "faces" (B, D) and "edits" (B, 13, D)
    seconds: list  # an edit, once for every strength


class NoEdit:
    """Returns its input: the judge's mistakes are its accuracy."""

    def __call__(self, images, att_diff, parts, attributes):
        return images

    def edits(self, images, att_diffs, parts, attributes):
        return images.unsqueeze(1).expand(-1, att_diffs.shape[1], -1, -1, -1)


def load_row(variant, profile, seed, device):
    """The generator of a row and what its JSON says of it; MagganError with the command if it is not trained."""
    if variant in LIMITS:
        if variant == "true-edit" and not source_of(profile).true_edits:
            raise MagganError(f"row 'true-edit' needs drawn faces: photos of {profile.name} have no counterfactual.")
        return NoEdit(), {}
    if variant not in ROWS:
        raise nearest(variant, [*ROWS, *reversed(LIMITS)], "row")
    file = paths.weights_file(profile, variant, seed)
    if not file.exists():
        seeded = f" --seed {seed}" if seed else ""
        raise MagganError(
            f"{file} is not there; train the row: python -m maggan.train {variant} {profile.name}{seeded}"
        )
    generator = weights.load(file, device).to(memory_format=torch.channels_last)
    config = generator.config
    return generator, {
        "config_hash": config.hash(), "settings_hash": replace(config, seed=0).hash(),  # what its seeds share
        "iterations": config.iterations, "trained_with": config.table,
    }  # fmt: skip


def evaluate(variant, profile, seed=0, device=None, generator=None, devices=1, nodes=1):
    """Measure a row on all test faces and write its metrics; returns them.

    devices     how many processes share the faces on each of `nodes` machines: the file is the same, and the first
                process alone writes and returns it
    variant     a row of Table 3, "no-edit" or "true-edit"
    generator   takes the place of the row's trained one, with its calls: G(images, att_diff, parts, attributes) and
                G.edits(images, att_diffs (B, K, 13), parts, attributes) -> (B, K, 3, S, S)

    MRE is eq. 2 in the pixel range [-1, 1] with the parser's (or true) masks and the table "paper", whatever
    the row was trained with. Beside the JSON, an npz keeps the feature statistics that FID needs, another what was
    measured of every face; where clean-fid is not installed FID is left out, and `add_fid` fills it in elsewhere.
    Only "wall_seconds" and "peak_memory_mb" differ between two calls. Raises MagganError if the row or the judges
    are not trained.
    """
    fabric = launch(device, devices, nodes)
    device, about = fabric.device, {}
    torch.set_float32_matmul_precision("highest")  # whatever a training in this process has set
    if generator is None:
        generator, about = load_row(variant, profile, seed, device)
    started = time.monotonic()
    with fabric.rank_zero_first():  # it prepares the faces if nobody has
        faces, judges = open_faces(profile, "test"), load_judges(profile, device)
        truths = true_counterfactuals(profile, device) if source_of(profile).true_edits else None
        styles = styled_counterfactuals(profile, device) if truths is not None else None
        references = rulers.references(profile, judges.features, truths, device)
    shares = gathered(fabric, measure_faces(variant, generator, faces, judges, (truths, styles), fabric))
    if not fabric.is_global_zero:
        return None
    taken, features, edit_seconds = joined(variant, [batch for share in shares for batch in share])
    if variant == "true-edit":  # it edits, it does not reconstruct
        taken = {key: value for key, value in taken.items() if key not in RECONSTRUCTION}
    result = {
        "row": variant, "profile": profile.name, "seed": seed, "size": profile.size, "table": "paper",
        "device": "cuda" if device.type == "cuda" else f"cpu, {torch.get_num_threads()} thread(s)",
        "versions": {name: version(name) for name in ("torch", "torchvision", "numpy")},
        "faces": len(taken["attributes"]), **about, **summaries.summarise(taken),
        "cost": cost(generator, faces, device),
        "notes": [profile.note] if profile.note else [],
    }  # fmt: skip
    if references is not None:
        compared = rulers.by_attribute(features["edits"], taken["attributes"], references)
        result["metrics"] |= compared[0]
        for name, entries in compared[1].items():
            result["per_attribute"][name] |= entries
        result["left_out"] = compared[2]
    training = training_took(profile, variant, seed)
    seconds = {"train": training.get("seconds"), "evaluate": round(time.monotonic() - started, 1), "edit": edit_seconds}
    file = paths.metrics_file(variant, profile, seed)
    summaries.write_statistics(file.with_suffix(".npz"), features, references and references.true)
    write_faces(faces_file(file), taken, faces.names[: result["faces"]])
    summaries.write(file, {**result, "wall_seconds": seconds, "peak_memory_mb": training.get("peak_memory_mb")})
    return add_fid(file)


def training_took(profile, variant, seed):
    """What training took, where that is known."""
    file = paths.run_folder(profile, variant, seed) / "run.json"
    return json.loads(file.read_text()) if file.exists() else {}


def cost(generator, faces, device):
    """The generator's parameters, and multiply-adds of one edit of one face; of no generator, 0."""
    if not isinstance(generator, torch.nn.Module):
        return {"parameters": 0, "multiply_adds": 0}
    images, parts, attributes = faces.batch([0], device)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        generator(images, torch.zeros_like(attributes), parts, attributes)
    parameters = sum(parameter.numel() for parameter in generator.parameters())
    return {"parameters": parameters, "multiply_adds": counter.get_total_flops() // 2}


@torch.inference_mode()
def measure_faces(variant, generator, faces, judges, truths, fabric):
    """Measure this process's batches of faces: a list of `Measured`.

    `truths` are the first faces' true counterfactuals (n, 13, 3, S, S) uint8, or None, and those in other styles, or
    None. The row "true-edit" has them for its edits, and only the faces that have them are measured.
    """
    truths, styles = truths
    judges = judges._replace(classifier=folded(judges.classifier), second=judges.second and folded(judges.second))
    count = len(truths) if variant == "true-edit" else len(faces)
    device, at_once, done = fabric.device, faces_at_once(faces.size), []
    # whole batches, so that a face meets the same others, and is rounded alike, whatever the number of processes
    starts = range(0, count, at_once)[fabric.global_rank :: fabric.world_size]
    for start in progress(starts, f"evaluate {variant}", unit="batches"):
        stop = min(start + at_once, count)
        batch, seconds = faces.batch(range(start, stop), device), []
        truth = None if truths is None else from_levels(truths[start:stop].to(device))
        if variant == "true-edit":
            plain = truth
            measured = measure_read(batch, 1.0, plain, plain, judges)
        else:
            few = max(0, min(stop, CURVE_FACES) - start)
            measured, plain, seconds = measure_strengths(generator, batch, few, judges, device)
            if start < REVERSED_FACES:
                some = first_of(batch, REVERSED_FACES - start)
                measured["reversibility"] = reversibility(generator, some, plain[: len(some.images)])
        measured |= measure_batch(generator, batch, plain, judges.classifier)
        if truth is not None and len(truth):
            measured |= measure_truth(first_of(batch, len(truth)), plain[: len(truth)], truth, styles, start)
            wanted = wanted_attributes(batch.attributes[: len(truth)])
            measured["effectiveness"] = metrics.all_read(measured["logits_1.0"][: len(truth)], wanted)
        features = {
            "faces": judges.features.features(batch.images),
            "edits": judges.features.features(plain.flatten(0, 1)).unflatten(0, (-1, 13)),
        }
        done.append(Measured(start, as_arrays(measured), as_arrays(features), seconds))
    return done


def first_of(batch, count):
    """The first faces of a batch."""
    return Batch(*(tensor[:count] for tensor in batch))


def as_arrays(tensors):
    """{name: tensor} as float32 arrays."""
    return {name: value.float().cpu().numpy() for name, value in tensors.items()}


def joined(variant, batches):
    """All processes' batches together: measurements (name -> (N, ...)), features (name -> (N, ...)), seconds an edit.

    Of what only the first faces have, N is their number. Raises MagganError where something is not a number.
    """
    batches = sorted(batches, key=lambda each: each.start)
    taken, features = (
        {name: np.concatenate([part[name] for part in parts if name in part]) for name in parts[0]}
        for parts in ([each.taken for each in batches], [each.features for each in batches])
    )
    for name, values in taken.items():
        if np.isnan(values).any():
            raise MagganError(f"row {variant}: {name} is not a number on some faces; its edits are broken, train anew.")
    seconds = [second for each in batches for second in each.seconds]
    return taken, features, float(f"{np.median(seconds):.3g}") if seconds else None


def faces_at_once(size):
    """How many faces of this size go through a network together, with their 13 edits."""
    return max(1, FACES_AT_ONCE * 128**2 // max(size, 128) ** 2)


def measure_strengths(generator, batch, few, judges, device):
    """MRE, accuracy and logits: ({name: (B, 13, ...)}, single flips at 1.0 (B, 13, 3, S, S), seconds an edit).

    The strengths of the curve alone are measured on the first `few` faces of the batch, if any.
    """
    measured, plain, seconds = {}, None, []
    for strength in CURVE if few else STRENGTHS:
        part = batch if strength in STRENGTHS else first_of(batch, few)
        wait_for(device)
        began = time.perf_counter()
        edits = flipped(generator, part, strength)
        wait_for(device)
        seconds.append((time.perf_counter() - began) / edits.flatten(0, 1).shape[0])
        released = released_edits(generator, part, edits, strength)
        if strength in STRENGTHS:
            measured |= measure_read(part, strength, edits, released, judges)
        else:
            measured |= measure_strength(part, strength, edits, released, judges.classifier)
        plain = edits if strength == 1.0 else plain
    return measured, plain, seconds


def flipped(generator, batch, strength):
    """The 13 single flips of each face at a strength: (B, 13, 3, S, S)."""
    images, parts, attributes = batch
    return generator.edits(images, single_flips(attributes, strength), parts, attributes)


def wait_for(device):
    """Wait until a GPU has done what it was told, so that the clock is right."""
    if str(device).startswith("cuda"):
        torch.cuda.synchronize()


def released_edits(generator, batch, plain, strength=1.0):
    """The edits of STGAN's test: the plain ones at this strength but for the few flips that release another bit."""
    images, parts, attributes = batch
    wanted = released_flips(attributes, strength)
    face, flip = (wanted != single_flips(attributes, strength)).any(dim=2).nonzero(as_tuple=True)
    edits = plain.clone()
    if len(face):
        edits[face, flip] = generator(images[face], wanted[face, flip], parts[face], attributes[face])
    return edits


def measure_strength(batch, strength, plain, released, classifier):
    """MRE of the single flips and accuracy of the released ones, both (B, 13, 3, S, S): name -> (B, 13)."""
    return of_logits(batch, strength, plain, logits_of(classifier, released))


def measure_read(batch, strength, plain, released, judges):
    """As `measure_strength`, with the judge's logits (B, 13, 13) and the second judge's accuracy, if there is one."""
    logits = logits_of(judges.classifier, released)
    measured = {**of_logits(batch, strength, plain, logits), f"logits_{strength}": logits}
    if judges.second is not None:
        success = metrics.edit_success(logits_of(judges.second, released), batch.attributes)
        measured[f"{accuracy_name(strength)}_second"] = success
    return measured


def logits_of(classifier, edits):
    """What a judge reads on edits (B, 13, 3, S, S): logits (B, 13, 13), row i those of edit i."""
    return classifier(edits.flatten(0, 1)).unflatten(0, (-1, 13))


def of_logits(batch, strength, plain, logits):
    return {
        mre_name(strength): metrics.mre_of_flips(batch.images, plain, batch.parts, batch.attributes),
        accuracy_name(strength): metrics.edit_success(logits, batch.attributes),
    }


def reversibility(generator, batch, plain):
    """Mean |G(G(x, d), -d) - x| of the 13 single flips at 1.0, plain (B, 13, 3, S, S): (B, 13).

    As in the cycle loss the source's parts guide the way back, which starts from the target's attributes.
    """
    images, parts, attributes = batch
    flips, found = single_flips(attributes), []
    for some in (slice(first, first + FLIPS_AT_ONCE) for first in range(0, flips.shape[1], FLIPS_AT_ONCE)):
        k, there = flips[:, some].shape[1], flips[:, some].flatten(0, 1)
        of_each = (parts.repeat_interleave(k, 0), attributes.repeat_interleave(k, 0) + there)
        back = generator(plain[:, some].flatten(0, 1), -there, *of_each).unflatten(0, (-1, k))
        found.append((back - images.unsqueeze(1)).abs().mean(dim=(2, 3, 4)))
    return torch.cat(found, 1)


def measure_truth(batch, plain, truth, styles, start):
    """What is measured against the true edits, (B, 13, 3, S, S) as the edits are: name -> (B, 13).

    Distances to the nearest true edit are of the faces, the first of which has number `start`, that have styles.
    """
    images, parts, attributes = batch
    source, preserved = images.unsqueeze(1).expand_as(plain), metrics.preserved_of_flips(parts, attributes)
    found = {
        "truth_distance": (plain - truth).abs().mean(dim=(2, 3, 4)),
        "no_edit_distance": (source - truth).abs().mean(dim=(2, 3, 4)),
        "minimality": metrics.change_where_kept(images, plain, truth),
    }
    for name, edits in (("", plain), ("_blended", blend(source, plain, preserved))):
        excess, weight = metrics.seam_excess(images, edits, truth, preserved)
        found |= {f"seam_excess{name}": excess, f"seam_weight{name}": weight}
    if styles is not None and (n := min(len(styles.row) - start, len(images))) > 0:
        for name, edits in (("truth_distance", plain), ("no_edit_distance", source)):
            found[f"{name}_nearest"] = styles.distance(edits[:n], start, found[name][:n])
    return found


def measure_batch(generator, batch, plain, classifier):
    """What is measured once on a batch: name -> (B,) or (B, 13); plain (B, 13, 3, S, S), the single flips at 1.0."""
    images, parts, attributes = batch
    preserved = metrics.preserved_of_flips(parts, attributes)
    source = images.unsqueeze(1).expand_as(plain)
    blended = blend(source, plain, preserved)
    reconstructed = generator(images, torch.zeros_like(attributes), parts, attributes)
    labels, logits = attributes > 0.5, classifier(images)
    return {
        "attributes": attributes,
        "logits_of_faces": logits,
        "hat": parts[:, PARTS.index("hat")].mean(dim=(1, 2)) > HAT_SHARE,
        "change": (plain - source).abs().mean(dim=(2, 3, 4)),
        "composition": (reconstructed - images).abs().mean(dim=(1, 2, 3)),
        "mre_floor": metrics.mre_of_flips(images, reconstructed.unsqueeze(1), parts, attributes),
        "mre_blended": metrics.mre_of_flips(images, blended, parts, attributes),
        "seam": metrics.rim_energy(plain, preserved),
        "seam_blended": metrics.rim_energy(blended, preserved),
        "seam_of_source": metrics.rim_energy(source, preserved),
        "judge_on_faces": (logits > 0) == labels,
        "judge_on_reconstructions": (classifier(reconstructed) > 0) == labels,
        "psnr": metrics.psnr(images, reconstructed),
        "ssim": metrics.ssim(images, reconstructed),
    }
