"""Every figure by its name: `python -m maggan.gallery fig6 drawn64`, or `make fig6`.

Figures are drawn from results on disk, never trained for; each is written as PNG and PDF. A figure is a function with
the decorator `figure` in one of the modules below.
"""

from ..basics import paths
from ..basics.errors import nearest
from . import architecture, diagrams, figures, morefigures, paperfigures

MODULES = architecture, diagrams, paperfigures, morefigures  # whose figures are in figures.FIGURES once imported


def papers_first(name):
    """The paper's figures by number, then the others in the order of the modules."""
    return (0, name) if name.startswith("fig") else (1, "")


FIGURES = {name: figures.FIGURES[name] for name in sorted(figures.FIGURES, key=papers_first)}


def figure(name, results):
    """The matplotlib Figure of a name; raises what `draw` does."""
    if name not in FIGURES:
        raise nearest(name, FIGURES, "figure")
    return FIGURES[name].draw(results)


def draw(name, results):
    """Draw a figure and write results/<profile>/figures/<name>.{png,pdf}; returns the PNG's path.

    Raises MagganError for an unknown figure, and, naming the command, where a row it needs is not trained or measured.
    """
    return figures.save(figure(name, results), paths.figure_file(name, results.profile))
