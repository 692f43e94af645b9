"""Results of a protocol: measures with their intervals and operating points."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from mtlkit.evaluators import Block, EvaluationResult, Section
from mtlkit_face.metrics.intervals import Interval, mean_of_finite, standard_error, std
from mtlkit_face.protocols.score_file import ScoredComparisons

FORMAT = 1


@attrs.frozen(kw_only=True)
class Measure:
    """A measure, its values by fold or split, and its uncertainty.

    `deviation` and `standard_error` are over folds, as published; `low` and `high` are a 95%
    interval, by the method `interval`. `at` holds the operating point: thresholds, rates.
    """

    value: float
    folds: tuple[float, ...] = ()
    deviation: float = math.nan
    standard_error: float = math.nan
    low: float = math.nan
    high: float = math.nan
    interval: str = ""
    at: Mapping[str, float] = attrs.field(factory=dict)


def over_folds(
    values: Sequence[float], ends: Interval, interval: str, *, population: bool,
    at: Mapping[str, float] | None = None,
) -> Measure:  # fmt: skip
    """Return the mean of the finite `values` over folds, with its spread and a 95% interval."""
    return Measure(
        value=mean_of_finite(values),
        folds=tuple(values),
        deviation=std(values, population=population),
        standard_error=standard_error(values),
        low=ends[0],
        high=ends[1],
        interval=interval,
        at=at or {},
    )


@attrs.frozen(kw_only=True)
class Preprocessing:
    """Preprocessing of an aligned picture: resized to `shape` (channels, height, width), gray or
    RGB in 8 bits, then (pixel - `mean`) / `std`, and with `standardize` mean 0 and standard
    deviation 1. With `margin` the face box, enlarged by this part of its sides, is cropped first;
    else `crop` of the largest centered rectangle of this aspect ratio, or with None the whole
    picture is squeezed.
    """

    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    margin: float | None = None
    crop: float | None = None
    standardize: bool = False

    def __str__(self) -> str:
        channels, height, width = self.shape
        colors = "gray" if channels == 1 else "RGB"
        cut = "squeezed, " if self.crop is None else ""
        if self.crop is not None and self.crop < 1:
            cut = f"{self.crop:.0%} of the largest centered rectangle, "
        if self.margin is not None:
            cut = f"face boxes with a margin of {self.margin:g}, "
        mean, std = _text(self.mean), _text(self.std)
        standardized = ", each picture standardized" if self.standardize else ""
        return f"{cut}{colors}, {width} x {height}, (pixel - {mean}) / {std}{standardized}"


def _text(values: tuple[float, ...]) -> str:
    texts = [f"{value:g}" for value in values]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


@attrs.frozen(kw_only=True)
class ProtocolResult:
    """The result of one protocol.

    `n_genuine` and `n_impostor` count the comparisons (or searches), including failures;
    `failures` counts pictures without a template, and `failed` has the first of them with reasons.
    `weights` is the SHA-256 of the model's file, None for a model without one.
    """

    protocol: str
    version: str
    mode: str
    matching: str
    weights: str | None
    preprocessing: Preprocessing
    n_genuine: int
    n_impostor: int
    pictures: int
    failures: int
    failed: Mapping[str, str] = attrs.field(factory=dict)
    measures: Mapping[str, Measure]


@attrs.frozen(kw_only=True)
class ProtocolReport:
    """The results of an evaluation by part (a single part is called ""), its report and scores."""

    prefix: str
    title: str
    results: Mapping[str, ProtocolResult]
    headlines: tuple[str, ...]
    blocks: tuple[Block, ...]
    scores: tuple[ScoredComparisons, ...] = ()

    def evaluation_result(self) -> EvaluationResult:
        """Return the results as metrics and a section of the report."""
        return EvaluationResult(
            metrics=dict(self._metrics()),
            headlines=tuple(f"{self.prefix}/{name}" for name in self.headlines),
            sections=(Section(title=self.title, blocks=self.blocks),),
        )

    def _metrics(self) -> Iterator[tuple[str, float]]:
        for part, result in self.results.items():
            start = f"{self.prefix}/{part}" if part else self.prefix
            for name, measure in result.measures.items():
                yield f"{start}/{name}", measure.value
                if measure.folds:
                    yield f"{start}/{name}/deviation", measure.deviation
                    yield f"{start}/{name}/standard-error", measure.standard_error
                yield f"{start}/{name}/low", measure.low
                yield f"{start}/{name}/high", measure.high
                for point, value in measure.at.items():
                    yield f"{start}/{name}/{point}", float(value)
            yield f"{start}/genuine", float(result.n_genuine)
            yield f"{start}/impostors", float(result.n_impostor)
            yield f"{start}/failures", float(result.failures)

    def to_json(self) -> str:
        """Return the results as JSON, in which numbers that are not finite are null."""
        results = [{"part": part, **attrs.asdict(result)} for part, result in self.results.items()]
        content = {"format": FORMAT, "results": _plain(results)}
        return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
