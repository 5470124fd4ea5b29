"""Every figure by its name: `python -m maggan.gallery fig6 drawn64`, or `make fig6`.

Figures are drawn from results on disk, never trained for; each is written as PNG and PDF.
"""

import argparse

from . import architecture, diagrams, figures, morefigures, paperfigures, paths
from .errors import cli, nearest
from .profiles import profile as get_profile

# Name -> (what draws it, what it shows); the paper's nine, then those beyond the paper.
FIGURES = {
    "fig1": (paperfigures.fig1, "edits at the largest size trained, with crops"),
    "fig2": (paperfigures.fig2, "hats and scarves, MagGAN over STGAN"),
    "fig3": (architecture.fig3, "the architecture, with the shapes of the live networks"),
    "fig4": (diagrams.fig4, "the losses, with real masks"),
    "fig5": (diagrams.fig5, "the multi-level patch-wise discriminators"),
    "fig6": (paperfigures.fig6, "accuracy of each attribute, all systems"),
    "fig7": (paperfigures.fig7, "accuracy with and without a hat, STGAN and MagGAN"),
    "fig8": (paperfigures.fig8, "the rows of Table 3 on one face"),
    "fig9": (paperfigures.fig9, "one discriminator against multi-level ones, over training"),
    "peers": (paperfigures.peers, "a face through every system"),
    "curves": (morefigures.curves, "success against preservation as the strength grows"),
    "directions": (morefigures.directions, "adding and removing an attribute, apart"),
    "leakage": (morefigures.leakage, "change outside the region over change inside"),
    "sweep": (morefigures.sweep, "the weight lambda_3 of L_mre"),
    "blending": (morefigures.blending, "the blending trick and its seams"),
    "distances": (morefigures.distances, "FID and KID"),
    "truth": (morefigures.truth, "distance to the true counterfactual"),
    "cost": (morefigures.cost, "what a row costs"),
}

OF_FACES = ("fig1", "fig2", "fig4", "fig5", "fig8", "fig9", "peers")  # these show people where the faces are photos


def figure(name, profile):
    """The matplotlib Figure of a name; raises what `draw` does."""
    if name not in FIGURES:
        raise nearest(name, FIGURES, "figure")
    return FIGURES[name][0](get_profile(profile))


def draw(name, profile):
    """Draw a figure and write results/<profile>/figures/<name>.{png,pdf}; returns the PNG's path.

    Raises MagganError for an unknown figure, and, naming the command, where a row it needs is not trained or measured.
    """
    file = paths.results() / get_profile(profile).name / "figures" / name
    return figures.save(figure(name, profile), file)


def main():
    parser = argparse.ArgumentParser(prog="python -m maggan.gallery", description="Draw a figure.")
    parser.add_argument("figure", help=", ".join(FIGURES))
    parser.add_argument("profile")
    args = parser.parse_args()
    print(draw(args.figure, args.profile))


if __name__ == "__main__":
    cli(main)
