"""The family of evaluators."""

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
    """A question asked of a trained model; what is wrong with it is found before training."""

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        """Why this cannot be asked of these tasks; paths start from its options.

        `terms` are the tasks' own, one each, and after them those of the router.
        """
        return ()

    def check(self, data: "Data") -> None:
        """A quick look, before training; `DataError` where the data cannot answer."""

    @property
    def prefix(self) -> str:
        """What all its metrics' names start with, unlike another's; empty where that may vary."""
        return ""

    @abstractmethod
    def evaluate(self, trained: "EvaluationContext") -> EvaluationResult:
        """The answer; `DataError` where the data cannot answer it."""
