"""Protocols of pairs in folds: score, judge and report."""

from abc import abstractmethod

import attrs

from mtlkit.plugins import DataError, MultiTaskModel, above, each
from mtlkit.report import Block, Text
from mtlkit_face.metrics.charts import roc_and_det
from mtlkit_face.metrics.fold_accuracy import FoldAccuracy, fold_accuracy
from mtlkit_face.metrics.roc import Floats, Roc, roc
from mtlkit_face.protocols.embedding import ImageEmbedder, refusal
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.pairs.measures import pair_measures
from mtlkit_face.protocols.pairs.pair_set import PairSet
from mtlkit_face.protocols.pairs.scores import score_pairs
from mtlkit_face.protocols.protocol import Progress, Protocol, silence
from mtlkit_face.protocols.report_blocks import facts, tables, worst_errors
from mtlkit_face.protocols.result import ProtocolReport, ProtocolResult
from mtlkit_face.protocols.rules import RULES, matching


@attrs.frozen(kw_only=True)
class PairProtocol(Protocol):
    """A protocol of pairs in folds: accuracy, EER and AUC by fold, and TAR at each FAR of `far`."""

    far: tuple[float, ...] = attrs.field(default=(0.01, 0.001), validator=each(above(0)))

    @property
    @abstractmethod
    def title(self) -> str:
        """The set's name in the report."""

    @abstractmethod
    def read(self) -> dict[str, PairSet]:
        """The pairs of each part of the set (an only part is called ""), from its lists.

        Raises `DataError` where the lists are not as they must be.
        """

    def look(self) -> None:
        self.pair_sets()

    def pair_sets(self) -> dict[str, PairSet]:
        """The pairs of each part; `DataError` where the set is not as the mode wants it.

        No file is missing unless failures count, and each fold has both kinds of pairs.
        """
        parts = self.read()
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
                        f"only; a fold's threshold, EER and AUC need both. Set `folds` as the set "
                        f"was made, or `mode: compatible`"
                    )
            if len(set(pairs.same)) < 2:
                raise DataError(f"{self.name}: all pairs are of one kind; expected both")
        return parts

    def outcome(
        self,
        model: MultiTaskModel,
        progress: Progress = silence,
        weights: str | None = None,
    ) -> ProtocolReport:
        embedder = ImageEmbedder(self, model, progress, weights)
        parts = self.pair_sets()
        rules = RULES[self.mode]
        results: dict[str, ProtocolResult] = {}
        curves: dict[str, Roc] = {}
        errors: list[Block] = []
        for part, pairs in parts.items():
            score = score_pairs(pairs, embedder)
            judged = fold_accuracy(score, pairs.same, pairs.fold, rules.threshold)
            results[part] = self._result(pairs, score, judged, embedder)
            curves[part or "pairs"] = roc(score, pairs.same)
            first, second = (
                [pairs.pictures[place] for place in side] for side in (pairs.first, pairs.second)
            )
            errors.append(worst_errors((first, second), score, pairs.same, judged.right, embedder))
        title = self.title + ("" if self.mode is Mode.STRICT else f" ({self.mode.value})")
        return ProtocolReport(
            prefix=self.prefix,
            title=title,
            results=results,
            headlines=tuple(f"{part}/accuracy" if part else "accuracy" for part in parts),
            blocks=(
                Text(text=" ".join(_sentence(part, result) for part, result in results.items())),
                *roc_and_det(curves, title),
                *tables(results, facts(results, embedder)),
                *errors,
            ),
        )

    def _result(
        self, pairs: PairSet, score: Floats, judged: FoldAccuracy, embedder: ImageEmbedder
    ) -> ProtocolResult:
        used = [pairs.pictures[place].name for place in pairs.used()]
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
            measures=pair_measures(pairs, score, judged, self.far, RULES[self.mode]),
        )


def _sentence(part: str, result: ProtocolResult) -> str:
    accuracy = result.measures["accuracy"]
    return (
        f"{part.capitalize() + ': a' if part else 'A'}ccuracy {accuracy.value:.4f} "
        f"± {accuracy.standard_error:.4f} (standard error over {len(accuracy.folds)} folds) on "
        f"{result.n_genuine:,} genuine and {result.n_impostor:,} impostor pairs; the threshold of "
        f"each fold was chosen on the others."
    )


def expect_folds(config: PairProtocol, pairs: PairSet, folds: int, each: int) -> None:
    """Strict: the numbers of the official set, or those that the options say."""
    if config.mode is Mode.STRICT and (pairs.folds, len(pairs)) != (folds, 2 * each * folds):
        raise DataError(
            f"{config.name}: expected {folds} folds of {each} + {each} pairs, found "
            f"{pairs.version}. Complete the lists, or for another set say its `folds` and "
            f"`fold_pairs`, or set `mode: compatible`"
        )
