"""Identification of unseen subjects: one gallery image of each, all other images are probes.

The protocol of Yin & Liu (TIP 2018), section IV: rank-1 by the cosine of identity logits, for a
network with pose branches by eq. 12.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from mtlkit.config import Problem, one_of
from mtlkit.evaluation.configs import Evaluator, Findings
from mtlkit.vocabulary import Kind, LossTerm

if TYPE_CHECKING:
    from mtlkit.data.dataset import Data
    from mtlkit.evaluation.trained import Trained


def frontal_and_neutral() -> dict[str, str | int]:
    """The labels of the paper's gallery images."""
    return {"yaw": 0, "expression": "neutral"}


@attrs.frozen(kw_only=True)
class Identification(Evaluator):
    """Rank-1 and CMC of a split's subjects against a gallery of one image each.

    `gallery` are the labels of a gallery image; a subject's first image that has them is taken.
    Where the data has a label `neutral_light`, an image for which it is no is refused, unless
    `gallery` names that label.

    `by` is the label to break results down by; None means yaw where the data has it. `groups` are
    classes of `by` taken together; None means the router's groups, or for yaw the paper's three.
    Rank-1 by yaw is also given without its sign, ``rank1/abs-yaw/45``, with the plain mean over
    these bins, ``rank1/yaw-mean``, in which each counts once.
    Raw pixels are matched beside the network, as a baseline without learning. The metrics are named
    ``face/...``, those of another split than test ``face/validation/...``.

    >>> Identification(gallery={"pose": "straight"}, by="pose").split
    'test'
    """

    task: str = "identity"
    subject: str = "subject"
    split: str = attrs.field(default="test", validator=one_of("train", "validation", "test"))
    gallery: Mapping[str, str | int] = attrs.field(factory=frontal_and_neutral)
    by: str | None = None
    groups: Mapping[str, tuple[str | int | float, ...]] | None = None

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        known = {term.task: term for term in terms}
        if self.task not in known:
            tasks = ", ".join(known)
            yield Problem(("task",), f"no task named {self.task!r}; the tasks are {tasks}")
        elif known[self.task].kind is not Kind.CLASSIFICATION:
            yield Problem(("task",), f"the task {self.task!r} predicts no classes")

    def check(self, data: "Data") -> None:
        from mtlkit_face.identification.identify import arranged

        arranged(self, data)

    @property
    def prefix(self) -> str:
        return "face" if self.split == "test" else f"face/{self.split}"

    def evaluate(self, trained: "Trained") -> Findings:
        from mtlkit_face.identification.identify import identify

        return identify(self, trained)
