"""The family of evaluators."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from mtlkit.component import Component, Problem
from mtlkit.report.blocks import Section
from mtlkit.task_types import LossTerm

if TYPE_CHECKING:
    from mtlkit.data.dataset import Data
    from mtlkit.evaluators.context import EvaluationContext


@attrs.frozen(kw_only=True)
class EvaluationResult:
    """What an evaluator found: numbers by name, those to show first, and what to show of them.

    A metric's name is a path, from the general to the particular: ``validation/pose/accuracy``.
    """

    metrics: Mapping[str, float] = attrs.field(factory=dict)
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
