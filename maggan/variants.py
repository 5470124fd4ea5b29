"""The rows: Table 3's, each a small diff from one base, the peer systems, and more of our own; all on one recipe."""

import hashlib
import json
from dataclasses import MISSING, asdict, dataclass, fields, replace

from .attributes import TABLES
from .errors import MagganError, nearest
from .profiles import profile as get_profile

# Row -> what differs from the base, which is row (i), STGAN.
VARIANTS = {
    "stgan": {},
    "stgan-cycle": {"reconstruction": "cycle"},
    "stgan-mre": {"lambda_3": 100.0},
    "maggan-no-mre": {"conditioning": "mask", "spade": True},
    "maggan-no-spade": {"conditioning": "mask", "lambda_3": 100.0},
    "maggan": {"conditioning": "mask", "spade": True, "lambda_3": 100.0},
    "maggan-seg": {"conditioning": "mask", "spade": True, "lambda_3": 100.0, "masks": "branch"},
}

# The systems the paper compares with, as rows: what their authors built differently from STGAN.
PEERS = {
    "attgan": {"system": "attgan"},
    "stargan": {
        "system": "stargan", "reconstruction": "cycle", "lambda_1": 10.0,
        "lambda_2": 13.0, "lambda_d_att": 13.0,  # its attribute losses are sums over the 13
    },
    "fadernet": {"system": "fadernet"},
    "icgan": {"system": "icgan"},
}  # fmt: skip

# Rows for what goes beyond Table 3: other weights of L_mre, and the three ways to discriminate of section 3.4.
SWEEP = {f"maggan-mre{weight}": {**VARIANTS["maggan"], "lambda_3": float(weight)} for weight in (10, 50, 200)}
TO_BASE = "to base"  # as many levels, or layers, as halve the profile's size down to its critic_base
DISCRIMINATORS = {
    "maggan-single": {**VARIANTS["maggan"], "critic_levels": 1},
    "maggan-deep": {**VARIANTS["maggan"], "critic_levels": 1, "critic_depth": TO_BASE},
    "maggan-multilevel": {**VARIANTS["maggan"], "critic_levels": TO_BASE},
}
ROWS = VARIANTS | PEERS | SWEEP | DISCRIMINATORS

# Row -> its name in tables; for Table 3's rows with the paper's number.
TITLES = {
    "stgan": "(i) STGAN",
    "stgan-cycle": "(ii) STGAN+cycle",
    "stgan-mre": "(iii) STGAN w/ L_mre",
    "maggan-no-mre": "(iv) MagGAN w/o L_mre",
    "maggan-no-spade": "(v) MagGAN w/o SP",
    "maggan": "(vi) MagGAN",
    "maggan-seg": "(vii) MagGAN+Seg",
    "attgan": "AttGAN",
    "stargan": "StarGAN",
    "fadernet": "FaderNet",
    "icgan": "IcGAN",
    **{slug: f"MagGAN, lambda_3 = {setting['lambda_3']:g}" for slug, setting in SWEEP.items()},
    "maggan-single": "MagGAN, one shallow D",
    "maggan-deep": "MagGAN, one deep D",
    "maggan-multilevel": "MagGAN, multi-level D",
}

# How to train, the same for every row of a profile. "stgan" is STGAN's published recipe, which the paper follows.
# "small" makes the few minutes of a CPU count; what differs from "stgan" is listed in every table's notes. Rows with
# SPADE follow the literal reading 8 there: with so few channels and steps, encoder features that reach the last
# layer through gamma and beta alone cost 1.5 dB of reconstruction on validation faces.
RECIPES = {
    "stgan": {},
    "small": {
        "critic_steps": 1,
        "penalty_every": 2,
        "rate_g": 1e-3,
        "rate_d": 1e-3,
        "decay": "linear",
        "average": 0.995,
        "last_layer": "resize",
        "critic_norm": "layer",
        "attribute_trunk": "own",
        "attribute_noise": 0.3,
        "spade_condition": "decoder",
    },
}


# Where a peer is trained differently from the recipe. On "stgan", as its authors did. On "small", FaderNet's latent
# loss has two thousand steps instead of a million to drive the attributes out of the latent, and so a larger weight;
# IcGAN's GAN draws noise on batches of 8, and its networks are cheap enough for 32.
PEER_RECIPES = {
    "stgan": {
        "stargan": {"rate_g": 1e-4, "rate_d": 1e-4, "batch": 16, "decay": "linear"},
        "fadernet": {"decay_from": 1.0},
        "icgan": {"batch": 64, "decay_from": 1.0},
    },
    "small": {
        "fadernet": {"lambda_lat": 0.01},
        "icgan": {"batch": 32, "rate_g": 5e-4, "rate_d": 5e-4},
    },
}

# What the settings that are names may be.
CHOICES = {
    "system": ("stgan", "attgan", "stargan", "fadernet", "icgan"),
    "conditioning": ("uniform", "mask"),
    "spade_condition": ("stu", "decoder"),
    "reconstruction": ("self", "cycle"),
    "masks": ("given", "branch"),
    "table": TABLES,
    "decay": ("step", "linear"),
    "last_layer": ("deconv", "resize"),
    "critic_norm": ("instance", "layer"),
    "attribute_trunk": ("shared", "own"),
    "precision": ("32", "bf16"),
}
FIXED = ("variant", "profile", "seed")  # arguments of `resolve`, not overrides


@dataclass(frozen=True)
class Config:
    """Everything that decides a run's weights, resolved; stored beside and inside them.

    The weights lambda_1 to lambda_3 are eq. 11's; lambda_1 = 100 and lambda_2 = 10 are the paper's, lambda_3
    is not given there (reading 5).
    """

    variant: str
    profile: str
    seed: int
    # the row
    system: str = "stgan"  # whose networks and losses: "stgan" (MagGAN's too) or a peer's
    critic_levels: int = 1  # P of eq. 14; 1 is a single discriminator of the whole
    critic_depth: int = 0  # how many stride-2 layers a single discriminator has beyond `levels`
    conditioning: str = "uniform"  # "uniform" (att_diff replicated) or "mask" (eq. 12)
    spade: bool = False  # de-normalise with the condition instead of concatenating it
    spade_condition: str = "stu"  # what gamma and beta see beside Att_diff: "stu" or "decoder" (reading 8)
    reconstruction: str = "self"  # eq. 6, or "cycle"
    masks: str = "given"  # the parser's, or a segmentation "branch" in the generator
    lambda_3: float = 0.0
    table: str = "paper"  # the relation table
    # the profile
    size: int = 64
    width: int = 64
    levels: int = 5
    max_width: int = 1024
    critic_width: int = 64
    head_width: int = 1024
    batch: int = 32
    iterations: int = 189_400
    # the recipe
    lambda_1: float = 100.0
    lambda_2: float = 10.0
    lambda_gp: float = 10.0
    lambda_seg: float = 10.0
    lambda_d_att: float = 1.0  # of L_D_att in D's loss
    lambda_lat: float = 1e-4  # of FaderNet's latent loss, once it has grown to its full size
    critic_steps: int = 5
    penalty_every: int = 1
    rate_g: float = 2e-4
    rate_d: float = 2e-4
    decay_from: float = 0.5  # the fraction of the iterations after which the rate falls
    decay: str = "step"  # "step" (to a tenth) or "linear" (to 0)
    average: float = 0.0  # decay of the running average of the generator's weights; 0 = none
    last_layer: str = "deconv"  # or "resize"
    critic_norm: str = "instance"  # or "layer"
    attribute_trunk: str = "shared"  # D_att on D_adv's trunk, or its "own"
    attribute_noise: float = 0.0  # deviation of the noise on what D_att sees, images in [-1, 1]
    # the device: how it is computed, not what
    precision: str = "32"  # or "bf16": forward passes in bfloat16 where the device has it; penalty and losses never
    accumulate: int = 1  # into how many pieces the batch is cut, one in memory at a time
    recompute: bool = False  # G's activations in the backward pass instead of keeping them
    channels_last: bool = True  # the layout of images and weights in memory
    fused: bool = False  # one kernel for all of an optimiser's step
    compile: bool = False  # G, by torch.compile

    def to_json(self):
        """The config as one line of JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text):
        """The config written by `to_json`; names that this version does not know are an error."""
        values = json.loads(text)
        known = {field.name for field in fields(cls)}
        for name in values:
            if name not in known:
                raise nearest(name, sorted(known), "setting")
        return cls(**values)

    def hash(self):
        """Twelve hex digits that name the config; a setting added later, at its default, leaves them as they are."""
        own = {name: value for name, value in asdict(self).items() if DEFAULTS.get(name, MISSING) != value}
        return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:12]


DEFAULTS = {field.name: field.default for field in fields(Config) if field.default is not MISSING}


def resolve(variant, profile, seed=0, **overrides):
    """The Config of row `variant` on `profile`; MagganError names the nearest right row, profile or setting."""
    if variant not in ROWS:
        raise nearest(variant, list(ROWS), "row")
    profile = get_profile(profile)
    known = {field.name for field in fields(Config)}
    for name in overrides:
        if name not in known or name in FIXED:
            raise nearest(name, sorted(known - set(FIXED)), "setting")
    shared = {name: getattr(profile, name) for name in known & set(vars(profile))}
    config = Config(variant=variant, profile=profile.name, seed=seed)
    of_peer = dict(PEER_RECIPES[profile.recipe].get(variant, {}))
    if profile.size > 128 and "batch" in of_peer:  # the authors' batch was for 128 px and less
        of_peer["batch"] = min(of_peer["batch"], profile.batch)
    config = replace(config, **{**shared, **RECIPES[profile.recipe], **of_peer, **ROWS[variant], **overrides})
    halvings = (profile.size // profile.critic_base).bit_length() - 1
    reaching = {"critic_levels": halvings + 1, "critic_depth": halvings}
    config = replace(config, **{name: n for name, n in reaching.items() if getattr(config, name) == TO_BASE})
    for name, allowed in CHOICES.items():
        if getattr(config, name) not in allowed:
            raise nearest(getattr(config, name), allowed, name)
    if config.compile and config.recompute:
        raise MagganError("compile=true and recompute=true exclude each other: set one of them to false.")
    return config


def discriminator_rows(profile):
    """The rows with one shallow, one deep and multi-level discriminators: {way: row}.

    One of the three is the profile's own way, and then the row is `maggan` itself.
    """
    own = asdict(resolve("maggan", profile))
    rows = {slug: asdict(resolve(slug, profile)) for slug in DISCRIMINATORS}
    return {
        slug.removeprefix("maggan-"): "maggan" if {**config, "variant": "maggan"} == own else slug
        for slug, config in rows.items()
    }


def deviations(profile):
    """What the recipe changes against that of the large profiles, STGAN's: {setting: (theirs, ours)}."""
    profile = get_profile(profile)
    return {name: (getattr(Config, name), value) for name, value in RECIPES[profile.recipe].items()}
