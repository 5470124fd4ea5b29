"""What make needs to know of a profile: `python -m maggan.plan PROFILE` prints it as lines that make includes.

Python knows the domain, make the order: rows, their kinds, figures and the half size are declared once, in Python.
"""

from .arguments import arguments
from .basics.errors import cli
from .data import source_of
from .profiles import resized
from .report.gallery import FIGURES
from .variants import LIMITS, OURS, PEERS, ROWS, SWEEP, VARIANTS, discriminator_rows, resolve

SEEDED = ("stgan", "maggan")  # the rows that most is said of: `make all` trains them with several seeds


def in_order(rows, profile):
    """STGAN and MagGAN, whom all else is compared with; then by how much an iteration of theirs does.

    So no long one is left running alone at the end.
    """

    def work(slug):
        config = resolve(slug, profile)
        return 4 * (config.reconstruction == "cycle") + 2 * (config.masks == "branch") + config.spade

    return sorted(rows, key=lambda slug: (slug in SEEDED, work(slug)), reverse=True)


def plan(profile):
    """The variables of a profile's makefile: {name: words}."""
    source, half = source_of(profile), resized(profile, 0.5)
    ways = list(dict.fromkeys(discriminator_rows(profile).values()))  # `maggan` itself is one of the three
    figures = {name: drawing for name, drawing in FIGURES.items() if drawing.fits(profile)}
    several = [way for way in ways if way != "maggan"]
    return {
        "WORLD": [profile.world],
        "PHOTOS": source.needs.split(),
        "TABLE3": in_order(VARIANTS, profile),
        "EVERY": [*in_order(VARIANTS, profile), *OURS, *PEERS, *SWEEP, *several],
        "KNOWN": [*ROWS],
        "LIMITS": [limit for limit in LIMITS if source.true_edits or limit != "true-edit"],
        "LEARNT": ["maggan", *several],
        "SEEDED": SEEDED,
        "HALF": [half.name] if half else [],
        "ALL_FIGURES": figures,
        **{f"NEEDS_{name}": drawing.rows for name, drawing in figures.items() if drawing.rows},
        "NEEDS_fig9": several,
    }


def text(profile):
    """The plan as lines of a makefile."""
    return "".join(f"{name} := {' '.join(words)}".rstrip() + "\n" for name, words in plan(profile).items())


def main():
    print(text(arguments("plan", "What make needs to know of a profile.", "profile").parse_args().profile), end="")


if __name__ == "__main__":
    cli(main)
