"""What a row trains: the networks of its system, how they start, and one iteration."""

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from . import fadernet, icgan, steps
from .fadernet import FaderNet, LatentDiscriminator
from .icgan import ConditionalDiscriminator, IcGAN
from .multilevel import discriminator
from .networks import Generator
from .networks import initialise as xavier
from .peers import AttGAN, PatchCritic, StarGAN


def as_built(module):
    """PyTorch's own start."""


class System(NamedTuple):
    """Networks are built from a Config; `step` takes a Run and returns loss parts."""

    generator: type[nn.Module]
    discriminator: Callable
    step: Callable
    initialise: Callable  # applied to every module of both
    g_methods: tuple  # called beside forward while training
    d_methods: tuple
    batches: int | None = None  # how many batches an iteration takes; None: `critic_steps`


WITH_CRITIC = ("edit_and_reconstruct",), ("critic",)
SYSTEMS = {
    "stgan": System(Generator, discriminator, steps.step, xavier, *WITH_CRITIC),
    "attgan": System(AttGAN, discriminator, steps.step, xavier, *WITH_CRITIC),
    "stargan": System(StarGAN, PatchCritic, steps.step, as_built, *WITH_CRITIC),
    "fadernet": System(FaderNet, LatentDiscriminator, fadernet.step, as_built, ("encode", "decode"), (), 2),
    "icgan": System(IcGAN, ConditionalDiscriminator, icgan.step, icgan.initialise, ("generate", "read"), (), 1),
}


def build_generator(config):
    """The untrained generator of a Config."""
    return SYSTEMS[config.system].generator(config)
