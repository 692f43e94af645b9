"""The picture of all weights: |W| of every head, dimensions from most energy to least."""

import base64
import io
from collections.abc import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from mtlkit.report import Picture

_CLIP = 0.995  # the quantile that is drawn black: a few large weights would hide the rest
_NARROWEST = 0.115  # the least part of the picture's width for one task


def weights_picture(weights: Mapping[str, Tensor], order: Tensor, *, balanced: bool) -> Picture:
    """|W| of each task (C, D) as a block of columns, rows in the given `order` (D,).

    As it is, blocks are as wide as tasks have classes, and one shade is one weight everywhere.
    `balanced` gives every task the same width and a shade of its own, its mean weight being the
    unit: identity, with its many columns, no longer hides the others.
    """
    blocks = {name: weight[:, order].abs().T.numpy() for name, weight in weights.items()}
    if balanced:
        blocks = {name: block / max(block.mean(), 1e-30) for name, block in blocks.items()}
    top = float(np.quantile(np.concatenate([b.ravel() for b in blocks.values()]), _CLIP))
    widths = [1.0 if balanced else float(block.shape[1]) for block in blocks.values()]
    widths = [max(width, _NARROWEST * sum(widths)) for width in widths]
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
            axes.set_ylabel("dimensions of x, from most energy to least", fontsize=9)
        else:
            axes.set_yticks([])
    unit = "|W|, in units of each task's mean" if balanced else "|W|"
    bar = figure.colorbar(shown, ax=row.tolist(), fraction=0.03, pad=0.01)
    bar.set_label(unit, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=110, metadata={"Software": None})
    how = "each task in units of its own mean, " if balanced else ""
    return Picture(
        png=base64.b64encode(target.getvalue()).decode(),
        caption=f"The absolute weights of every head, {how}dimensions by their energy over all "
        f"tasks{' in these units' if balanced else ''}.",
    )
