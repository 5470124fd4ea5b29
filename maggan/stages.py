"""What the numbers of each stage are made of: which code, so that make and a run know what an edit makes old.

    python -m maggan.stages FOLDER WORLD     # writes a stamp a stage, rewritten only where its code has changed

The standard library is enough, for make asks before there is an environment.
"""


from .basics.fingerprint import PACKAGE, fingerprint

# These decide no number: how a user is told, where things lie, how they are kept. Settings are compared by value, which
# tells a changed number from a changed remark better than the code can.
SETTINGS = ("profiles", "config", "variants")
NEUTRAL = ("basics.errors", "basics.paths", "basics.progress", "basics.weights", "basics.checkpoints", "basics.memory",
           "basics.fingerprint", "stages", "train.disk", *SETTINGS)  # fmt: skip

# Stage -> where its code begins. Worlds and systems are found by name at run time, so they are named here.
FACES = ("data.faces", "data.{world}")
STAGES = {
    "source": ("data.{world}",),
    "data": FACES,
    "judges": ("evaluate.judges", *FACES),
    "train": ("train.run", "systems.{system}", *FACES),
    "evaluate": ("evaluate.protocol", *FACES),
    "learning": ("evaluate.learning", *FACES),
}
# Of these the words count too: they are what is made.
SHOWN = {"tables": ("report.tables",), "claims": ("report.claims",), "gallery": ("report.gallery",),
         "report": ("report.page",)}  # fmt: skip

# A fingerprint of today's code -> that of an earlier version, in its own way of counting, which gives the same numbers
# bit for bit. What was made by that version stays.
KNOWN_AS = {}


def code_of(stage, world, system="stgan"):
    """The fingerprint of all code that the numbers of a stage depend on."""
    roots = [root.format(world=world, system=system) for root in STAGES[stage]]
    found = fingerprint(roots, NEUTRAL)
    return KNOWN_AS.get(found, found)


def stamps(world):
    """What make compares, {stage: text}: settings count here, for make does not resolve them."""
    systems = sorted(file.stem for file in (PACKAGE / "systems").glob("[a-z]*.py"))
    settings = fingerprint(SETTINGS, words=True)
    found = {stage: f"{code_of(stage, world)} {settings}" for stage in STAGES}
    found["train"] = " ".join([*(code_of("train", world, system) for system in systems), settings])
    return found | {stage: fingerprint(roots, words=True) for stage, roots in SHOWN.items()}
