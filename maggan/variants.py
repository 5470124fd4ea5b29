"""The rows: Table 3's, each a small diff from one base, the peer systems, and more of our own; all on one recipe."""

from dataclasses import asdict, dataclass, field, replace

from .attributes import TABLES
from .basics.errors import nearest
from .config import FIXED, NAMES, OF_PROFILE, Config
from .systems import SYSTEMS


@dataclass(frozen=True)
class Row:
    """One row that can be trained: its name in tables and figures, and what differs from the base, row (i), STGAN."""

    title: str
    settings: dict = field(default_factory=dict)
    colour: str = "#777777"
    kind: str = "ours"  # "table 3", "peer", "sweep", "discriminators", or "ours": shown below Table 3's rows
    number: str = ""  # the paper's, in Table 3

    @property
    def full_title(self):
        """With the paper's number, where it has one."""
        return f"({self.number}) {self.title}" if self.number else self.title


BOTH = {"conditioning": "mask", "spade": True, "lambda_3": 100.0}  # row (vi), MagGAN
TO_BASE = "to base"  # as many levels, or layers, as halve the profile's size down to its critic_base

# Every row, and the one place where one is added. A hue for each system (Okabe and Ito's, which colour-blind readers
# can tell apart), lighter and darker ones for its variants.
ROWS = {
    "stgan": Row("STGAN", {}, "#0072b2", "table 3", "i"),
    "stgan-cycle": Row("STGAN+cycle", {"reconstruction": "cycle"}, "#8fbfe0", "table 3", "ii"),
    "stgan-mre": Row("STGAN w/ L_mre", {"lambda_3": 100.0}, "#00375a", "table 3", "iii"),
    "maggan-no-mre": Row("MagGAN w/o L_mre", {"conditioning": "mask", "spade": True}, "#f0b48a", "table 3", "iv"),
    "maggan-no-spade": Row("MagGAN w/o SP", {"conditioning": "mask", "lambda_3": 100.0}, "#8a3c00", "table 3", "v"),
    "maggan": Row("MagGAN", BOTH, "#d55e00", "table 3", "vi"),
    "maggan-seg": Row("MagGAN+Seg", {**BOTH, "masks": "branch"}, "#e8896a", "table 3", "vii"),
    # the systems that the paper compares with; each declares itself in `systems/`
    **{name: Row(system.title, {"system": name, **system.settings}, system.colour, "peer")
       for name, system in reversed(SYSTEMS.items()) if name != "stgan"},
    # other weights of L_mre
    "maggan-mre10": Row("MagGAN, lambda_3 = 10", {**BOTH, "lambda_3": 10.0}, "#f6cdb1", "sweep"),
    "maggan-mre50": Row("MagGAN, lambda_3 = 50", {**BOTH, "lambda_3": 50.0}, "#e58a4a", "sweep"),
    "maggan-mre200": Row("MagGAN, lambda_3 = 200", {**BOTH, "lambda_3": 200.0}, "#5e2a00", "sweep"),
    # the three ways to discriminate of section 3.4
    "maggan-single": Row("MagGAN, one shallow D", {**BOTH, "critic_levels": 1}, "#d55e00", "discriminators"),
    "maggan-deep": Row("MagGAN, one deep D", {**BOTH, "critic_levels": 1, "critic_depth": TO_BASE}, "#999933",
                       "discriminators"),
    "maggan-multilevel": Row("MagGAN, multi-level D", {**BOTH, "critic_levels": TO_BASE}, "#7b1e3a", "discriminators"),
}  # fmt: skip


def of_kind(kind):
    """The rows of a kind: {row: its settings, as a diff from the base}."""
    return {slug: row.settings for slug, row in ROWS.items() if row.kind == kind}


VARIANTS = of_kind("table 3")
PEERS, SWEEP, DISCRIMINATORS, OURS = map(of_kind, ("peer", "sweep", "discriminators", "ours"))
TITLES = {slug: row.full_title for slug, row in ROWS.items()}

# What is measured beside the rows, to compare them with.
LIMITS = {"true-edit": "true edit (floor)", "no-edit": "no edit"}
COLOURS = {slug: row.colour for slug, row in ROWS.items()} | {"true-edit": "#555555", "no-edit": "#aaaaaa"}

# How to train, the same for every row of a profile. "stgan" is STGAN's published recipe, which the paper follows.
# "small" makes the few minutes of a CPU count; what differs from "stgan" is listed in every table's notes. Rows with
# SPADE follow its literal reading there, "decoder": with so few channels and steps, encoder features that reach the
# last layer through gamma and beta alone cost 1.5 dB of reconstruction on validation faces.
RECIPES = {
    "stgan": {},
    "small": {
        "critic_steps": 2,
        "penalty_every": 4,
        "reconstruct_every": 2,
        "rate_g": 1e-3,
        "rate_d": 1e-3,
        "decay": "linear",
        "average": 0.995,
        "last_layer": "source",
        "critic_norm": "layer",
        "critic_patches": True,
        "attribute_trunk": "ahead",
        "attribute_noise": 0.1,
        "spade_condition": "decoder",
    },
}


def short_title(slug):
    """A row's name in figures: without its number in Table 3."""
    return ROWS[slug].title if slug in ROWS else LIMITS[slug].split(" (")[0]


def resolve(variant, profile, seed=0, **overrides):
    """The Config of row `variant` on a Profile; MagganError names the nearest right row or setting."""
    if variant not in ROWS:
        raise nearest(variant, list(ROWS), "row")
    for name in overrides:
        if name not in NAMES or name in FIXED:
            raise nearest(name, sorted(NAMES - set(FIXED)), "setting")
    shared = {name: getattr(profile, name) for name in OF_PROFILE}
    row = ROWS[variant].settings
    of_system = dict(SYSTEMS[row.get("system", "stgan")].recipes.get(profile.recipe, {}))
    if profile.size > 128 and "batch" in of_system:  # the authors' batch was for 128 px and less
        of_system["batch"] = min(of_system["batch"], profile.batch)
    config = Config(variant=variant, profile=profile.name, seed=seed,
                    **{**shared, **RECIPES[profile.recipe], **of_system, **row, **overrides})  # fmt: skip
    halvings = (profile.size // profile.critic_base).bit_length() - 1
    reaching = {"critic_levels": halvings + 1, "critic_depth": halvings}
    config = replace(config, **{name: n for name, n in reaching.items() if getattr(config, name) == TO_BASE})
    for name, known in (("system", SYSTEMS), ("table", TABLES)):
        if getattr(config, name) not in known:
            raise nearest(getattr(config, name), known, name)
    if config.attribute_trunk == "ahead" and not SYSTEMS[config.system].d_att:
        config = replace(config, attribute_trunk="own")  # as near as such a system comes to it
    config.check()
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
    return {name: (getattr(Config, name), value) for name, value in RECIPES[profile.recipe].items()}
