"""The energy analysis as an evaluator."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.data import Data, Split
from mtlkit.evaluators import EvaluationContext, EvaluationResult, Evaluator
from mtlkit.plugins import LossTerm, Problem, at_least, between, one_of
from mtlkit.report import Block, Section, Text
from mtlkit_face.energy.curves import Curves, curves, dimension_counts, largest_fall
from mtlkit_face.energy.probes import (
    LOWER,
    UPPER,
    Probed,
    X,
    Y,
    probed_labels,
    read,
    samples_of,
)
from mtlkit_face.energy.report_blocks import (
    curves_chart,
    energy_table,
    overlap_blocks,
    pictures,
    probe_blocks,
    sorted_chart,
    summary,
)
from mtlkit_face.energy.vectors import (
    Overlap,
    linear_heads,
    overlap,
    rank_correlation,
    strongest,
)
from mtlkit_face.identification.evaluator import Identification, frontal_and_neutral

_SHARES = (8, 4, 2)  # of D: the sizes of the sets whose overlap is put into numbers


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

    def check(self, data: Data) -> None:
        split, _ = self.protocol().arrange(data)
        probed_labels(self.probes, data.train, split, self.subject, {})

    @property
    def prefix(self) -> str:
        return "face/energy" if self.split == "test" else f"face/{self.split}/energy"

    def protocol(self) -> Identification:
        """Who is compared with whom, for rank-1 by dimensions."""
        return Identification(
            task=self.task, subject=self.subject, split=self.split, gallery=self.gallery
        )

    def evaluate(self, trained: EvaluationContext) -> EvaluationResult:
        heads = linear_heads(trained, self.task)
        split, trial = self.protocol().arrange(trained.data)
        vectors = heads.energy()
        order = strongest(vectors[self.task])
        x = trained.predict(split).features
        counts = dimension_counts(len(order), self.points)
        found = curves(x, heads.weights[self.task], heads.bias, order, trial, counts)
        overlaps = {side: _overlaps(vectors, self.task, side) for side in heads.side}
        half = max(1, min(len(order) - 1, round(self.upper * len(order))))
        probed = self._probe(trained, split, order, half)
        blocks: list[Block] = [
            Text(text=summary(heads, found)),
            sorted_chart(heads),
            *pictures(heads),
            energy_table(heads),
            curves_chart(found),
            *overlap_blocks(self.task, vectors, overlaps),
            *probe_blocks(probed, self.task, self.split, len(order), half),
        ]
        title = "Energy of the weights" + (f" ({self.split})" if self.split != "test" else "")
        return EvaluationResult(
            metrics=dict(self._metrics(found, vectors, overlaps, probed)),
            sections=(Section(title=title, blocks=tuple(blocks)),),
        )

    def _probe(
        self, trained: EvaluationContext, split: Split, order: Tensor, half: int
    ) -> dict[str, Probed]:
        """What is read of each label from x, from its halves by identity's energy, and from y."""
        train = trained.data.train
        known, asked = trained.predict(train), trained.predict(split)
        found: dict[str, Probed] = {}
        for label in probed_labels(self.probes, train, split, self.subject, trained.tasks):
            samples = samples_of(label, train, split, self.subject)
            first, second = known.features[samples.known], asked.features[samples.asked]
            logits = (
                known.outputs[self.task][samples.known],
                asked.outputs[self.task][samples.asked],
            )
            features = {
                X: (first, second),
                UPPER: (first[:, order[:half]], second[:, order[:half]]),
                LOWER: (first[:, order[half:]], second[:, order[half:]]),
                Y: logits,
            }
            usual = int(torch.bincount(samples.codes).argmax())
            found[label] = Probed(
                chance=(samples.wanted == usual).double().mean().item(),
                classes=len(samples.names),
                strays=samples.strays,
                readings={
                    name: read(
                        learned,
                        samples.codes,
                        samples.subjects,
                        judged,
                        samples.wanted,
                        samples.owners,
                    )
                    for name, (learned, judged) in features.items()
                },
            )
        return found

    def _metrics(
        self,
        found: Curves,
        vectors: Mapping[str, Tensor],
        overlaps: Mapping[str, tuple[Overlap, ...]],
        probed: Mapping[str, Probed],
    ) -> Iterator[tuple[str, float]]:
        start = self.prefix
        yield f"{start}/rank1/x", found.x[-1]
        yield f"{start}/rank1/x-best", found.x[found.best]
        yield f"{start}/rank1/x-best-dimensions", float(found.counts[found.best])
        yield f"{start}/rank1/y", found.y[-1]
        yield f"{start}/rank1/y-falls", largest_fall(found.y)
        for side, each in overlaps.items():
            yield f"{start}/correlation/{side}", rank_correlation(vectors[self.task], vectors[side])
            for one in each:
                yield f"{start}/overlap/{side}/{one.most}", float(one.shared)
                yield f"{start}/overlap/{side}/{one.most}-by-chance", one.expected
        for label, one_label in probed.items():
            yield f"{start}/probe/{label}/chance", one_label.chance
            for name, reading in one_label.readings.items():
                yield f"{start}/probe/{label}/{name}", reading.accuracy


def _overlaps(vectors: Mapping[str, Tensor], task: str, side: str) -> tuple[Overlap, ...]:
    size = len(vectors[task])
    sizes = dict.fromkeys(max(1, size // share) for share in _SHARES)
    return tuple(overlap(vectors[task], vectors[side], most) for most in sizes)
