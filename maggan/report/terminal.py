"""Table 3 in a terminal: the few numbers that tell the rows apart, within 100 columns, as far as they are measured."""

import pandas as pd

from ..basics import paths

# head, key in the metrics, key in the paper's CSV, factor, decimals
SHOWN = (
    ("MRE", "mre", "mre", 1, 4),
    ("floor", "mre_floor", None, 1, 4),
    ("excess", "mre_excess", None, 1, 4),
    ("acc. %", "accuracy_1.5", "accuracy", 100, 1),
    ("PSNR", "psnr", "psnr", 1, 1),
)


def brief(results, rows=None):
    """The rows of Table 3 as lines of text: yours, then the paper's; of a row that is not measured only the latter.

    `rows` are the slugs that are wanted; None: all of Table 3's.
    """
    lines = {}
    for printed in pd.read_csv(paths.paper() / "table3.csv").to_dict("records"):
        if rows is None or printed["row"] in rows:
            metrics = results.yours.get(printed["row"], {}).get("metrics", {})
            yours = {head: text(metrics.get(key, {}).get("value"), factor, places)
                     for head, key, _, factor, places in SHOWN}  # fmt: skip
            paper = {f"{head} (paper)": text(printed[key], 1, places) for head, _, key, _, places in SHOWN if key}
            lines[printed["method"]] = yours | paper
    return pd.DataFrame(lines).T.to_string()


def text(value, factor, places):
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{factor * value:.{places}f}"
