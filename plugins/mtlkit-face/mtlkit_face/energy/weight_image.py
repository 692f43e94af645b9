"""Image of all weights: |W| of every head, dimensions in descending order of energy."""

import base64
import io
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from mtlkit.evaluators import Picture

_CLIP = 0.995  # quantile of the darkest shade: a few large weights would hide the others
_MIN_WIDTH = 0.115  # least fraction of the image's width for one task


def weights_picture(weights: Mapping[str, Tensor], order: Tensor, *, balanced: bool) -> Picture:
    """Draw |W| of each task (C, D) as a block of columns, with rows in the given `order` (D,).

    By default, the width of a block is its number of classes, and all blocks share one color scale.
    With `balanced`, blocks have equal widths and |W| is divided by the task's mean, so that
    identity, with its many classes, does not dominate.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
    from matplotlib.figure import Figure

    blocks = {name: weight[:, order].abs().T.numpy() for name, weight in weights.items()}
    if balanced:
        blocks = {name: block / max(block.mean(), 1e-30) for name, block in blocks.items()}
    top = float(np.quantile(np.concatenate([b.ravel() for b in blocks.values()]), _CLIP))
    widths = [1.0 if balanced else float(block.shape[1]) for block in blocks.values()]
    widths = [max(width, _MIN_WIDTH * sum(widths)) for width in widths]
    figure = Figure(figsize=(8.4, 4.4), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    row = figure.subplots(1, len(blocks), width_ratios=widths, squeeze=False)[0]
    for number, (axes, (name, block)) in enumerate(zip(row, blocks.items(), strict=True)):
        shown = axes.imshow(
            block, aspect="auto", cmap="magma_r", vmin=0, vmax=top or 1, interpolation="none"
        )
        axes.set_title(f"{name}\n{block.shape[1]} classes", fontsize=9)
        axes.set_xticks([])
        axes.tick_params(labelsize=8)
        if number == 0:
            axes.set_ylabel("dimensions of x, strongest first", fontsize=9)
        else:
            axes.set_yticks([])
    unit = "|W|, in units of each task's mean" if balanced else "|W|"
    bar = figure.colorbar(shown, ax=row.tolist(), fraction=0.03, pad=0.01)
    bar.set_label(unit, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=110, metadata={"Software": None})
    scaling = "each task divided by its mean, " if balanced else ""
    return Picture(
        png=base64.b64encode(target.getvalue()).decode(),
        caption=f"Absolute weights of every head, {scaling}dimensions sorted by their energy over "
        f"all tasks{' after this scaling' if balanced else ''}.",
    )
