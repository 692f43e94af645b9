"""How ways of routing stand wrong estimates of the pose (Yin & Liu, TIP 2018, section III.C)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from mtlkit.component import Problem, at_least, one_of
from mtlkit.evaluators import EvaluationResult, Evaluator
from mtlkit.task_types import LossTerm
from mtlkit_face.identification import Identification, frontal_and_neutral

if TYPE_CHECKING:
    from mtlkit.data import Data
    from mtlkit.evaluators import EvaluationContext


def _shares(_: object, field: "attrs.Attribute[Any]", value: tuple[float, ...]) -> None:
    good = len(value) > 0 and all(0 <= share <= 1 for share in value)
    if not good or len(set(value)) != len(value):
        raise ValueError(f"{field.name}: expected different numbers from 0 to 1, found {value!r}")


@attrs.frozen(kw_only=True)
class PoseErrors(Evaluator):
    """Rank-1 by best and by expected routing where a share of the pose estimates is wrong.

    That share of the images, drawn by `seed`, gets the estimate of an image of another group, as
    confident as estimates are. The paper says that expected (stochastic) routing stands errors
    better than the best group alone. `task`, whose branches are routed, `subject`, `split` and
    `gallery` are as in `Identification`. The metrics are named
    ``face/pose-errors/<share>/<way>/rank1``.

    >>> PoseErrors(shares=(0.0, 0.5)).prefix
    'face/pose-errors'
    """

    shares: tuple[float, ...] = attrs.field(default=(0.0, 0.1, 0.2, 0.4), validator=_shares)
    task: str = "identity"
    subject: str = "subject"
    split: str = attrs.field(default="test", validator=one_of("train", "validation", "test"))
    gallery: Mapping[str, str | int] = attrs.field(factory=frontal_and_neutral)
    seed: int = attrs.field(default=0, validator=at_least(0))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        found = list(self.protocol().problems(terms))
        yield from found
        if not found and all(term.task != self.task or term.name == self.task for term in terms):
            yield Problem(
                ("task",),
                f"{self.task!r} has no branches that a pose could choose; use `router: grouped`",
            )

    def check(self, data: "Data") -> None:
        self.protocol().check(data)

    @property
    def prefix(self) -> str:
        return f"{self.protocol().prefix}/pose-errors"

    def protocol(self) -> Identification:
        """Who is compared with whom."""
        return Identification(
            task=self.task, subject=self.subject, split=self.split, gallery=self.gallery
        )

    def evaluate(self, trained: "EvaluationContext") -> EvaluationResult:
        from mtlkit_face.corrupt_poses import with_pose_errors

        return with_pose_errors(self, trained)
