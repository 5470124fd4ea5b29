"""A table of text and its notes as Markdown, LaTeX and a picture."""

from functools import cache
from textwrap import fill

from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from ..basics.markdown import table


def markdown(frame, notes):
    """The table and its notes as Markdown, commands in code font."""
    heads = ["Methods", *(f"{name}<br>{source}" if name else source for name, source in frame.columns)]
    rows = [[title, *map(with_code, cells)] for title, cells in frame.iterrows()]
    return table(heads, rows, notes)


def with_code(text):
    """A cell with its command, if it has one, in code font."""
    return f"`{text}`".replace("`not run: ", "not run: `") if "not run" in text else text


def latex(frame, notes):
    """The table and its notes as LaTeX; needs booktabs."""
    style = frame.style.format(escape="latex")
    style = style.format_index(escape="latex", axis=0).format_index(escape="latex", axis=1)
    text = style.to_latex(hrules=True, multicol_align="c", column_format="l" + "r" * (len(frame.columns) - 1) + "l")
    text += "".join(f"% {note}\n" for note in notes)
    signs = {"↓": r"$\downarrow$", "±": r"$\pm$", "†": r"$^\dagger$", "–": "--"}
    for sign, macro in signs.items():
        text = text.replace(sign, macro)
    return text


@cache
def width_of(text, size):
    """The width of a text in points."""
    return TextPath((0, 0), text, size=size).get_extents().width if text.strip() else 0.0


def picture(frame, notes):
    """The table and its notes as a matplotlib Figure, as large as its text needs."""
    size, gap, line = 8, 9, 15  # points
    columns = [("", "Methods", list(frame.index))] + [(*name, list(frame[name])) for name in frame.columns]
    widths = [max(width_of(text, size) for text in (head, *cells)) + gap for _, head, cells in columns]
    for i, (name, _, _) in enumerate(columns):  # a group must be wide enough for its own name
        group = [k for k, column in enumerate(columns) if column[0] == name]
        short = width_of(name, size) + gap - sum(widths[k] for k in group)
        widths[i] += max(0, short) / len(group)
    width = sum(widths) + 2 * gap
    text = "\n".join(fill(note, int(width / (0.5 * size))) for note in notes)
    height = line * (len(frame) + 3) + (text.count("\n") + 1) * size * 1.35 + 2 * gap
    figure = Figure(figsize=(width / 72, height / 72), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    x = gap
    for i, (name, head, cells) in enumerate(columns):
        if name and columns[i - 1][0] != name:
            span = sum(w for w, column in zip(widths, columns, strict=True) if column[0] == name)
            axes.text(x + (span - gap) / 2, line, name, size=size, ha="center", va="center", weight="bold")
            axes.plot([x, x + span - gap], [1.5 * line] * 2, color="0.3", lw=0.6)
        for k, cell_text in enumerate((head, *cells)):
            left = name == ""
            look = dict(ha="left" if left else "right", va="center", color="0.35" if head == "paper" else "black")
            axes.text(x if left else x + widths[i] - gap, (k + 2) * line, cell_text, size=size, **look)
        x += widths[i]
    bottom = (len(frame) + 2) * line - line / 2 + 1.0 * line
    for y, weight in ((0.45 * line, 1.2), (2.5 * line, 0.8), (bottom, 1.2)):
        axes.plot([gap, width - gap], [y, y], color="black", lw=weight)
    axes.text(gap, bottom + 0.6 * line, text, size=size - 1, va="top", color="0.2", linespacing=1.35)
    return figure
