"""Edit a picture with a trained row: `Editor.load(path).edit(image, {"Blond_Hair": +1})`."""

from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torchvision.transforms.v2 import functional as transforms

from ..attributes import ATTRIBUTES, CONFLICTS, attribute_index
from ..basics.errors import MagganError, nearest
from ..basics.images import as_picture, from_levels
from ..data import SOURCES
from ..networks.generator import EditingNetwork
from ..parser import load_parser, parse
from ..regions import blend, preserved_mask
from ..weights import load, world_of
from .arguments import checked
from .photo import cut_face, find_eyes, paste, upside_down

UPSIDE_DOWN = (
    "These eyes turn the face by more than a right angle: if it is not that far turned, they are the wrong way round, "
    "and the one on the left of the upright face goes first."
)


class PhotoEdit(NamedTuple):
    """An edited photo, and what it came of."""

    result: Image.Image  # the full photo with the edit in it; the photo itself where nothing was wanted
    mask: Image.Image  # "L": above 0 where it may differ from the photo
    face: Image.Image  # the aligned square
    edited: Image.Image  # its edit; `face` itself where nothing was wanted
    parts: torch.Tensor | None  # the square's masks (19, S, S), if the row or the blending looks at them
    said: list  # sentences on what was done beside what was asked


class Editor:
    """A trained generator that takes and gives PIL images."""

    def __init__(self, generator, parser=None, device="cpu", classifier=None):
        self.generator, self.config, self.parser, self.device = generator, generator.config, parser, device
        self.classifier = classifier
        world = world_of(generator)
        if world not in SOURCES:
            raise nearest(world, list(SOURCES), "world")
        self.of_photos = SOURCES[world].people

    @classmethod
    def load(cls, path, parser=None, device="cpu", classifier=None):
        """The editor of a weights file or a run folder.

        parser      a face parser's weights file, for photos; or a parser that is loaded
        classifier  the attribute classifier's; without it, the one that lies with the weights, if there is one
        Raises MagganError naming the file that is missing or damaged, and for a device that is not there.
        """
        path = Path(path).expanduser()
        _check_device(device)
        generator = load(path, device)
        if not isinstance(generator, EditingNetwork):
            raise MagganError(f"{path}: is a judge, no generator; name a run folder or its weights.safetensors.")
        if parser is not None and not isinstance(parser, torch.nn.Module):
            parser = load_parser(parser, device)
        return cls(generator, parser, device, _load_classifier(classifier, path, device))

    def edit(self, image, changes, strength=1.0, parts=None, attributes=None, blending=False, table=None):
        """Edit one aligned face.

        image       a PIL image, turned upright first; its middle square is taken, at the row's size S
        changes     {attribute: +1 to strengthen, -1 to weaken}; other attributes stay, but for what `resolved` releases
        strength    multiplies the changes, from 0 on; at 0 nothing is wanted
        parts       (19, S, S) masks of the image, in [0, 1]; without them the editor's parser makes them
        attributes  (13,) 0 or 1, what the image has; without it the classifier says, if the editor has one
        blending    take the source where it is to be preserved (eq. 13)
        table       the relation matrices to go by instead of the row's: a table's name, or a pair of (13, 19)

        Returns a PIL image of the row's size; where nothing is wanted, what the generator makes of the image. Raises
        MagganError for an unknown attribute, an argument of another kind or shape, and where a row that is guided by
        masks has neither parts nor a parser.
        """
        image, strength = checked("image", image), checked("strength", strength)
        parts, attributes = checked("parts", parts, self.config.size), checked("attributes", attributes)
        table = checked("table", self.generator.table if table is None else table)
        pixels = self._pixels(image)
        images = from_levels(pixels)
        if attributes is None and self.classifier is not None:
            attributes = self._classified(images)
        att_diff = torch.zeros(1, len(ATTRIBUTES), dtype=torch.float64)  # which any number fits
        for name, change in self.resolved(changes, attributes, strength)[0].items():
            # what is released is so at strength 1, as in STGAN's test
            att_diff[0, attribute_index(name)] = change * (strength if changes.get(name) else 1)
        att_diff = att_diff.float().to(self.device)
        masks = self._masks(pixels, parts, blending)
        had = None if attributes is None else attributes.to(self.device).unsqueeze(0)
        edited = self._generated(images, att_diff, masks, had, table)
        if blending:
            edited = blend(images, edited, preserved_mask(masks, att_diff, table))
        return as_picture(edited[0])

    def edit_photo(self, photo, changes, strength=1.0, eyes=None, blending=False, table=None):
        """Edit the face in a photo of any size.

        photo  a PIL image, turned upright first
        eyes   ((x, y), (x, y)) in its pixels, first the one on the left when the face is upright; without them they
               are looked for

        The other arguments are those of `edit`. Returns a PhotoEdit; where nothing is wanted, its result is the photo
        as it was. Raises MagganError for a model of drawn faces, where masks are needed and there is no parser, and
        where there are no eyes to be found.
        """
        if not self.of_photos:
            raise MagganError(
                "this model was trained on drawn faces and knows no photos; load one that was trained on CelebA."
            )
        photo, strength = checked("photo", photo), checked("strength", strength)
        changes, table = checked("changes", changes), checked("table", self.generator.table if table is None else table)
        if eyes is None:
            eyes = find_eyes(photo)
        face, corners = cut_face(photo, eyes, self.config.size)
        pixels, parts = self._pixels(face), None
        if self.parser is not None or blending or self._guided():
            parts = self._masks(pixels, None, blending, photo=True)[0]
        had = None if self.classifier is None else self._classified(from_levels(pixels))
        wanted, said = self.resolved(changes, had, strength)
        if upside_down(eyes):
            said = [*said, UPSIDE_DOWN]
        if not wanted:  # what the generator makes of a face is not quite the face
            return PhotoEdit(photo.copy(), Image.new("L", photo.size), face, face, parts, said)
        edited = self.edit(face, changes, strength, parts, had, blending, table)
        result, mask = paste(photo, corners, face, edited)
        return PhotoEdit(result, mask, face, edited, parts, said)

    def attributes_of(self, image):
        """What the classifier sees in an aligned face: (13,) of 0 and 1; MagganError if there is no classifier."""
        if self.classifier is None:
            raise MagganError("no attribute classifier: Editor.load(path, classifier='classifier.safetensors').")
        return self._classified(from_levels(self._pixels(checked("image", image))))

    def resolved(self, changes, attributes=None, strength=1.0):
        """The changes with what excludes each other resolved, and a sentence on each step.

        Switching a hair colour on releases the other colours, Bald releases Bangs and Bangs Bald, as in STGAN's test;
        of two that are both asked for, the one named last stays. attributes (13,) says what there is to be released;
        without it nothing is, which is said. At strength 0 nothing is wanted.
        Returns ({attribute: change}, [sentences]). Raises MagganError for an unknown attribute.
        """
        changes, attributes = checked("changes", changes), checked("attributes", attributes)
        if checked("strength", strength) == 0:
            return {}, []
        kept, said, unknown = {name: change for name, change in changes.items() if change}, [], []
        for name in reversed(list(kept)):
            if kept.get(name, 0) <= 0:
                continue
            for other in CONFLICTS.get(name, ()):
                if kept.get(other, 0) > 0:
                    del kept[other]
                    said.append(f"{name} and {other} exclude each other; {name} is done.")
                if other in kept:
                    continue
                if attributes is None:
                    unknown.append(name)
                elif attributes[ATTRIBUTES.index(other)]:
                    kept[other] = -1
                    said.append(f"{name} takes the place of {other}.")
        if unknown:
            names = " and ".join(dict.fromkeys(unknown))
            said.append(f"Nothing was released for {names}: it is not known what the face has (no classifier).")
        return kept, said

    def _pixels(self, image):
        """The middle square of an RGB image at the row's size, (1, 3, S, S) uint8."""
        side = min(image.size)
        square = transforms.center_crop(image, [side, side])
        size = [self.config.size] * 2
        square = transforms.resize(square, size, transforms.InterpolationMode.BICUBIC, antialias=True)
        return transforms.pil_to_tensor(square).to(self.device).unsqueeze(0)

    def _classified(self, images):
        with torch.inference_mode():
            return (self.classifier(images)[0] > 0).float().cpu()

    def _generated(self, images, att_diff, masks, had, table):
        """The generator's edit (1, 3, S, S), by a relation table."""
        with torch.inference_mode():
            edited = self.generator(images, att_diff, masks, had, table)
        if not edited.isfinite().all():  # it would be a black picture
            raise MagganError("such changes are too large for the network; choose numbers from -2 to 2.")
        return edited

    def _guided(self):
        """Whether the row looks at masks it is given."""
        return self.config.conditioning == "mask" and self.config.masks == "given"

    def _masks(self, pixels, parts, blending, photo=False):
        """The image's masks at its size, (1, 19, S, S), or None where nothing looks at them."""
        if parts is not None:
            return parts.unsqueeze(0).to(self.device)
        if self.parser is not None:
            return parse(self.parser, pixels, size=pixels.shape[-1])
        if blending or self._guided():
            why = f"row {self.config.variant} is guided by masks" if self._guided() else "blending looks at masks"
            raise MagganError(f"{why}: {self._mask_advice(photo)}.")
        return None

    def _mask_advice(self, photo):
        """Where masks can come from: parsers read photos alone, and of a drawn face all is known."""
        if not self.of_photos:
            return "pass those of the drawn face, parts=draw([seed], size).parts[0] (maggan.drawnfaces)"
        load = "load the editor with a parser: Editor.load(path, parser='parser.safetensors'), or --parser FILE"
        return load if photo else f"pass parts=..., or {load}"


def _check_device(device):
    """MagganError for a device that is not on this machine."""
    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, TypeError) as error:  # PyTorch without CUDA asserts
        reason = str(error).strip().split("\n")[0].split(". ")[0][:120]
        raise MagganError(f"device {device}: is not on this machine ({reason}); leave it out for the CPU.") from None


def _load_classifier(named, weights, device):
    """The classifier of a file, or of the run that the weights belong to, or None."""
    folder = weights if weights.is_dir() else weights.parent
    beside = [folder / "classifier.safetensors", folder.parent / "judges" / "classifier.safetensors"]
    file = Path(named).expanduser() if named else next((file for file in beside if file.exists()), None)
    if file is None:
        return None
    if not file.is_file():
        raise MagganError(f"{file}: no classifier here; name the one that python -m maggan.judges made.")
    network = load(file, device)
    if isinstance(network, EditingNetwork):
        raise MagganError(f"{file}: is a generator, no classifier; name the one that python -m maggan.judges made.")
    return network
