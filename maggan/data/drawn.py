"""The drawn world: faces by seed, exact masks, and for every edit the face that it ought to be."""

import torch

from ..basics.images import to_levels
from ..drawnfaces import draw, draw_flipped
from ..drawnfaces.latents import sample
from ..stages import code_of
from .source import Source

FIRST_SEED = {"train": 0, "validation": 10_000_000, "test": 20_000_000, "decorrelated": 30_000_000}


class DrawnSource(Source):
    """Drawn faces of one split, by seed.

    The training faces end in decorrelated ones. With CelebA's rates alone, the short runs of the small
    profiles would hardly meet Bald or Mustache, and a judge would read a beard off the man who wears it.
    """

    world = "drawn"
    true_edits = True
    made_on_device = True

    def __init__(self, profile, split):
        self.size = profile.size
        self.seeds = [FIRST_SEED[split] + i for i in range(getattr(profile, f"{split}_faces"))]
        if split == "train":
            self.seeds += [FIRST_SEED["decorrelated"] + i for i in range(profile.decorrelated_faces)]
        self.names = [f"drawn-{seed:08d}" for seed in self.seeds]

    def identity(self):
        return {"drawn": code_of("source", self.world), "faces": len(self.seeds), "size": self.size}

    def load(self, indices, device="cpu"):
        """These faces as uint8 images, uint8 parts and uint8 attributes, drawn on `device`."""
        loaded, where = [], []
        for decorrelated in (False, True):
            some = [i for i in indices if (self.seeds[i] >= FIRST_SEED["decorrelated"]) == decorrelated]
            if some:
                drawn = draw([self.seeds[i] for i in some], self.size, decorrelated, device)
                images, parts = to_levels(drawn.images * 0.5 + 0.5), to_levels(drawn.parts)
                loaded.append((images, parts, drawn.attributes.to(torch.uint8)))
                where += some
        back = torch.tensor([where.index(i) for i in indices], device=device)
        return tuple(torch.cat(column)[back] for column in zip(*loaded, strict=True))

    def attributes(self):
        """The attributes of all faces: (N, 13) uint8."""
        seeds = torch.tensor(self.seeds)
        each = [sample(some, decorrelated)[0] for decorrelated in (False, True)
                if len(some := seeds[(seeds >= FIRST_SEED["decorrelated"]) == decorrelated])]  # fmt: skip
        return torch.cat(each).to(torch.uint8)

    def flipped(self, indices, attribute, device="cpu"):
        """The true counterfactuals of these faces, none of them decorrelated: (B, 3, S, S) uint8."""
        drawn = draw_flipped([self.seeds[i] for i in indices], self.size, attribute, device=device)
        return to_levels(drawn.images * 0.5 + 0.5)

    @staticmethod
    def wearing(names):
        """Which of the faces with these names wear a hat or scarf, (B,) bool, as their own latents say."""
        _, latents = sample(torch.tensor([int(name.removeprefix("drawn-")) for name in names]))
        return latents["hat"] + latents["scarf"] > 0


SOURCE = DrawnSource
