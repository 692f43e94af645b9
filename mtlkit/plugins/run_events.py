"""The events that plugins observe. Loggers receive those of `mtlkit.loggers.events`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from mtlkit.recipe import Recipe


@attrs.frozen(kw_only=True)
class RunInfo:
    """The observed run: its folder, its recipe, and the device it computes on."""

    folder: Path
    recipe: "Recipe"
    device: str


@attrs.frozen(kw_only=True)
class RunStarted:
    """The start of a run; `step` is 0, or that of the checkpoint from which it is resumed."""

    step: int


@attrs.frozen(kw_only=True)
class EpochEnded:
    """The end of an epoch (counted from 1), and the seconds of training up to it."""

    epoch: int
    step: int
    seconds: float


@attrs.frozen(kw_only=True)
class Evaluated:
    """Metrics by name: of the validation split, or `final` ones from the evaluators."""

    step: int
    epoch: float
    metrics: Mapping[str, float]
    final: bool = False


@attrs.frozen(kw_only=True)
class CheckpointSaved:
    """A checkpoint on disk, and the step it was saved after."""

    step: int
    folder: Path


@attrs.frozen(kw_only=True)
class RunEnded:
    """The end of a run: its state (``finished``, ``interrupted``, ``failed``) and the reason."""

    state: str
    reason: str = ""


@attrs.frozen(kw_only=True)
class ProblemCompared:
    """A problem of a comparison: its name, its recipe, and what its methods reached.

    `metrics` holds for each method the mean over seeds of each test metric, by the metric's name.
    `searched` holds for a method the settings, such as ``optimizer.lr``, that its search changed
    from the recipe's.
    """

    problem: str
    recipe: "Recipe"
    metrics: Mapping[str, Mapping[str, float]]
    searched: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
