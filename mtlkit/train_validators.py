"""Validators of the options of a training."""

import re
from typing import TYPE_CHECKING, Any

from mtlkit.component import Rule, Validator
from mtlkit.errors import did_you_mean

if TYPE_CHECKING:
    import attrs


def device_name() -> Validator:
    """Accept ``auto``, or the name of a device such as ``cpu``, ``cuda`` or ``cuda:1``."""

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        if not isinstance(value, str) or not re.fullmatch(_DEVICE, value):
            raise ValueError(
                f"{field.name}: expected one of auto, cpu, cuda, xpu, or a number as in cuda:1, "
                f"got {value!r}{_advice(str(value))}"
            )

    return Rule(check, {"pattern": f"^({_DEVICE})$"})


_DEVICE = r"auto|cpu|(cuda|xpu)(:\d+)?"
_NO_FLOAT64 = ", which has no float64, in which sums over gradients are computed; use cpu"


def _advice(device: str) -> str:
    if device.partition(":")[0] == "mps":
        return _NO_FLOAT64
    return "; use cuda" if device == "gpu" else did_you_mean(device, ("auto", "cpu", "cuda", "xpu"))


def once_validated(callback: str, train: Any) -> str:
    """Return the message for a callback that acts on validations if there is only the last one."""
    length = f"steps: {train.steps}" if train.steps is not None else f"epochs: {train.epochs}"
    return (
        f"{callback} compares validations, got one after the last update with `evaluate_every: "
        f"{train.evaluate_every}` and `{length}`; validate more often, or remove it"
    )


def steps_or_minutes() -> Validator:
    """Accept a whole number of steps of at least 1, or minutes such as ``10 min``."""

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        steps = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        minutes = isinstance(value, str) and re.fullmatch(r"[1-9]\d* min", value)
        if not steps and not minutes:
            raise ValueError(
                f"{field.name}: expected a number of steps of at least 1, or whole minutes such as "
                f"'10 min', got {value!r}"
            )

    pattern = {"type": "string", "pattern": r"^[1-9]\d* min$"}
    return Rule(check, {"anyOf": [{"type": "integer", "minimum": 1}, pattern]})
