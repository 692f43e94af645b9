"""What all protocols have in common, as evaluators of a recipe."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence

import attrs

from mtlkit.data import Data
from mtlkit.evaluators import EvaluationContext, EvaluationResult, Evaluator
from mtlkit.plugins import LossTerm, MultiTaskModel, Problem, TaskKind, at_least, member_of
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.result import ProtocolReport

Progress = Callable[[int], None]
"""Is told how many pictures more are done."""


def silence(done: int) -> None:
    """Tells nobody."""


@attrs.frozen(kw_only=True)
class Protocol(Evaluator):
    """What all protocols have in common: how a picture is matched, and whose rules decide.

    `task` is the task whose outputs are matched. With `mirror` the template of a picture is the
    mean of its own and its mirror image's. `count_failures` counts a picture that is missing or
    cannot be read as one that nobody is recognised by; without, it stops the evaluation. None
    leaves that to the mode: strict stops, compatible counts. `batch` pictures are embedded at a
    time.
    """

    task: str = "identity"
    mode: Mode = attrs.field(default=Mode.STRICT, validator=member_of(Mode))
    mirror: bool = True
    count_failures: bool | None = None
    batch: int = attrs.field(default=128, validator=at_least(1))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        known = {term.task: term for term in terms}
        if self.task not in known:
            tasks = ", ".join(known)
            yield Problem(("task",), f"no task named {self.task!r}; the tasks are {tasks}")
        elif known[self.task].kind is not TaskKind.CLASSIFICATION:
            yield Problem(("task",), f"the task {self.task!r} predicts no classes")

    @property
    def counts_failures(self) -> bool:
        """Whether failures are counted, by the option or else by the mode."""
        return self.mode is Mode.COMPATIBLE if self.count_failures is None else self.count_failures

    @property
    @abstractmethod
    def name(self) -> str:
        """The protocol's name in a result and in the metrics."""

    @property
    def prefix(self) -> str:
        return f"face/{self.name}" + ("" if self.mode is Mode.STRICT else "/compatible")

    def check(self, data: Data) -> None:
        self.look()

    @abstractmethod
    def look(self) -> None:
        """Read the lists and look for the files; `DataError` where the set is not as it must be."""

    @abstractmethod
    def outcome(
        self,
        model: MultiTaskModel,
        progress: Progress = silence,
        weights: str | None = None,
    ) -> "ProtocolReport":
        """The result of a model, with what to show of it; `weights` is the SHA-256 of its file."""

    def evaluate(self, trained: EvaluationContext) -> EvaluationResult:
        return self.outcome(trained.model).findings()
