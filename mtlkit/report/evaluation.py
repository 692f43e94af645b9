"""The result of an evaluation as one value, and its JSON form without NaN."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from mtlkit.checksums import sealed, unsealed
from mtlkit.errors import RunError
from mtlkit.report.blocks import Block, Cell, Estimate, Section

if TYPE_CHECKING:
    import cattrs

FORMAT = 1


@attrs.frozen(kw_only=True)
class MetricScale:
    """Unit and direction of a metric; an empty unit if it has none."""

    unit: str
    higher_is_better: bool


@attrs.frozen(kw_only=True)
class Evaluation:
    """Evaluation of a trained model: everything in a report that is not in the logs.

    `facts` are for people ("backbone": "casia-net"), `budget` holds numbers by which runs may be
    compared fairly ("steps", "seconds", "parameters"), `headlines` names the metrics to show first,
    `scales` holds the units and directions of metrics that declare them, by the metrics' names.
    """

    facts: Mapping[str, str] = attrs.field(factory=dict)
    budget: Mapping[str, float] = attrs.field(factory=dict)
    headlines: tuple[str, ...] = ()
    metrics: Mapping[str, float] = attrs.field(factory=dict)
    scales: Mapping[str, MetricScale] = attrs.field(factory=dict)
    sections: tuple[Section, ...] = ()


def evaluation_to_json(evaluation: Evaluation) -> str:
    """Return the evaluation as JSON text with its checksum; NaN and infinity become null.

    >>> evaluation_from_json(evaluation_to_json(Evaluation(metrics={"a": 0.5}))).metrics
    {'a': 0.5}
    """
    fields = {"format": FORMAT, **_converter().unstructure(evaluation)}
    return f"{sealed(fields, indent=1)}\n"


def evaluation_from_json(text: str | bytes, place: str = "evaluation.json") -> Evaluation:
    """Return the evaluation stored as `text`; raise `RunError` with `place` if it is invalid."""
    import cattrs

    remedy = "run `mtlkit evaluate` to make it anew"
    try:
        value = unsealed(text)
    except ValueError as cause:
        raise RunError(f"{place}: cannot be used: {cause}; {remedy}") from cause
    version = value.get("format")
    if version != FORMAT:
        raise RunError(f"{place}: expected format {FORMAT}, got {version!r}; {remedy}")
    del value["format"]
    try:
        return _converter().structure(value, Evaluation)
    except cattrs.BaseValidationError as cause:
        mistakes = "; ".join(cattrs.transform_error(cause))
        raise RunError(f"{place}: {mistakes}; {remedy}") from cause


def read_metrics(value: Mapping[str, Any]) -> Evaluation:
    """Return the metrics, scales and headlines of an evaluation read as JSON, without cattrs.

    Raises `KeyError`, `TypeError` or `ValueError` if `value` is not an evaluation.
    """
    if value["format"] != FORMAT:
        raise ValueError(f"got format {value['format']!r}, expected {FORMAT}")
    metrics = {name: _number(item, float) for name, item in value["metrics"].items()}
    scales = {name: MetricScale(**scale) for name, scale in value.get("scales", {}).items()}
    return Evaluation(metrics=metrics, scales=scales, headlines=tuple(value["headlines"]))


def _converter() -> "cattrs.Converter":
    import cattrs
    from cattrs.strategies import configure_tagged_union

    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_unstructure_hook(float, lambda x: x if math.isfinite(x) else None)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_func(lambda kind: kind == str | int | float, lambda x, _: x)
    converter.register_structure_hook_func(
        lambda kind: kind == Cell,
        lambda x, _: converter.structure(x, Estimate) if isinstance(x, dict) else x,
    )
    configure_tagged_union(Block, converter, tag_name="block")
    return converter


def _number(value: Any, _: type) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {value!r}")
    return float(value)
