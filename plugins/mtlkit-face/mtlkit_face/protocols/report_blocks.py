"""Report blocks of a protocol's results: tables, and galleries of the worst errors."""

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

from mtlkit.data import Frame
from mtlkit.evaluators import Block, Gallery, TableBlock, Text
from mtlkit.evaluators import Picture as Shown
from mtlkit.plugins import DataError
from mtlkit_face.metrics.roc import Bools, Floats
from mtlkit_face.protocols.embedding import ImageEmbedder
from mtlkit_face.protocols.pictures import FaceImage, decode_picture
from mtlkit_face.protocols.result import Measure, ProtocolResult

MAX_ERRORS = 6
"""Errors shown of each kind."""


def tables(results: Mapping[str, ProtocolResult], facts: Mapping[str, str]) -> Iterable[Block]:
    """Yield tables of the measures, their thresholds, their values by fold, and the `facts`."""
    rows = [(part, name, m) for part, r in results.items() for name, m in r.measures.items()]
    yield TableBlock(
        header=("", "value", "95% interval", "standard error", "deviation", "interval by"),
        rows=tuple(
            (_named(part, name), m.value, _ends(m), m.standard_error, m.deviation, m.interval)
            for part, name, m in rows
        ),
        caption="Standard error and deviation are over folds or splits, as published.",
    )
    points = [(_named(part, n), key, x) for part, n, m in rows for key, x in m.at.items()]
    if points:
        yield TableBlock(
            header=("", "at", "value"),
            rows=tuple(points),
            caption="Operating points of the measures: thresholds of scores, and their rates.",
            folded=True,
        )
    by_fold = [(_named(part, name), m.folds) for part, name, m in rows if m.folds]
    if by_fold:
        most = max(len(values) for _, values in by_fold)
        yield TableBlock(
            header=("", *(str(fold + 1) for fold in range(most))),
            rows=tuple((n, *values, *[math.nan] * (most - len(values))) for n, values in by_fold),
            caption="Each fold or split, in order.",
            folded=True,
        )
    yield TableBlock(header=("", ""), rows=tuple(facts.items()), caption="Setup.")


def facts(results: Mapping[str, ProtocolResult], embedder: ImageEmbedder) -> dict[str, str]:
    """Return facts of the setup: comparisons, rules, model and failed pictures."""
    lines: dict[str, str] = {}
    for part, result in results.items():
        lines[_named(part, "protocol")] = f"{result.protocol}, {result.version}"
        lines[_named(part, "comparisons")] = (
            f"{result.n_genuine:,} genuine, {result.n_impostor:,} impostor"
        )
    first = next(iter(results.values()))
    height, width = embedder.shape[1:]
    sizes = embedder.sizes
    other = sum(n for size, n in sizes.items() if size != (width, height))
    common = ", ".join(f"{w} x {h}" for (w, h), _ in sizes.most_common(3))
    lines |= {
        "mode": first.mode,
        "matching": first.matching,
        "weights, SHA-256": first.weights or "those of the run of this page",
        "preprocessing": str(first.preprocessing),
        "alignment": "none: pictures are assumed to be aligned like those of training",
        "size": f"{width} x {height} by the model; {other:,} of {embedder.embedded:,} embedded "
        f"pictures were resized ({common or 'none'})",
        "failures": _failures(embedder),
    }
    return lines


def _failures(embedder: ImageEmbedder) -> str:
    if not embedder.failed:
        return "none"
    named = "; ".join(f"{name} {why}" for name, why in list(embedder.failed.items())[:5])
    return (
        f"{len(embedder.failed):,} pictures, counted as never matched: {named}"
        f"{', ...' if len(embedder.failed) > 5 else ''}"
    )


def worst_errors(
    sides: tuple[Sequence[FaceImage], Sequence[FaceImage]],
    score: Floats,
    same: Bools,
    right: Bools,
    embedder: ImageEmbedder,
) -> Block:
    """Return a gallery of the worst wrong decisions of each kind, without failed pairs.

    `sides` (P,) are the pictures of each comparison; `right` (P,) is true for correct decisions.
    """
    wrong = ~right & np.isfinite(score)
    rows = []
    for kind, order in ((True, score), (False, -score)):
        indices = np.flatnonzero(wrong & (same == kind))
        for index in indices[np.argsort(order[indices], kind="stable")][:MAX_ERRORS]:
            truth = "one person" if kind else "two people"
            rows.append(_row(sides, int(index), f"{truth}: {score[index]:.3f}", embedder))
    if not rows:
        return Text(text="All pairs that could be compared were decided correctly.")
    return Gallery(
        rows=tuple(rows),
        caption=f"{len(rows)} of {int(wrong.sum()):,} wrong decisions, the worst of each kind, "
        f"with their scores.",
    )


def _row(
    sides: tuple[Sequence[FaceImage], Sequence[FaceImage]],
    index: int,
    words: str,
    embedder: ImageEmbedder,
) -> tuple[Shown, ...]:
    return tuple(
        _picture(side[index], embedder.frame, f"{side[index].name}, {words}") for side in sides
    )


def _picture(picture: FaceImage, frame: Frame, caption: str) -> Shown:
    try:
        pixels = decode_picture(picture, frame).pixels
    except DataError:  # it has changed since it was embedded
        pixels = np.zeros((frame.channels, frame.height, frame.width), np.uint8)
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0).copy())
    target = io.BytesIO()
    image.save(target, format="PNG")
    return Shown(png=base64.b64encode(target.getvalue()).decode(), caption=caption)


def _named(part: str, name: str) -> str:
    return f"{part}: {name}" if part else name


def _ends(measure: Measure) -> str:
    if math.isnan(measure.low):
        return ""
    return f"{measure.low:.4f} to {measure.high:.4f}"
