"""STGAN, and with other settings MagGAN: one generator and one discriminator with two heads, or several (eq. 14)."""

from ..networks.discriminator import AttributeNetwork, discriminator
from ..networks.generator import Generator
from . import critic
from .system import WITH_CRITIC, System

SYSTEM = System(
    name="stgan", title="STGAN", year=2019, colour="#0072b2",
    generator=Generator, discriminator=discriminator, d_att=AttributeNetwork, step=critic.step, **WITH_CRITIC,
)  # fmt: skip
