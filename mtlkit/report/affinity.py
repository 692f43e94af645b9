"""The affinity of every task to every other one, as one SVG."""

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure


def draw_affinity(tasks: Sequence[str], values: Sequence[Sequence[float]]) -> str:
    """Draw `values` (T, T) in percent: the effect of each row's task on the loss of each column's.

    The diagonal, the effect of a task on its own loss, is left out, as it hides the others.
    """
    percent = 100 * np.array(values)
    np.fill_diagonal(percent, np.nan)
    bound = float(np.nanmax(np.abs(percent), initial=1e-9))
    size = 2.2 + 0.55 * len(tasks)
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    FigureCanvasSVG(figure)
    with matplotlib.rc_context({"svg.hashsalt": "affinity", "text.parse_math": False}):
        axes = figure.subplots()
        image = axes.imshow(percent, cmap="RdBu", vmin=-bound, vmax=bound)
        figure.colorbar(image, label="reduction of the loss of the column, %")
        axes.set_xticks(range(len(tasks)), tasks, rotation=45, ha="right")
        axes.set_yticks(range(len(tasks)), tasks)
        axes.set_ylabel("step along the gradient of")
        if len(tasks) <= 12:
            for (row, column), value in np.ndenumerate(percent):
                if value == value:
                    color = "white" if abs(value) > 0.6 * bound else "black"
                    axes.text(column, row, f"{value:.2g}", ha="center", va="center", color=color)
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()
