"""Measure the threshold of a model on labeled pairs, and report it."""

from datetime import UTC, datetime
from pathlib import Path

import attrs
import numpy as np
import torch
from torch import Tensor

from mtlkit.evaluators import Block, Section, TableBlock, Text
from mtlkit.plugins import DataError
from mtlkit.runs import Evaluation, RunRecord, render_page
from mtlkit_face.inference.labeled_pairs import LabeledPairs
from mtlkit_face.inference.model import FaceModel
from mtlkit_face.inference.threshold import Domain, Threshold
from mtlkit_face.metrics.calibration import Calibration, calibrate
from mtlkit_face.metrics.charts import roc_and_det, score_histogram
from mtlkit_face.metrics.intervals import REPLICATES, Interval
from mtlkit_face.metrics.roc import Bools, Floats, roc
from mtlkit_face.metrics.score_statistics import score_statistics

CHUNK = 4096
"""Number of pairs scored at a time."""


@attrs.frozen(eq=False, kw_only=True)
class CalibratedThreshold:
    """Threshold of a model with its calibration, and the scored pairs (P,)."""

    threshold: Threshold
    calibration: Calibration
    score: Floats
    same: Bools


def calibrate_model(
    model: FaceModel,
    pairs: LabeledPairs,
    templates: Tensor,
    target: float,
    *,
    source: str,
    covers: tuple[Path, ...] = (),
    replicates: int = REPLICATES,
) -> CalibratedThreshold:
    """Choose the threshold at the false match rate `target` from `templates` (N, K) of `pairs`.

    `source` names the pairs; `covers` are further folders of images of the same kind. Raises
    `DataError` if the pairs are too few.
    """
    score = pair_scores(templates, pairs)
    first, second = pairs.person[pairs.first], pairs.person[pairs.second]
    try:
        measured = calibrate(score, first, second, target, replicates=replicates)
    except ValueError as cause:
        raise DataError(f"{source}: {cause}") from cause
    same = first == second
    folders = (pairs.folder, *(folder.resolve() for folder in covers))
    return CalibratedThreshold(
        threshold=Threshold(
            value=measured.threshold,
            source=f"false match rate {measured.fmr:.2g} {_interval(measured.fmr_interval)} "
            f"measured on {source}, {target:g} asked",
            fmr=measured.fmr,
            domain=Domain(
                source=source,
                folders=tuple(map(str, folders)),
                date=datetime.now(UTC).date().isoformat(),
                preprocessing=model.preprocessing,
                people=measured.people,
                genuine=score_statistics(score[same]),
                impostor=score_statistics(score[~same]),
            ),
        ),
        calibration=measured,
        score=score,
        same=same,
    )


def pair_scores(templates: Tensor, pairs: LabeledPairs) -> Floats:
    """Return the scores (P,) of `pairs`, the dot products of their `templates` (N, K)."""
    score = np.empty(len(pairs))
    for start in range(0, len(pairs), CHUNK):
        chunk = slice(start, start + CHUNK)
        products = templates[pairs.first[chunk]] * templates[pairs.second[chunk]]
        score[chunk] = products.sum(dim=1, dtype=torch.float64).numpy()
    return score


def rates_table(measured: Calibration) -> TableBlock:
    """Return the table of the threshold and its error rates with their intervals."""
    rows = (
        ("threshold", measured.threshold, _interval(measured.threshold_interval)),
        ("false match rate", measured.fmr, _interval(measured.fmr_interval)),
        ("false non-match rate", measured.fnmr, _interval(measured.fnmr_interval)),
    )
    return TableBlock(
        header=("", "value", "95% interval"),
        rows=rows,
        caption=f"Intervals by {measured.replicates:,} bootstrap replicates over "
        f"{measured.people:,} people; that of the threshold is of the thresholds that the "
        f"replicates choose, those of the rates are at the threshold.",
    )


def calibration_page(model: FaceModel, result: CalibratedThreshold) -> str:
    """Return the report of a calibration as HTML: rates, score histograms, ROC and DET."""
    threshold, measured, domain = result.threshold, result.calibration, result.threshold.domain
    assert domain is not None
    genuine, impostor = result.score[result.same], result.score[~result.same]
    blocks: tuple[Block, ...] = (
        Text(
            text=f"The threshold is the lowest score at which the false match rate on {domain} is "
            f"at most {measured.target:g}. It was chosen on these pairs, so the rate on new people "
            f"is slightly higher on average."
        ),
        rates_table(measured),
        score_histogram(genuine, impostor, thresholds={"threshold": threshold.value}),
        *roc_and_det({"pairs": roc(result.score, result.same)}, "calibration"),
    )
    evaluation = Evaluation(
        facts={
            "run": model.folder.path.absolute().name,
            "threshold": f"{threshold.value:.4f}",
            "measured on": str(domain),
            "folders": ", ".join(domain.folders),
            "preprocessing, SHA-256": domain.preprocessing,
            "templates' fingerprint": model.fingerprint,
        },
        headlines=("threshold", "fmr", "fnmr"),
        metrics={
            "threshold": threshold.value,
            "fmr": measured.fmr,
            "fnmr": measured.fnmr,
            "eer": roc(result.score, result.same).equal_error().rate,
        },
        sections=(Section(title="Calibration", blocks=blocks),),
    )
    recipe = model.folder.recipe.read_text(encoding="utf-8")
    return render_page(RunRecord(name="calibration", evaluation=evaluation, recipe=recipe))


def _interval(ends: Interval) -> str:
    return f"[{ends[0]:.4g}, {ends[1]:.4g}]"
