"""Evaluator of the energy analysis."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.data import Data, Split
from mtlkit.evaluators import Block, EvaluationContext, EvaluationResult, Evaluator, Section, Text
from mtlkit.plugins import LossTerm, Problem, at_least, between, one_of
from mtlkit_face.energy.curves import Curves, curves, dimension_counts, largest_fall
from mtlkit_face.energy.probes import (
    LOWER,
    UPPER,
    ProbeResults,
    X,
    Y,
    probe_accuracy,
    probe_samples,
    probed_labels,
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

_DIVISORS = (8, 4, 2)  # the overlap is reported for the strongest D/8, D/4 and D/2 dimensions


@attrs.frozen(kw_only=True)
class Energy(Evaluator):
    """Energy of each dimension of the shared features x for each task, and information left in y.

    The energy of a dimension for a task is the sum of its absolute weights in the task's linear
    head, y = W x + b (Yin & Liu, TIP 2018, eq. 13). The report has the sorted energies, the weights
    of all heads, the overlap of the tasks' strongest dimensions compared with chance, rank-1 of the
    strongest n dimensions of x and of the logits computed from them, at `points` values of n, and
    the accuracy of linear probes on x, on its two parts (`upper` is the fraction of D in the part
    with the most energy for identity), and on y. Probes are fitted on the training subjects and
    tested on those of `split`, who should not be in training.

    `probes` are the labels to probe; None means those of the side tasks, and yaw, light and
    expression if the data has them. `task`, `subject`, `split` and `gallery` are as in
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
        """Return the identification protocol, which chooses gallery and probes for rank-1."""
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
        rank1 = curves(x, heads.weights[self.task], heads.bias, order, trial, counts)
        overlaps = {side: _overlaps(vectors, self.task, side) for side in heads.side}
        half = max(1, min(len(order) - 1, round(self.upper * len(order))))
        probed = self._probe(trained, split, order, half)
        blocks: list[Block] = [
            Text(text=summary(heads, rank1)),
            sorted_chart(heads),
            *pictures(heads),
            energy_table(heads),
            curves_chart(rank1),
            *overlap_blocks(self.task, vectors, overlaps),
            *probe_blocks(probed, self.task, self.split, len(order), half),
        ]
        title = "Energy of the weights" + (f" ({self.split})" if self.split != "test" else "")
        return EvaluationResult(
            metrics=dict(self._metrics(rank1, vectors, overlaps, probed)),
            sections=(Section(title=title, blocks=tuple(blocks)),),
        )

    def _probe(
        self, trained: EvaluationContext, split: Split, order: Tensor, half: int
    ) -> dict[str, ProbeResults]:
        """Probe each label on x, on its parts of more and less energy for identity, and on y."""
        train = trained.data.train
        fitted, tested = trained.predict(train), trained.predict(split)
        results: dict[str, ProbeResults] = {}
        for label in probed_labels(self.probes, train, split, self.subject, trained.tasks):
            samples = probe_samples(label, train, split, self.subject)
            first, second = fitted.features[samples.train], tested.features[samples.test]
            logits = (
                fitted.outputs[self.task][samples.train],
                tested.outputs[self.task][samples.test],
            )
            features = {
                X: (first, second),
                UPPER: (first[:, order[:half]], second[:, order[:half]]),
                LOWER: (first[:, order[half:]], second[:, order[half:]]),
                Y: logits,
            }
            majority = int(torch.bincount(samples.train_codes).argmax())
            results[label] = ProbeResults(
                chance=(samples.test_codes == majority).double().mean().item(),
                classes=len(samples.names),
                unknown=samples.unknown,
                accuracies={
                    name: probe_accuracy(
                        train_features,
                        samples.train_codes,
                        samples.train_subjects,
                        test_features,
                        samples.test_codes,
                        samples.test_subjects,
                    )
                    for name, (train_features, test_features) in features.items()
                },
            )
        return results

    def _metrics(
        self,
        rank1: Curves,
        vectors: Mapping[str, Tensor],
        overlaps: Mapping[str, tuple[Overlap, ...]],
        probed: Mapping[str, ProbeResults],
    ) -> Iterator[tuple[str, float]]:
        start = self.prefix
        yield f"{start}/rank1/x", rank1.x[-1]
        yield f"{start}/rank1/x-best", rank1.x[rank1.best]
        yield f"{start}/rank1/x-best-dimensions", float(rank1.counts[rank1.best])
        yield f"{start}/rank1/y", rank1.y[-1]
        yield f"{start}/rank1/y-falls", largest_fall(rank1.y)
        for side, sizes in overlaps.items():
            yield f"{start}/correlation/{side}", rank_correlation(vectors[self.task], vectors[side])
            for one in sizes:
                yield f"{start}/overlap/{side}/{one.most}", float(one.shared)
                yield f"{start}/overlap/{side}/{one.most}-by-chance", one.expected
        for label, results in probed.items():
            yield f"{start}/probe/{label}/chance", results.chance
            for name, result in results.accuracies.items():
                yield f"{start}/probe/{label}/{name}", result.accuracy


def _overlaps(vectors: Mapping[str, Tensor], task: str, side: str) -> tuple[Overlap, ...]:
    size = len(vectors[task])
    sizes = dict.fromkeys(max(1, size // divisor) for divisor in _DIVISORS)
    return tuple(overlap(vectors[task], vectors[side], most) for most in sizes)
