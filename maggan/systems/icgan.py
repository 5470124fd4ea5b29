"""IcGAN: a conditional GAN, and two encoders that find the noise and the attributes of a given face.

The first half of the iterations trains the GAN, the second the encoders against it: E_z on generated faces, whose
noise is known, E_y on real ones. One optimiser serves all three, though the authors' encoders had a slower one. What
the noise does not hold of a face is lost, so faces come back as other people.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..networks.generator import EditingNetwork
from ..networks.layers import C
from .system import System
from .told import on_grid

NOISE = 100
GAN_SHARE = 0.5  # of the iterations


def layers_to_4(config):
    """How many times the size is halved to 4 x 4."""
    return int(math.log2(config.size)) - 2


class IcGAN(EditingNetwork):
    """Generator and encoders; attributes are -1 and 1, those of a source what E_y reads, made definite."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        n = layers_to_4(config)
        widths = [min(config.width * 2**i, config.max_width) for i in reversed(range(n))]
        layers = [nn.ConvTranspose2d(NOISE + C, widths[0], 4, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
        for a, b in zip(widths, widths[1:], strict=False):
            layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.generator = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1), nn.Tanh())
        self.encoder_z = encoder(config, 64 * config.width, NOISE)
        self.encoder_y = encoder(config, 8 * config.width, C)

    @property
    def stride(self):
        return self.config.size

    def generate(self, noise, attributes):
        """noise (B, 100), attributes (B, C) in -1 and 1 -> images (B, 3, S, S)."""
        return self.generator(torch.cat([noise, attributes], 1)[:, :, None, None])

    def read(self, faces, others=None):
        """What E_z reads off `faces` (B, 100), and E_y off the same or `others` (B, C)."""
        return self.encoder_z(faces), self.encoder_y(faces if others is None else others)

    def encode(self, images, parts=None, attributes=None):
        self.check_size(images)
        noise, attributes = self.read(images)
        return {"noise": noise, "attributes": torch.where(attributes > 0, 1.0, -1.0)}

    def decode(self, encoded, att_diff):
        # a change starts from the side it leaves, even where E_y misread the source
        source = torch.where(att_diff == 0, encoded["attributes"], -att_diff.sign())
        return self.generate(encoded["noise"], source + 2 * att_diff)


def encoder(config, hidden, out):
    """Stride-2 convolutions of width 5 down to 4 x 4, two fully connected layers."""
    widths = [3] + [min(config.width // 2 * 2**i, config.max_width // 2) for i in range(layers_to_4(config))]
    layers = []
    for a, b in zip(widths, widths[1:], strict=False):
        layers += [nn.Conv2d(a, b, 5, 2, 2, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    layers += [nn.Flatten(), nn.Linear(16 * widths[-1], hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, out))


class ConditionalDiscriminator(nn.Module):
    """Whether a face is real and has these attributes: images (B, 3, S, S), attributes (B, C) -> logits (B,)."""

    def __init__(self, config):
        super().__init__()
        widths = [min(config.critic_width * 2**i, config.max_width) for i in range(layers_to_4(config))]
        self.first = nn.Sequential(nn.Conv2d(3, widths[0], 4, 2, 1), nn.LeakyReLU(0.2))
        layers = []
        for a, b in zip([widths[0] + C, *widths[1:]], widths[1:], strict=False):
            layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        self.rest = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4))

    def forward(self, images, attributes):
        x = self.first(images)
        return self.rest(torch.cat([x, on_grid(attributes, x)], 1)).flatten()


def step(run):
    """One iteration of the GAN, or of the encoders; the loss parts."""
    config, batch = run.config, run.batch(0)
    (G, _), (D, _), draw = run.g, run.d, run.draw(0)
    noise = run.share(torch.randn(config.batch, NOISE, generator=draw))
    y = 2 * batch.attributes - 1
    if run.iteration >= GAN_SHARE * config.iterations:
        with run.fabric.autocast():  # which fabric itself gives to `forward` alone
            with torch.no_grad():
                made = G.generate(noise, y)
            read_z, read_y = (each.float() for each in G.read(made, batch.images))
        parts = {"L_E_z": F.mse_loss(read_z, noise), "L_E_y": F.mse_loss(read_y, y)}
        return run.update("g", [lambda: (parts["L_E_z"] + parts["L_E_y"], parts)])
    with run.fabric.autocast():
        made = G.generate(noise, y).float()
    wrong = 2 * run.targets(0, draw) - 1
    d_parts = {
        "L_D_real": against(D(batch.images, y), 1),
        "L_D_fake": against(D(made.detach(), y), 0),
        "L_D_wrong": against(D(batch.images, wrong), 0),
    }
    total = d_parts["L_D_real"] + 0.5 * (d_parts["L_D_fake"] + d_parts["L_D_wrong"])
    run.update("d", [lambda: (total, d_parts)])
    D.requires_grad_(False)
    parts = {"L_G_gan": against(D(made, y), 1)}
    run.update("g", [lambda: (parts["L_G_gan"], parts)])
    D.requires_grad_(True)
    return {**d_parts, **parts}


def against(logits, truth):
    """Cross-entropy of logits (B,) to one truth for all."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth))


def initialise(module):
    """DCGAN's start: weights with a deviation of 0.02, batch norm's around 1."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


# In the small recipe its GAN would draw noise on batches of 8, and its networks are cheap enough for 32.
SYSTEM = System(
    name="icgan", title="IcGAN", year=2016, colour="#cc79a7",
    generator=IcGAN, discriminator=ConditionalDiscriminator, step=step, initialise=initialise,
    g_methods=("generate", "read"), part_by_part=True, batches=1,
    recipes={"stgan": {"batch": 64, "decay_from": 1.0}, "small": {"batch": 32, "rate_g": 5e-4, "rate_d": 5e-4}},
)  # fmt: skip
