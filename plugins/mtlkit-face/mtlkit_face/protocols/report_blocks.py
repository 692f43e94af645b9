"""What a report shows of a protocol's results: tables of numbers, and the worst errors."""

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

from mtlkit.plugins import DataError
from mtlkit.report import Block, Gallery, TableBlock, Text
from mtlkit.report import Picture as Shown
from mtlkit_face.metrics.roc import Bools, Floats
from mtlkit_face.protocols.embedding import ImageEmbedder
from mtlkit_face.protocols.pictures import FaceImage, decode
from mtlkit_face.protocols.result import Measure, ProtocolResult

MOST = 6
"""Errors shown of each kind."""


def tables(results: Mapping[str, ProtocolResult], facts: Mapping[str, str]) -> Iterable[Block]:
    """The measures, where each was taken, and what was matched with what."""
    rows = [(part, name, m) for part, r in results.items() for name, m in r.measures.items()]
    yield TableBlock(
        header=("", "value", "95% interval", "standard error", "deviation", "interval by"),
        rows=tuple(
            (_named(part, name), m.value, _ends(m), m.standard_error, m.deviation, m.interval)
            for part, name, m in rows
        ),
        caption="Standard error and deviation are those over folds or splits, as published.",
    )
    where = [(_named(part, n), key, x) for part, n, m in rows for key, x in m.at.items()]
    if where:
        yield TableBlock(
            header=("", "at", "value"),
            rows=tuple(where),
            caption="Where the numbers were taken: thresholds of scores, rates that they have.",
            folded=True,
        )
    by_fold = [(_named(part, name), m.folds) for part, name, m in rows if m.folds]
    if by_fold:
        most = max(len(values) for _, values in by_fold)
        yield TableBlock(
            header=("", *(str(fold + 1) for fold in range(most))),
            rows=tuple((n, *values, *[math.nan] * (most - len(values))) for n, values in by_fold),
            caption="Each fold or split.",
            folded=True,
        )
    yield TableBlock(header=("", ""), rows=tuple(facts.items()), caption="How it was done.")


def facts(results: Mapping[str, ProtocolResult], embedder: ImageEmbedder) -> dict[str, str]:
    """What was compared with what, by whose rules, and what came of the pictures."""
    found: dict[str, str] = {}
    for part, result in results.items():
        found[_named(part, "protocol")] = f"{result.protocol}, {result.version}"
        found[_named(part, "comparisons")] = (
            f"{result.n_genuine:,} genuine, {result.n_impostor:,} impostor"
        )
    first = next(iter(results.values()))
    height, width = embedder.shape[1:]
    sizes = embedder.sizes
    other = sum(n for size, n in sizes.items() if size != (width, height))
    common = ", ".join(f"{w} x {h}" for (w, h), _ in sizes.most_common(3))
    found |= {
        "mode": first.mode,
        "matching": first.matching,
        "weights, SHA-256": first.weights or "those of the run that this page is of",
        "preprocessing": str(first.preprocessing),
        "alignment": "none was done: pictures are taken as aligned like those of training",
        "size": f"{width} x {height} by the model; {other:,} of {embedder.embedded:,} embedded "
        f"pictures were resized ({common or 'none'})",
        "failures": _failures(embedder),
    }
    return found


def _failures(embedder: ImageEmbedder) -> str:
    if not embedder.failed:
        return "none"
    named = "; ".join(f"{name} {why}" for name, why in list(embedder.failed.items())[:5])
    return (
        f"{len(embedder.failed):,} pictures, counted as recognised by nobody: {named}"
        f"{', ...' if len(embedder.failed) > 5 else ''}"
    )


def worst_errors(
    sides: tuple[Sequence[FaceImage], Sequence[FaceImage]],
    score: Floats,
    same: Bools,
    right: Bools,
    embedder: ImageEmbedder,
) -> Block:
    """The wrong decisions that are farthest off, of each kind; failed pairs cannot be shown.

    `sides` (P,) are the pictures of each comparison, `right` (P,) says which were decided rightly.
    """
    wrong = ~right & np.isfinite(score)
    rows = []
    for kind, order in ((True, score), (False, -score)):
        places = np.flatnonzero(wrong & (same == kind))
        for place in places[np.argsort(order[places], kind="stable")][:MOST]:
            words = "one person" if kind else "two people"
            rows.append(_row(sides, int(place), f"{words}: {score[place]:.3f}", embedder))
    if not rows:
        return Text(text="No pair that could be compared was decided wrongly.")
    return Gallery(
        rows=tuple(rows),
        caption=f"{len(rows)} of {int(wrong.sum()):,} wrong decisions, the farthest off of each "
        f"kind, with their scores.",
    )


def _row(
    sides: tuple[Sequence[FaceImage], Sequence[FaceImage]],
    place: int,
    words: str,
    embedder: ImageEmbedder,
) -> tuple[Shown, ...]:
    return tuple(
        _picture(side[place], embedder.shape, f"{side[place].name}, {words}") for side in sides
    )


def _picture(picture: FaceImage, shape: tuple[int, ...], caption: str) -> Shown:
    try:
        pixels = decode(picture, shape).pixels
    except DataError:  # it could be read a moment ago
        pixels = np.zeros(shape, np.uint8)
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
