"""Profiles: where the faces come from, their size, and how long to train. Nothing else depends on one."""

from dataclasses import dataclass

from .basics.errors import nearest


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the networks and the training of a profile are; every row's `Config` has the same.

    `width` is the generator's first level, `levels` the number of stride-2 convolutions, `max_width` the cap on
    channels.
    """

    size: int = 64  # pixels
    width: int = 64
    levels: int = 5
    max_width: int = 1024
    critic_width: int = 64
    critic_levels: int = 1  # P of eq. 14; 1 is a single discriminator of the whole
    head_width: int = 1024
    batch: int = 32
    iterations: int = 189_400  # generator steps
    attribute_steps: int = 2000  # of D_att, where the recipe trains it ahead of the rows
    # the device: how it is computed, not what
    precision: str = "32"  # or "bf16": forward passes in bfloat16 where the device has it; penalty and losses never
    recompute: bool = False  # G's activations in the backward pass instead of keeping them
    fused: bool = False  # one kernel for all of an optimiser's step


@dataclass(frozen=True, kw_only=True)
class Profile(Scale):
    """One world at one size. The numbers of faces are those of drawn worlds; photos are all used."""

    name: str
    world: str  # where the faces come from: a name in `data.SOURCES`, "drawn" or "celeba"
    recipe: str  # the key of RECIPES in variants.py
    critic_base: int = 32  # pixels that each of several discriminators sees (eq. 14)
    train_faces: int | None = None
    decorrelated_faces: int | None = None  # more training faces, drawn worlds only
    validation_faces: int | None = None
    test_faces: int | None = None
    judge_width: int = 16
    judge_epochs: int = 25
    features: str = "inception"  # the network behind FID: "inception" (2048-d) or "small"
    sample_every: int = 1000
    snapshots: int = 10  # how many weights of the generator a run keeps on its way, for curves over training
    alone: bool = False  # compared with no other size
    note: str = ""


def _drawn(size, **changes):
    numbers = dict(train_faces=20_000, decorrelated_faces=10_000, validation_faces=637, test_faces=2_000)
    return Profile(**{"name": f"drawn{size}", "world": "drawn", "size": size, **_gpu(size), **numbers, **changes})


def _celeba(size, **changes):
    return Profile(**{"name": f"celeba{size}", "world": "celeba", "size": size, **_gpu(size), **changes})


def _gpu(size):
    """The paper's widths and STGAN's schedule: 200 epochs of 947 generator steps; smaller batches above 128.

    From 512 px up a single discriminator of the whole would need up to 2.2 billion parameters, so there are several
    (section 3.4).
    """
    batch = 32 if size <= 128 else 16 if size == 256 else 8
    several = dict(critic_base={32: 16, 64: 32, 128: 64}.get(size, 256), critic_levels={512: 2, 1024: 3}.get(size, 1))
    device = dict(precision="bf16", recompute=size >= 512, fused=True)
    return dict(recipe="stgan", iterations=189_400 * 32 // batch, batch=batch, judge_width=16, **several, **device)


# Networks and faces that a few minutes on two CPU cores can train on.
_SMALL = dict(
    recipe="small", width=16, levels=4, max_width=128, critic_width=32, head_width=256, batch=8,
    features="small", sample_every=200, precision="32", fused=False,
)  # fmt: skip
_FACES_OF_64 = dict(
    train_faces=6_000, decorrelated_faces=6_000, validation_faces=256, test_faces=600, judge_epochs=5, iterations=2000
)

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(**_SMALL | dict(
            name="smoke", world="drawn", size=32, width=8, levels=3, critic_width=8, head_width=16, batch=4,
            critic_base=16, iterations=8, attribute_steps=4, sample_every=4, snapshots=2, train_faces=64,
            decorrelated_faces=32, validation_faces=16, test_faces=16, judge_width=4, judge_epochs=1, alone=True,
            note="not a result",
        )),
        Profile(**_SMALL | dict(
            name="quick", world="drawn", size=32, levels=3, critic_base=16, iterations=800, attribute_steps=600,
            train_faces=2_000, decorrelated_faces=2_000, validation_faces=64, test_faces=150, judge_epochs=5,
            alone=True, note="a quick look at 32 px; the reference is drawn64",
        )),
        _drawn(32, **_SMALL, **_FACES_OF_64, note="the half size of drawn64, for Table 1"),
        _drawn(64, **_SMALL, **_FACES_OF_64),
        _drawn(128, **_SMALL | dict(
            name="drawn128small", critic_base=32, iterations=1300, train_faces=4_000, decorrelated_faces=4_000,
            validation_faces=128, test_faces=300, judge_epochs=4,
            note="128 px for 2 CPU cores: small networks, half the iterations of drawn64",
        )),
        _drawn(128, iterations=40_000),
        _drawn(256, iterations=80_000),
        _drawn(512, iterations=80_000),
        _drawn(1024, iterations=80_000),
        _celeba(32, **_SMALL, iterations=4000, note="the half size of celeba64, for Table 1"),
        _celeba(64, **_SMALL, iterations=4000),
        _celeba(128),
        _celeba(256),
        _celeba(512),
        _celeba(1024),
    )
}  # fmt: skip


def profile(name):
    """The profile called `name`; MagganError with the nearest right name if there is none."""
    if name not in PROFILES:
        raise nearest(name, list(PROFILES), "profile")
    return PROFILES[name]


def resized(at, factor):
    """The profile of the same world at `factor` times the size, of the same recipe if there is one, or None."""
    if factor == 1:
        return at
    there = [each for each in PROFILES.values() if (each.world, each.size) == (at.world, factor * at.size)]
    there = [] if at.alone else [each for each in there if not each.alone]
    return min(there, key=lambda each: each.recipe != at.recipe, default=None)
