"""Edit a picture with a trained row: `Editor.load(path).edit(image, {"Blond_Hair": +1})`."""

import torch
from PIL import Image
from torchvision.transforms.v2 import functional as transforms

from .attributes import ATTRIBUTES, attribute_index
from .checkpoints import load_generator
from .errors import MagganError
from .regions import blend, preserved_mask


class Editor:
    """A trained generator that takes and gives PIL images."""

    def __init__(self, generator, config, parser=None, device="cpu"):
        self.generator, self.config, self.parser, self.device = generator, config, parser, device

    @classmethod
    def load(cls, path, parser=None, device="cpu"):
        """The editor of a weights file or a run folder; `parser` is a face parser's weights file, for photos."""
        generator, config = load_generator(path, device)
        if parser is not None:
            from .parser import load_parser

            parser = load_parser(parser, device)
        return cls(generator, config, parser, device)

    def edit(self, image, changes, strength=1.0, parts=None, attributes=None, blending=False):
        """Edit one aligned face.

        image       a PIL image; its middle square is taken, at the size the row was trained at
        changes     {attribute: +1 to strengthen, -1 to weaken}; other attributes stay
        strength    multiplies the changes
        parts       (19, S, S) masks of the image, in [0, 1]; without them the editor's parser makes them
        attributes  (13,) 0 or 1, what the image has, for a peer system that is told the target's attributes
        blending    take the source where it is to be preserved (eq. 13)

        Returns a PIL image of the row's size. Raises MagganError for an unknown attribute, and where a row
        that is guided by masks has neither parts nor a parser.
        """
        size = self.config.size
        side = min(image.size)
        square = transforms.center_crop(image.convert("RGB"), [side, side])
        square = transforms.resize(square, [size, size], transforms.InterpolationMode.BICUBIC, antialias=True)
        pixels = transforms.pil_to_tensor(square).to(self.device).unsqueeze(0)  # (1, 3, S, S) uint8
        att_diff = torch.zeros(1, len(ATTRIBUTES), device=self.device)
        for name, change in changes.items():
            att_diff[0, attribute_index(name)] = change * strength
        images = pixels.float() / 127.5 - 1
        masks = self._masks(pixels, parts, blending)
        had = None if attributes is None else torch.as_tensor(attributes).float().to(self.device).unsqueeze(0)
        with torch.inference_mode():
            edited = self.generator(images, att_diff, masks, had)
            if blending:
                edited = blend(images, edited, preserved_mask(masks, att_diff, self.config.table))
        levels = ((edited[0] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu()
        return Image.fromarray(levels.permute(1, 2, 0).numpy())

    def _masks(self, pixels, parts, blending):
        """The image's masks at its size, (1, 19, S, S), or None where nothing looks at them."""
        if parts is not None:
            return parts.unsqueeze(0).to(self.device)
        if self.parser is not None:
            from .parser import parse

            return parse(self.parser, pixels, size=pixels.shape[-1])
        if blending or (self.config.conditioning == "mask" and self.config.masks == "given"):
            raise MagganError(
                f"row {self.config.variant} is guided by masks: pass parts=..., or load the editor with a parser: "
                "Editor.load(path, parser='parser.safetensors')"
            )
        return None
