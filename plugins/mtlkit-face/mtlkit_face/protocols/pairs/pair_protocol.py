"""Protocols of pairs in folds: scores, measures and report."""

from abc import abstractmethod
from typing import Any

import attrs

from mtlkit.data import Frame
from mtlkit.evaluators import Block, Text
from mtlkit.plugins import DataError, MultiTaskModel, above, at_least, each
from mtlkit_face.metrics.charts import roc_and_det, score_histogram
from mtlkit_face.metrics.fold_accuracy import FoldAccuracy, fold_accuracy
from mtlkit_face.metrics.roc import Floats, Roc, roc
from mtlkit_face.protocols.embedding import ImageEmbedder, refusal
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.pairs.measures import pair_measures
from mtlkit_face.protocols.pairs.pair_set import PairSet
from mtlkit_face.protocols.pairs.scores import score_parts
from mtlkit_face.protocols.protocol import Progress, Protocol, no_progress
from mtlkit_face.protocols.report_blocks import facts, tables, worst_errors
from mtlkit_face.protocols.result import ProtocolReport, ProtocolResult
from mtlkit_face.protocols.rules import RULES, matching
from mtlkit_face.protocols.score_file import ScoredComparisons


def _two_or_none(_: object, field: "attrs.Attribute[Any]", value: tuple[int, ...]) -> None:
    if len(value) == 1 or len(set(value)) < len(value):
        raise ValueError(
            f"{field.name}: got {', '.join(map(str, value))}, expected two different folds or "
            f"more: the threshold of a fold is chosen on the others"
        )


@attrs.frozen(kw_only=True)
class PairProtocol(Protocol):
    """A protocol of pairs in folds: accuracy, EER and AUC by fold, and TAR at each FAR of `far`.

    With `folds`, numbers from 1, only these folds of the set are used: the threshold of each is
    chosen on the others of them. Use it if the network has seen the people of the other folds.
    """

    folds: tuple[int, ...] = attrs.field(default=(), validator=[each(at_least(1)), _two_or_none])
    far: tuple[float, ...] = attrs.field(default=(0.01, 0.001), validator=each(above(0)))

    @property
    @abstractmethod
    def title(self) -> str:
        """The set's name in the report."""

    @abstractmethod
    def read(self) -> dict[str, PairSet]:
        """Read the pairs of each part of the set (a single part is called "") from its lists.

        Raises `DataError` if the lists are invalid.
        """

    def verify(self) -> None:
        self.pair_sets()

    def pair_sets(self) -> dict[str, PairSet]:
        """Read the pairs of each part, and raise `DataError` if the mode does not accept the set.

        Files may be missing only if failures count, and strict folds need both kinds of pairs.
        """
        parts = {
            part: pairs.only(self.folds, self.name) if self.folds else pairs
            for part, pairs in self.read().items()
        }
        missing = dict.fromkeys(
            (name for pairs in parts.values() for name in pairs.missing()), "is missing"
        )
        if missing and not self.counts_failures:
            raise DataError(refusal(self.name, missing))
        for pairs in parts.values():
            for fold in range(pairs.folds):
                if self.mode is Mode.STRICT and len(set(pairs.same[pairs.fold == fold])) < 2:
                    raise DataError(
                        f"{self.name}: the fold {fold + 1} of {pairs.folds} has pairs of one kind "
                        f"only; a fold's threshold, EER and AUC need both. Set `fold_count` to the "
                        f"number of the set, or `mode: compatible`"
                    )
            if len(set(pairs.same)) < 2:
                raise DataError(f"{self.name}: all pairs are of one kind; expected both")
        return parts

    def outcome(
        self,
        model: MultiTaskModel,
        progress: Progress = no_progress,
        weights: str | None = None,
        frame: Frame | None = None,
    ) -> ProtocolReport:
        embedder = ImageEmbedder(self, model, progress, weights, frame)
        parts = self.pair_sets()
        rules = RULES[self.mode]
        results: dict[str, ProtocolResult] = {}
        curves: dict[str, Roc] = {}
        errors: list[Block] = []
        histograms: list[Block] = []
        scores = score_parts(parts, embedder)
        for part, pairs in parts.items():
            score = scores[part]
            decisions = fold_accuracy(score, pairs.same, pairs.fold, rules.threshold)
            results[part] = self._result(pairs, score, decisions, embedder)
            curves[part or "pairs"] = roc(score, pairs.same)
            histograms.append(
                score_histogram(
                    score[pairs.same],
                    score[~pairs.same],
                    thresholds={"mean of folds": float(decisions.threshold.mean())},
                    title=f"Scores of genuine and impostor pairs: {part or self.title}",
                )
            )
            first, second = (
                [pairs.pictures[i] for i in side] for side in (pairs.first, pairs.second)
            )
            errors.append(
                worst_errors((first, second), score, pairs.same, decisions.right, embedder)
            )
        title = self.title + ("" if self.mode is Mode.STRICT else f" ({self.mode.value})")
        return ProtocolReport(
            prefix=self.prefix,
            title=title,
            results=results,
            headlines=tuple(f"{part}/accuracy" if part else "accuracy" for part in parts),
            blocks=(
                Text(text=" ".join(_sentence(part, result) for part, result in results.items())),
                *roc_and_det(curves, title),
                *histograms,
                *tables(results, facts(results, embedder)),
                *errors,
            ),
            scores=tuple(_comparisons(part, pairs, scores[part]) for part, pairs in parts.items()),
        )

    def _result(
        self, pairs: PairSet, score: Floats, decisions: FoldAccuracy, embedder: ImageEmbedder
    ) -> ProtocolResult:
        used = [pairs.pictures[i].name for i in pairs.used()]
        failed = {name: embedder.failed[name] for name in used if name in embedder.failed}
        return ProtocolResult(
            protocol=self.name,
            version=pairs.version,
            mode=self.mode.value,
            matching=matching(self.mode, self.mirror),
            weights=embedder.weights,
            preprocessing=embedder.preprocessing,
            n_genuine=int(pairs.same.sum()),
            n_impostor=int((~pairs.same).sum()),
            pictures=len(used),
            failures=len(failed),
            failed=dict(list(failed.items())[:20]),
            measures=pair_measures(
                pairs, score, decisions, self.far, RULES[self.mode], self.replicates
            ),
        )


def _sentence(part: str, result: ProtocolResult) -> str:
    accuracy = result.measures["accuracy"]
    return (
        f"{part.capitalize() + ': a' if part else 'A'}ccuracy {accuracy.value:.4f} "
        f"± {accuracy.standard_error:.4f} (standard error over {len(accuracy.folds)} folds) on "
        f"{result.n_genuine:,} genuine and {result.n_impostor:,} impostor pairs; the threshold of "
        f"each fold is selected on the others."
    )


def _comparisons(part: str, pairs: PairSet, score: Floats) -> ScoredComparisons:
    first, second = ([pairs.pictures[i].name for i in side] for side in (pairs.first, pairs.second))
    return ScoredComparisons(
        part=part,
        fold=[pairs.number_of(fold) for fold in pairs.fold.tolist()],
        first=first,
        second=second,
        same=pairs.same,
        score=score,
    )


def expect_folds(config: PairProtocol, pairs: PairSet, folds: int, fold_pairs: int) -> None:
    """Raise `DataError` in strict mode if the set has other numbers than the options."""
    if config.mode is Mode.STRICT and (pairs.folds, len(pairs)) != (folds, 2 * fold_pairs * folds):
        raise DataError(
            f"{config.name}: expected {folds} folds of {fold_pairs} + {fold_pairs} pairs, got "
            f"{pairs.version}. Complete the lists, or set `fold_count` and `fold_pairs` of "
            f"the set, or `mode: compatible`"
        )
