"""Measures of scored pairs in folds, with their spread over folds and intervals."""

import math
from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from mtlkit_face.metrics.fold_accuracy import FoldAccuracy
from mtlkit_face.metrics.intervals import (
    Interval,
    mean_of_finite,
    pair_weight,
    percentiles,
    resamples,
    wilson,
)
from mtlkit_face.metrics.operating_point import most_allowed
from mtlkit_face.metrics.roc import Bools, Floats, SortedScores, roc
from mtlkit_face.protocols.pairs.pair_set import PairSet
from mtlkit_face.protocols.result import Measure, over_folds
from mtlkit_face.protocols.rules import Rules

BY_PEOPLE = "bootstrap over people"
BY_PAIRS = "bootstrap over pairs: their people are unknown"


def pair_measures(
    pairs: PairSet,
    score: Floats,
    decisions: FoldAccuracy,
    fars: Sequence[float],
    rules: Rules,
    replicates: int,
) -> dict[str, Measure]:
    """Return accuracy, EER and AUC as means over folds, and TAR at each FAR over all pairs.

    Folds without both kinds of pairs are left out of EER and AUC.
    """
    method = BY_PAIRS if pairs.person is None else BY_PEOPLE
    ends = _intervals(pairs, score, decisions, fars, rules, replicates)
    folds = [roc(score[pairs.fold == k], pairs.same[pairs.fold == k]) for k in range(pairs.folds)]
    equal = [curve.equal_error() for curve in folds]
    by_fold = {
        "accuracy": decisions.accuracy.tolist(),
        "eer": [point.rate for point in equal],
        "auc": [curve.auc() for curve in folds],
    }
    measures = {
        name: over_folds(values, ends[name], method, population=rules.population)
        for name, values in by_fold.items()
    }
    measures["accuracy"] = _accuracy(measures["accuracy"], decisions, pairs)
    whole = roc(score, pairs.same)
    impostors = int((~pairs.same).sum())
    for far in fars:
        at = rules.operating(whole, far)
        name = f"tar-at-far/{far:g}"
        measures[name] = Measure(
            value=at.tar,
            low=ends[name][0],
            high=ends[name][1],
            interval=method,
            at={
                "threshold": at.threshold,
                "achieved-far": at.far,
                "impostors": impostors,
                "impostors-allowed": most_allowed(impostors, far),
            },
        )
    return measures


def _accuracy(measure: Measure, decisions: FoldAccuracy, pairs: PairSet) -> Measure:
    """Add the thresholds, and Wilson's interval of all decisions, as if they were independent."""
    low, high = wilson(int(decisions.right.sum()), len(decisions.right))
    at = {"wilson-low": low, "wilson-high": high}
    for fold, threshold in enumerate(decisions.threshold.tolist()):
        at[f"threshold/{pairs.number_of(fold)}"] = threshold
    return attrs.evolve(measure, at=at)


def _intervals(
    pairs: PairSet,
    score: Floats,
    decisions: FoldAccuracy,
    fars: Sequence[float],
    rules: Rules,
    replicates: int,
) -> dict[str, Interval]:
    """Return the interval of each measure, with the thresholds of folds fixed."""
    whole = SortedScores(score, pairs.same)
    members = [np.flatnonzero(pairs.fold == k) for k in range(pairs.folds)]
    folds = [(fold, SortedScores(score[fold], pairs.same[fold])) for fold in members]

    def statistics(weight: Floats) -> list[float]:
        curves = [ranking.roc(weight[fold]) for fold, ranking in folds]
        overall = whole.roc(weight)
        return [
            mean_of_finite(
                [_accuracy_of(decisions.right[f], pairs.same[f], weight[f]) for f in members]
            ),
            mean_of_finite([curve.equal_error().rate for curve in curves]),
            mean_of_finite([curve.auc() for curve in curves]),
            *(rules.operating(overall, far).tar for far in fars),
        ]

    names = ["accuracy", "eer", "auc", *(f"tar-at-far/{far:g}" for far in fars)]
    return dict(zip(names, percentiles(statistics, _weights(pairs, replicates)), strict=True))


def _accuracy_of(right: Bools, same: Bools, weight: Floats) -> float:
    """Return the weighted accuracy of a fold, with its unweighted proportion of genuine pairs.

    A replicate draws fewer impostor pairs than genuine ones if few people are in many of them.
    """
    rates = [
        weight[right & kind].sum() / total if (total := weight[kind].sum()) else math.nan
        for kind in (same, ~same)
    ]
    genuine = same.mean()
    return float(genuine * rates[0] + (1 - genuine) * rates[1])


def _weights(pairs: PairSet, replicates: int) -> Iterator[Floats]:
    """Yield the weight of each pair in each replicate, by its people, or else by itself."""
    if pairs.person is None:
        yield from resamples(len(pairs), replicates)
        return
    first, second = pairs.person[pairs.first], pairs.person[pairs.second]
    people, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    for drawn in resamples(len(people), replicates):
        yield pair_weight(drawn, codes[: len(first)], codes[len(first) :])
