"""CelebA's world: photos with their stored masks, by file name."""

import hashlib

import torch

from ..basics import paths
from ..basics.errors import MagganError
from ..basics.images import to_levels
from ..celeba.reader import CelebA, celeba_folder, crop_notes
from ..masks.store import MASK_SIZE, MaskStore
from ..stages import code_of
from .source import Source


class CelebASource(Source):
    """CelebA photos of one split with their stored masks, by file name."""

    world = "celeba"
    needs = " CELEBA=folder"
    people = True

    def __init__(self, profile, split):
        self.size = profile.size
        self.celeba = CelebA.open(celeba_folder())
        masks = paths.mask_folder()
        self.store = MaskStore.open(masks)
        crop = crop_notes(self.celeba.photo_size)
        if self.store.notes.get("crop", crop) != crop:  # the names are the same for photos of either kind
            raise MagganError(
                f"{masks}: its masks are of photos with another crop than those in {self.celeba.folder}; build "
                f"others: make masks CELEBA={self.celeba.folder} MASKS=another-folder"
            )
        with_masks = set(self.store.names())
        every = self.celeba.names(split)
        self.names = [name for name in every if name in with_masks]
        missing = set(every) - with_masks - set(self.store.left_out)
        if missing:
            raise MagganError(
                f"{masks}: {len(missing)} of {len(every)} {split} photos have no mask, {min(missing)} for one; "
                f"build the missing ones: rm -f {masks}/.ready, then make masks CELEBA={celeba_folder()}"
            )

    def identity(self):
        labels = self.celeba.attributes(self.names).numpy().tobytes()
        faces = hashlib.sha256("\n".join(self.names).encode() + labels).hexdigest()
        return {"faces": faces, "size": self.size, "masks": self.store.notes, "code": code_of("source", self.world)}

    def load(self, indices, device="cpu"):
        """These photos as uint8 images, uint8 parts (at most 256 px) and uint8 attributes, on the CPU.

        Masks of larger faces are enlarged on the device.
        """
        names = [self.names[i] for i in indices]
        images = torch.stack([self.celeba.face(name, self.size) for name in names])
        parts = torch.stack([self.store.sized(name, min(self.size, MASK_SIZE)) for name in names])
        return images, to_levels(parts), self.celeba.attributes(names)

    def attributes(self):
        """The attributes of all photos: (N, 13) uint8."""
        return self.celeba.attributes(self.names)


SOURCE = CelebASource
