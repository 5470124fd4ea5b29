"""The networks that judge edits: an attribute classifier for accuracy, a feature network for FID, a second opinion.

All learn the 13 attributes from the profile's training faces, none of them a test face. On drawn worlds some
of those are decorrelated, for a judge of correlated faces reads the correlation and fails on single flips; its
accuracy on true counterfactuals, the ceiling of every editing accuracy, is reported too. The second classifier has
another shape, another seed and other augmentations: what both read on an edit is hardly a quirk of one.
`python -m maggan.judges PROFILE` trains what is missing of them.
"""

import hashlib
import json
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .. import weights
from ..attributes import ATTRIBUTES
from ..basics import paths
from ..basics.errors import MagganError
from ..basics.images import from_levels
from ..basics.parallel import keep_freed_memory
from ..basics.weights import read_metadata
from ..data import open_faces, source_of
from ..data.augment import augmented, roughened
from ..networks.judges import SmallFeatures, judge_of
from ..stages import code_of
from .fitting import BATCH, fit
from .truths import true_counterfactuals

LARGEST_SEEN = 512  # pixels: faces to learn from need not be larger, for judges look at 128 or 299 px of them
SECOND_WIDTH = 24  # of the second classifier


class Judges(NamedTuple):
    """Two classifiers, images -> logits (B, 13), and the feature network with `.features(images)` -> (B, D)."""

    classifier: nn.Module
    features: nn.Module
    second: nn.Module | None = None


def seen(profile):
    """The profile at the size that its judges learn from."""
    return replace(profile, size=min(profile.size, LARGEST_SEEN))


def load_judges(profile, device="cpu"):
    """The trained judges of a profile, in eval mode; MagganError with the command if there are none."""
    judges = []
    for name in Judges._fields:
        file = paths.judges_folder(profile) / f"{name}.safetensors"
        if not file.exists():
            raise MagganError(f"{file} is not there; train the judges: python -m maggan.judges {profile.name}")
        judges.append(weights.load(file, device).to(memory_format=torch.channels_last))
    return Judges(*judges)


def folded(network):
    """A copy of a judge in eval mode that computes the same faster: batch norms folded into the convolutions before.

    Only inside `nn.Sequential`, whose order is that of the computation; logits differ by rounding.
    """
    network = deepcopy(network)
    for sequence in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        names = list(sequence._modules)
        for name, after in zip(names, names[1:], strict=False):
            layer, norm = sequence._modules[name], sequence._modules[after]
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                sequence._modules[name], sequence._modules[after] = fuse_conv_bn_eval(layer, norm), nn.Identity()
    for module in network.modules():
        if isinstance(module, nn.ReLU | nn.LeakyReLU):
            module.inplace = True  # nobody needs what went in
    return network


@torch.no_grad()
def right_on_faces(network, faces, device="cpu"):
    """Whether each attribute of each face is read right: (N, 13) bool."""
    network.eval()
    rows = []
    for numbers in torch.arange(len(faces)).split(BATCH):
        batch = faces.batch(numbers, device, parts=False)
        rows.append(((network(batch.images) > 0) == (batch.attributes > 0.5)).cpu())
    return torch.cat(rows)


@torch.no_grad()
def right_on_counterfactuals(network, truths, attributes, device="cpu"):
    """Whether the flipped attribute is read right on each true counterfactual: (n, 13) bool."""
    network.eval()
    rows = []
    for truth, labels in zip(truths, attributes, strict=False):  # (13, 3, S, S) uint8, (13,)
        read = network(from_levels(truth.to(device))).diagonal() > 0
        rows.append(read.cpu() != (labels > 0))
    return torch.stack(rows)


def train_judges(profile, device=None):
    """Train the judges that are missing, or go on from the last epoch, and report all; finished ones return at once.

    Writes runs/<profile>/judges/{classifier,features,second}.safetensors and results/<profile>/metrics/judges.json:
    accuracy per attribute on validation and test faces and, on drawn worlds, on true counterfactuals.
    Returns the report.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cpu":
        keep_freed_memory()
    folder, faces = paths.judges_folder(profile), open_faces(seen(profile), "train")
    settings = [profile.judge_epochs, profile.judge_width, profile.features]
    learnt = hashed(code_of("fit", profile.world), faces.identity, *settings)
    codes = {name: learnt for name in Judges._fields} | {"second": hashed(learnt, SECOND_WIDTH)}
    code = hashed(code_of("judges", profile.world), *codes.values())
    report_file = paths.judges_file(profile)
    files = {name: folder / f"{name}.safetensors" for name in Judges._fields}
    done = json.loads(report_file.read_text()) if report_file.exists() else {}
    if done.get("code") == code and all(trained(file, codes[name]) for name, file in files.items()):
        print(f"the judges of {profile.name} are finished")
        return done
    took = {}
    report = {"profile": profile.name, "code": code, "epochs": profile.judge_epochs, "faces": len(faces)}
    for name, file in files.items():
        if not trained(file, codes[name]):
            network, seed, augment = untrained(name, profile)
            seconds = fit(name, network, faces, profile.judge_epochs, folder, codes[name], device, seed=seed,
                          augment=augment)  # fmt: skip
            weights.save(file, network, profile=profile.name, code=codes[name], judge=name, seconds=round(seconds, 1))
            (folder / f"{name}.pt").unlink()
        network = weights.load(file, device).to(memory_format=torch.channels_last)
        took[name] = read_metadata(file)["seconds"]
        report[name] = {**described(network), **accuracies(network, profile, device)}
    report["wall_seconds"] = took
    paths.write_text(report_file, json.dumps(report, indent=1, sort_keys=True) + "\n")
    return report


def untrained(name, profile):
    """A judge as its training starts: (network, seed, what it sees of faces)."""
    seed = 1 if name == "second" else 0
    torch.manual_seed(seed)
    if name == "second":
        return SmallFeatures(profile.size, SECOND_WIDTH), seed, roughened
    return judge_of(name, profile), seed, augmented


def hashed(*values):
    """JSON values as one short text that changes with any of them."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def trained(file, code):
    """Whether the weights that this code, these faces and settings lead to are there."""
    return file.exists() and read_metadata(file).get("code") == code


def described(network):
    """What a reader needs to know of the network itself."""
    count = sum(parameter.numel() for parameter in network.parameters())
    return {"network": type(network).__name__, "parameters": count, "dimensions": getattr(network, "dimensions", None)}


def accuracies(network, profile, device):
    """Accuracy on validation and test faces and, on drawn worlds, on true counterfactuals."""
    test = open_faces(seen(profile), "test")
    right = {
        "validation": right_on_faces(network, open_faces(seen(profile), "validation"), device),
        "test": right_on_faces(network, test, device),
    }
    if source_of(profile).true_edits:
        truths = true_counterfactuals(profile, device)
        right["counterfactuals"] = right_on_counterfactuals(network, truths, test.attributes, device)
    return {where: accuracy_table(rows) for where, rows in right.items()}


def accuracy_table(right):
    """Mean and per-attribute accuracy of (N, 13) booleans."""
    each = {name: round(value, 4) for name, value in zip(ATTRIBUTES, right.float().mean(0).tolist(), strict=True)}
    return {"mean": round(right.float().mean().item(), 5), "faces": len(right), "per_attribute": each}
