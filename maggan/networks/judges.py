"""The networks that judge edits: STGAN's evaluation classifier, and what FID's features come from."""

import math

from torch import nn
from torch.nn import functional as F
from torchvision.models import inception_v3

from ..attributes import ATTRIBUTES

CLASSIFIER_SIZE = 128  # larger faces are shrunk to it first, as the paper does (Fig. 6)


class AttributeClassifier(nn.Module):
    """The classifier of STGAN's evaluation: blocks of two 3x3 convolutions, down to 4 x 4, then 512 and 13.

    images (B, 3, S, S) in [-1, 1] -> logits (B, 13). STGAN's has five blocks of 16 to 256 channels at 128 px
    and all 40 attributes of CelebA; at 64 px it is a block shorter. Dropout is ours: STGAN's had 182,000 photos.
    """

    def __init__(self, size, width=16, dropout=0.5):
        super().__init__()
        self.built = {"size": size, "width": width}
        self.size = min(size, CLASSIFIER_SIZE)
        widths = [3] + [width * 2**i for i in range(int(math.log2(self.size)) - 2)]
        layers = [layer for a, b in zip(widths, widths[1:], strict=False) for layer in self.block(a, b)]
        self.trunk = nn.Sequential(*layers, nn.Flatten())
        flat = widths[-1] * (self.size >> (len(widths) - 1)) ** 2
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(flat, 512), nn.ReLU(), nn.Dropout(dropout), nn.Linear(512, len(ATTRIBUTES))
        )

    @staticmethod
    def block(a, b):
        """Two convolutions with batch normalisation, then half the size."""
        convolutions = ((a, b), (b, b))
        layers = [(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()) for i, o in convolutions]
        return [*layers[0], *layers[1], nn.MaxPool2d(2)]

    def forward(self, images):
        return self.head(self.trunk(resized(images, self.size)))


class SmallFeatures(nn.Module):
    """The feature network of small profiles: four stride-2 convolutions and 128 features behind the attributes."""

    dimensions = 128

    def __init__(self, size, width=24):
        super().__init__()
        self.built = {"size": size, "width": width}
        self.size = min(size, CLASSIFIER_SIZE)
        widths = [3, width, 2 * width, 4 * width, 8 * width]
        layers = [
            (nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2))
            for a, b in zip(widths, widths[1:], strict=False)
        ]
        flat = widths[-1] * (self.size // 16) ** 2
        self.trunk = nn.Sequential(*[layer for group in layers for layer in group], nn.Flatten(), nn.Dropout(0.3))
        self.hidden = nn.Linear(flat, self.dimensions)
        self.head = nn.Linear(self.dimensions, len(ATTRIBUTES))

    def features(self, images):
        """images (B, 3, S, S) in [-1, 1] -> (B, 128), what the logits are a linear function of."""
        return F.leaky_relu(self.hidden(self.trunk(resized(images, self.size))), 0.2)

    def forward(self, images):
        return self.head(self.features(images))


class InceptionFeatures(nn.Module):
    """Inception-v3 for 299 x 299, trained from scratch on the attributes as the paper's (footnote 8)."""

    dimensions = 2048

    def __init__(self, size, width=None):
        super().__init__()
        self.built = {"size": size}
        self.trunk = inception_v3(weights=None, aux_logits=False, init_weights=True)
        self.trunk.fc = nn.Identity()
        self.head = nn.Linear(self.dimensions, len(ATTRIBUTES))

    def features(self, images):
        """images (B, 3, S, S) in [-1, 1] -> (B, 2048)."""
        return self.trunk(resized(images, 299))

    def forward(self, images):
        return self.head(self.features(images))


JUDGES = {network.__name__: network for network in (AttributeClassifier, SmallFeatures, InceptionFeatures)}
FEATURES = {"small": SmallFeatures, "inception": InceptionFeatures}  # the networks behind FID, as profiles name them


def judge_of(name, profile):
    """An untrained judge, "classifier" or "features", of a profile."""
    if name == "classifier":
        return AttributeClassifier(profile.size, profile.judge_width)
    return FEATURES[profile.features](profile.size)


def resized(images, size):
    """Images at another size, antialiased; themselves if they have it."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)
