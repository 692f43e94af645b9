"""Base classes of evaluators."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from mtlkit.component import Component, Problem
from mtlkit.report.blocks import Section
from mtlkit.report.evaluation import MetricScale
from mtlkit.task_types import LossTerm

if TYPE_CHECKING:
    from mtlkit.data.dataset import Data
    from mtlkit.evaluators.context import EvaluationContext


@attrs.frozen(kw_only=True)
class EvaluationResult:
    """Result of an evaluator: numbers by name, the names to show first, and report sections.

    A metric's name is a path, from the general to the particular: ``validation/pose/accuracy``.
    `scales` holds the unit and the direction of metrics that have them, by the same names.
    """

    metrics: Mapping[str, float] = attrs.field(factory=dict)
    scales: Mapping[str, MetricScale] = attrs.field(factory=dict)
    headlines: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()


@attrs.frozen(kw_only=True)
class Evaluator(Component):
    """Options of an evaluator, which computes metrics and report sections of a trained model."""

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        """Yield the reasons why this evaluator does not fit the tasks, with paths in its options.

        `terms` are those of the tasks, one each, followed by those of the router.
        """
        return ()

    def check(self, data: "Data") -> None:
        """Check the data before training. Raises `DataError` if `evaluate` cannot use it."""

    @property
    def prefix(self) -> str:
        """Unique prefix of the names of all its metrics; empty if it is not fixed."""
        return ""

    @abstractmethod
    def evaluate(self, trained: "EvaluationContext") -> EvaluationResult:
        """Return the result. Raises `DataError` if the data cannot be used."""
