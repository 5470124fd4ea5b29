"""The true edits of a drawn world's test faces, drawn once and kept: the one of each flip, and others as good."""

from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ..attributes import ATTRIBUTES
from ..basics import paths
from ..basics.images import from_levels, to_levels
from ..basics.progress import progress
from ..data import source, source_of
from ..data.drawn import DrawnSource
from ..drawnfaces.latents import flip, sample
from ..drawnfaces.styles import draw_restyled, has_choice
from ..networks.judges import CLASSIFIER_SIZE
from ..stages import code_of

COUNTERFACTUALS = 300  # test faces whose 13 true counterfactuals are drawn; fewer above 128 px
STYLED = 150  # test faces, at 64 px, whose true counterfactuals are drawn in other styles too; fewer above
STYLES = 5  # other ones of each
BATCH = 64


def true_counterfactuals(profile, device="cpu"):
    """The 13 true counterfactuals of the first test faces of a drawn world, drawn once: (n, 13, 3, S, S) uint8.

    n is 300, less above 128 px, and at most the number of test faces; `device` draws them.
    """
    n = min(profile.test_faces, max(32, COUNTERFACTUALS * CLASSIFIER_SIZE**2 // max(profile.size, 128) ** 2))
    file = paths.faces_folder(profile) / "counterfactuals.safetensors"
    made_of = {"drawn": code_of("source", profile.world), "faces": str(n), "size": str(profile.size)}
    if file.exists():
        with safe_open(file, "pt") as stored:
            if stored.metadata() == made_of:
                return load_file(file)["images"]  # memory-mapped
    faces = source(profile, "test")
    images = torch.empty(n, len(ATTRIBUTES), 3, profile.size, profile.size, dtype=torch.uint8)
    jobs = [(k, start) for k in range(len(ATTRIBUTES)) for start in range(0, n, BATCH)]
    for k, start in progress(jobs, f"{profile.name} true counterfactuals", unit="batches"):
        some = range(start, min(start + BATCH, n))
        images[start : start + BATCH, k] = faces.flipped(some, ATTRIBUTES[k], device).cpu()
    with paths.replacing(file) as partial:
        save_file({"images": images}, partial, metadata=made_of)
    return images


class Styles(NamedTuple):
    """True counterfactuals in other styles, of the first n test faces, for the flips that leave a choice.

    images  (M, 5, 3, S, S) uint8
    row     (n, 13) int64: which of the M a face and flip has, -1 where there is no choice
    """

    images: torch.Tensor
    row: torch.Tensor

    def distance(self, images, first, nearest):
        """The smaller of `nearest` and the mean |difference| to each other style: (B, 13), pixel range [-1, 1].

        images (B, 13, 3, S, S), of the faces from number `first` on; nearest (B, 13), the distance to the one true
        edit. B is at most the number of faces left.
        """
        row = self.row[first : first + len(images)]
        face, which = (row >= 0).nonzero(as_tuple=True)
        nearest = nearest.clone()
        if len(face):
            others = from_levels(self.images[row[face, which]].to(images.device))  # (m, 5, 3, S, S)
            face, which = face.to(images.device), which.to(images.device)
            each = (images[face, which].unsqueeze(1) - others).abs().mean(dim=(2, 3, 4))
            nearest[face, which] = nearest[face, which].minimum(each.amin(1))
        return nearest


def styled_counterfactuals(profile, device="cpu"):
    """The true counterfactuals of the first test faces in other styles, drawn once: Styles, or None.

    Faces are redrawn with latents that the source does not show drawn again (`drawnfaces.styles`). None where the
    world has no styles: photos, and worlds that show drawn faces in a way of their own. n is 150 at 64 px, at least 12
    and at most the number of test faces.
    """
    if source_of(profile) is not DrawnSource:
        return None
    faces = source(profile, "test")
    n = min(profile.test_faces, max(12, STYLED * 64**2 // max(profile.size, 64) ** 2))
    file = paths.faces_folder(profile) / "styles.safetensors"
    made_of = {"drawn": code_of("truths", profile.world), "faces": str(n), "styles": str(STYLES)}
    made_of["size"] = str(profile.size)
    if file.exists():
        with safe_open(file, "pt") as stored:
            if stored.metadata() == made_of:
                return Styles(**load_file(file))  # memory-mapped
    seeds = torch.tensor(faces.seeds[:n])
    attributes, latents = sample(seeds)
    choice = torch.stack([has_choice(attributes, latents, name) for name in ATTRIBUTES], 1)  # (n, 13)
    row = torch.where(choice, choice.flatten().cumsum(0).view(n, 13) - 1, -1)
    images = torch.empty(int(choice.sum()), STYLES, 3, profile.size, profile.size, dtype=torch.uint8)
    jobs = [(k, style, some) for k in range(13) for style in range(STYLES)
            for some in choice[:, k].nonzero().flatten().split(BATCH)]  # fmt: skip
    for k, style, some in progress(jobs, f"{profile.name} true counterfactuals in other styles", unit="batches"):
        if len(some):
            drawn = draw_restyled(seeds[some], profile.size, k, style + 1, device)
            images[row[some, k], style] = to_levels(drawn.images * 0.5 + 0.5).cpu()
    with paths.replacing(file) as partial:
        save_file({"images": images, "row": row}, partial, metadata=made_of)
    return Styles(images, row)


def wanted_attributes(attributes):
    """The attributes (B, 13, 13) that the true edits of the 13 flips have, row i those of flip i, of (B, 13)."""
    return torch.stack([flip(attributes, k) for k in range(len(ATTRIBUTES))], 1)
