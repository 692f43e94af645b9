"""The base of all protocols, which are evaluators."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence

import attrs

from mtlkit.data import ClassTarget, Data, Frame
from mtlkit.evaluators import EvaluationContext, EvaluationResult, Evaluator
from mtlkit.plugins import LossTerm, MultiTaskModel, Problem, at_least, member_of
from mtlkit_face.metrics.intervals import REPLICATES
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.result import ProtocolReport

Progress = Callable[[int, int], None]
"""Called after each batch with the number of pictures done and the total."""


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""


@attrs.frozen(kw_only=True)
class Protocol(Evaluator):
    """Base of all protocols: the options of matching, and the mode.

    `task` is the task whose outputs are matched. With `mirror` the template of a picture is the
    mean over it and its mirror image. With `count_failures` a missing or unreadable picture is
    counted as never matched; otherwise it stops the evaluation. None is the default of the mode:
    strict stops, compatible counts. `batch` pictures are embedded at once. Intervals are by
    `replicates` of a bootstrap over people.
    """

    task: str = "identity"
    mode: Mode = attrs.field(default=Mode.STRICT, validator=member_of(Mode))
    mirror: bool = True
    count_failures: bool | None = None
    batch: int = attrs.field(default=128, validator=at_least(1))
    replicates: int = attrs.field(default=REPLICATES, validator=at_least(1))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        by_task = {term.task: term for term in terms}
        if self.task not in by_task:
            tasks = ", ".join(by_task)
            yield Problem(("task",), f"no task named {self.task!r}; the tasks are {tasks}")
        elif not by_task[self.task].predicts(ClassTarget):
            yield Problem(("task",), f"the task {self.task!r} predicts no classes")

    @property
    def counts_failures(self) -> bool:
        """True if failures are counted, by the option or else by the mode."""
        return self.mode is Mode.COMPATIBLE if self.count_failures is None else self.count_failures

    @property
    @abstractmethod
    def name(self) -> str:
        """The protocol's name in results and metrics."""

    @property
    def prefix(self) -> str:
        return f"face/{self.name}" + ("" if self.mode is Mode.STRICT else "/compatible")

    def check(self, data: Data) -> None:
        self.verify()

    @abstractmethod
    def verify(self) -> None:
        """Read the lists and look up the files; raises `DataError` if the set is invalid."""

    @abstractmethod
    def outcome(
        self,
        model: MultiTaskModel,
        progress: Progress = no_progress,
        weights: str | None = None,
        frame: Frame | None = None,
    ) -> "ProtocolReport":
        """Evaluate a model, and return results and report.

        `weights` is the SHA-256 of its file, and `frame` the frame of its training images; None is
        the largest centered rectangle.
        """

    def evaluate(self, context: EvaluationContext) -> EvaluationResult:
        return self.outcome(context.model, frame=context.data.frame).evaluation_result()
