"""What a system is: its networks, one iteration of its training, and how it appears in tables and figures."""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import nn

from ..networks.layers import xavier

WITH_CRITIC = {"g_methods": ("edit_and_reconstruct",), "d_methods": ("critic",), "capturable": True}


@dataclass(frozen=True, kw_only=True)
class System:
    """One system. Networks are built from a `Config`; `step` takes a training run and returns loss parts.

    settings  where its row differs from STGAN's, the system itself included
    recipes   where it is trained differently from a recipe of `variants.RECIPES`: {recipe: {setting: value}}
    """

    name: str
    title: str
    year: int  # of publication: figures show systems in this order
    colour: str  # in every figure
    generator: type[nn.Module]
    discriminator: Callable
    step: Callable
    d_att: Callable | None = None  # D_att apart from D_adv, where the recipe trains it ahead of the rows
    initialise: Callable = xavier  # applied to every module of both
    g_methods: tuple = ()  # called beside forward while training
    d_methods: tuple = ()
    capturable: bool = False  # whether its iteration goes through `run.computed`, and so can be a CUDA graph
    part_by_part: bool = False  # whether an iteration leaves out part of a network, for several processes to know
    batches: int | None = None  # how many batches an iteration takes; None: `critic_steps`
    settings: dict = field(default_factory=dict)
    recipes: dict = field(default_factory=dict)


def as_built(module):
    """PyTorch's own start, for `System.initialise`."""
