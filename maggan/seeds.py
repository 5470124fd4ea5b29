"""Several seeds of a row as one: every number a mean over seeds, with an interval over seeds."""

import math

import numpy as np


def interval_over_seeds(values, level=0.95):
    """Mean of one number a seed, and Student's t interval around it: (mean, low, high); a lone value has no width."""
    values = np.asarray(values, dtype=float)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, mean, mean
    from scipy.stats import t

    reach = t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return mean, float(mean - reach), float(mean + reach)


def combined(runs):
    """The metrics of a row's seeds, {seed: JSON}, as one of the same form; of one seed that seed's own.

    What is not a number comes from the first seed; "seeds" lists all of them. A number that a seed lacks is left out.
    """
    seeds, runs = list(runs), list(runs.values())
    first = runs[0]
    if len(runs) == 1:
        return {**first, "seeds": seeds}
    return {
        **first,
        "seeds": seeds,
        "metrics": over_seeds([run["metrics"] for run in runs]),
        "per_attribute": {
            name: over_seeds([run["per_attribute"][name] for run in runs]) for name in first["per_attribute"]
        },
        "curve": [
            {"strength": points[0]["strength"], **over_seeds([measured(point) for point in points])}
            for points in zip(*(run.get("curve", []) for run in runs), strict=False)
        ],
    }


def measured(point):
    return {name: entry for name, entry in point.items() if name != "strength"}


def over_seeds(entries):
    """{name: entry} of each seed to {name: entry} over seeds."""
    names = [name for name in entries[0] if all(name in each for each in entries)]
    return {name: one([each[name] for each in entries]) for name in names}


def one(entries):
    """An entry over seeds; `n` stays the number of faces or flips behind each seed's value."""
    values = [entry["value"] for entry in entries]
    said = {"n": entries[0]["n"], "interval": f"Student's t over {len(values)} seeds, 95 %"}
    if None in values:
        return {"value": None, "low": None, "high": None, **said}
    value, low, high = interval_over_seeds(values)
    return {"value": value, "low": low, "high": high, **said}
