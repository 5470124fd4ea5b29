"""The settings of one run: everything that decides its weights, and how the device computes them."""

import hashlib
import json
from dataclasses import MISSING, asdict, dataclass, fields

from .basics.errors import MagganError, nearest
from .profiles import Scale

# What the settings that are names may be; systems and relation tables are looked up where they are kept.
CHOICES = {
    "conditioning": ("uniform", "mask"),
    "spade_condition": ("stu", "decoder"),
    "reconstruction": ("self", "cycle"),
    "masks": ("given", "branch"),
    "decay": ("step", "linear"),
    "last_layer": ("deconv", "resize", "source"),
    "critic_norm": ("instance", "layer"),
    "attribute_trunk": ("shared", "own", "ahead"),
    "precision": ("32", "bf16"),
}


@dataclass(frozen=True, kw_only=True)
class Config(Scale):
    """Everything that decides a run's weights, resolved; stored beside and inside them.

    The weights lambda_1 to lambda_3 are eq. 11's; lambda_1 = 100 and lambda_2 = 10 are the paper's, lambda_3
    is not given there.
    """

    variant: str
    profile: str
    seed: int
    # the row
    system: str = "stgan"  # whose networks and losses: "stgan" (MagGAN's too) or a peer's
    critic_depth: int = 0  # how many stride-2 layers a single discriminator has beyond `levels`
    conditioning: str = "uniform"  # "uniform" (att_diff replicated) or "mask" (eq. 12)
    spade: bool = False  # de-normalise with the condition instead of concatenating it
    spade_condition: str = "stu"  # what gamma and beta see beside Att_diff: the "stu"'s output or the "decoder"'s
    reconstruction: str = "self"  # eq. 6, or "cycle"
    masks: str = "given"  # the parser's, or a segmentation "branch" in the generator
    lambda_3: float = 0.0
    table: str = "paper"  # the relation table
    # the recipe
    lambda_1: float = 100.0
    lambda_2: float = 10.0
    lambda_gp: float = 10.0
    lambda_seg: float = 10.0
    lambda_d_att: float = 1.0  # of L_D_att in D's loss
    lambda_lat: float = 1e-4  # of FaderNet's latent loss, once it has grown to its full size
    critic_steps: int = 5
    penalty_every: int = 1  # of D's steps; taken every n-th time, it counts n times
    reconstruct_every: int = 1  # of G's steps: eq. 6, likewise
    rate_g: float = 2e-4
    rate_d: float = 2e-4
    decay_from: float = 0.5  # the fraction of the iterations after which the rate falls
    decay: str = "step"  # "step" (to a tenth) or "linear" (to 0)
    average: float = 0.0  # decay of the running average of the generator's weights; 0 = none
    last_layer: str = "deconv"  # or "resize", or that with the "source" image beside it
    critic_norm: str = "instance"  # or "layer"
    critic_patches: bool = False  # D_adv looks at patches too, beside the whole face
    attribute_trunk: str = "shared"  # D_att on D_adv's trunk, on its "own", or on one trained "ahead" of all rows
    attribute_reach: float = 0.15  # how far faces are changed against a D_att that is trained ahead, in [-1, 1]
    attribute_noise: float = 0.0  # deviation of the noise on what D_att sees, images in [-1, 1]
    # the device: how it is computed, not what
    graphs: bool = True  # on a GPU, the steps of an iteration as CUDA graphs, where the system and the devices allow it
    accumulate: int = 1  # into how many pieces the batch is cut, one in memory at a time
    channels_last: bool = True  # the layout of images and weights in memory
    compile: bool = False  # G, by torch.compile

    def check(self):
        """MagganError for a choice that there is not, with the nearest right one, and for two that exclude another."""
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise nearest(getattr(self, name), allowed, name)
        if self.compile and self.recompute:
            raise MagganError("compile=true and recompute=true exclude each other: set one of them to false.")

    def to_json(self):
        """The config as one line of JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of(cls, values):
        """The config of a mapping, such as `to_json` wrote; names that this version does not know are an error."""
        for name in values:
            if name not in NAMES:
                raise nearest(name, sorted(NAMES), "setting")
        return cls(**values)

    def hash(self):
        """Twelve hex digits that name the config; a setting added later, at its default, leaves them as they are."""
        own = {name: value for name, value in asdict(self).items() if DEFAULTS.get(name, MISSING) != value}
        return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:12]


NAMES = {field.name for field in fields(Config)}
DEFAULTS = {field.name: field.default for field in fields(Config) if field.default is not MISSING}
OF_PROFILE = {field.name for field in fields(Scale)}  # what a profile says of every row
FIXED = ("variant", "profile", "seed")  # what names a run; all else can be overridden
