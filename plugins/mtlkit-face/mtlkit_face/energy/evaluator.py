"""The energy analysis as an evaluator."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from mtlkit.config import Problem, at_least, between, one_of
from mtlkit.evaluation.configs import Evaluator, Findings
from mtlkit.vocabulary import LossTerm
from mtlkit_face.identification.evaluator import Identification, frontal_and_neutral

if TYPE_CHECKING:
    from mtlkit.data.dataset import Data
    from mtlkit.evaluation.trained import Trained


@attrs.frozen(kw_only=True)
class Energy(Evaluator):
    """Which dimensions of the shared features x each task reads, and what is left in y = W x + b.

    The energy of a dimension for a task is the sum of its absolute weights in the task's linear
    head (Yin & Liu, TIP 2018, eq. 13). Shown are the energies sorted, the weights of all heads,
    the overlap of the tasks' strongest dimensions against chance, rank-1 of the strongest n
    dimensions of x and of the logits they alone give, at `points` values of n, and what linear
    probes find in x, in its halves by identity's energy, and in y. Probes learn from the training
    subjects and are judged on those of `split`, who should be strangers.

    `probes` are the labels asked for; None means those of the side tasks, and yaw, light and
    expression where the data has them. `task`, `subject`, `split` and `gallery` are as in
    `Identification`.

    >>> Energy(probes=("yaw",)).prefix
    'face/energy'
    """

    task: str = "identity"
    subject: str = "subject"
    split: str = attrs.field(default="test", validator=one_of("validation", "test"))
    gallery: Mapping[str, str | int] = attrs.field(factory=frontal_and_neutral)
    probes: tuple[str, ...] | None = None
    points: int = attrs.field(default=24, validator=at_least(2))
    upper: float = attrs.field(default=0.5, validator=between(0.05, 0.95))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        return self.protocol().problems(terms)

    def check(self, data: "Data") -> None:
        from mtlkit_face.energy.probes import probed_labels
        from mtlkit_face.identification.identify import arranged

        arranged(self.protocol(), data)
        probed_labels(self, data, {})

    @property
    def prefix(self) -> str:
        return "face/energy" if self.split == "test" else f"face/{self.split}/energy"

    def protocol(self) -> Identification:
        """Who is compared with whom, for rank-1 by dimensions."""
        return Identification(
            task=self.task, subject=self.subject, split=self.split, gallery=self.gallery
        )

    def evaluate(self, trained: "Trained") -> Findings:
        from mtlkit_face.energy.analysis import analyse

        return analyse(self, trained)
