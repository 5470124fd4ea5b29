"""Tables and notes as Markdown."""


def table(heads, rows, notes=()):
    """A table of texts with its heads, and notes below it, a point each."""
    lines = [heads, *rows]
    text = [f"| {' | '.join(map(str, line))} |" for line in lines]
    text.insert(1, "|---" * len(heads) + "|")
    return "\n".join(text) + "\n\n" + "\n".join(f"- {note}" for note in notes) + "\n"
