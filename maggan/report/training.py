"""A run in training as a figure."""

import matplotlib.pyplot as plt
import numpy as np

from ..train import read_log
from .figures import SHEET_COLUMNS, styled


@styled
def training_picture(folder):
    """A run so far: its loss curves above its last sample sheet."""
    log, sheets = read_log(folder), sorted((folder / "samples").glob("*.png"))
    curves = [name for name in log.columns if name.startswith("L_")]
    figure = plt.figure(figsize=(10, 7.2))
    above, below = figure.subfigures(2, 1, height_ratios=(1, 2.3))
    for axes, name in zip(above.subplots(1, len(curves)), curves, strict=True):
        line = log[["iteration", name]].dropna()
        axes.plot(line.iteration, line[name].ewm(span=max(1, len(line) // 50)).mean())
        axes.set(title=name)
    if sheets:
        axes = below.subplots()
        picture = plt.imread(sheets[-1])
        axes.imshow(picture, interpolation="none")
        step = picture.shape[1] / len(SHEET_COLUMNS)
        axes.set_xticks((np.arange(len(SHEET_COLUMNS)) + 0.5) * step, SHEET_COLUMNS, rotation=35, ha="left")
        axes.set_yticks([])
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.spines[:].set_visible(False)
        axes.set_xlabel(f"validation faces at iteration {int(sheets[-1].stem)}")
    return figure
