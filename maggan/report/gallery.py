"""Every figure by its name: `python -m maggan.gallery fig6 drawn64`, or `make fig6`.

Figures are drawn from results on disk, never trained for; each is written as PNG and PDF. A figure is a function with
the decorator `figure` in one of the modules below.
"""

from ..basics import paths
from ..basics.errors import nearest
from . import architecture, diagrams, figures, morefigures, paperfigures

MODULES = architecture, diagrams, paperfigures, morefigures
# The paper's by number, then the others as they come.
_all = [name for module in MODULES for name, drawing in figures.FIGURES.items()
        if drawing.draw.__module__ == module.__name__]  # fmt: skip
_papers = sorted(name for name in _all if name.startswith("fig"))
FIGURES = {name: figures.FIGURES[name] for name in [*_papers, *(name for name in _all if name not in _papers)]}


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
