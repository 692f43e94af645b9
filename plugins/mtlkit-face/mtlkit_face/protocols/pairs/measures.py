"""The measures of scored pairs in folds, each with its spread over folds and an interval."""

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
BY_PAIRS = "bootstrap over pairs: who they show is not known"


def pair_measures(
    pairs: PairSet, score: Floats, judged: FoldAccuracy, fars: Sequence[float], rules: Rules
) -> dict[str, Measure]:
    """Accuracy, EER and AUC as means over folds, TAR at each FAR of `fars` over all pairs.

    The EER and the AUC of a fold without both kinds of pairs are not there, and left out.
    """
    words = BY_PAIRS if pairs.person is None else BY_PEOPLE
    ends = _intervals(pairs, score, judged, fars, rules)
    folds = [roc(score[pairs.fold == k], pairs.same[pairs.fold == k]) for k in range(pairs.folds)]
    equal = [curve.equal_error() for curve in folds]
    by_fold = {
        "accuracy": judged.accuracy.tolist(),
        "eer": [each.rate for each in equal],
        "auc": [curve.auc() for curve in folds],
    }
    found = {
        name: over_folds(values, ends[name], words, population=rules.population)
        for name, values in by_fold.items()
    }
    found["accuracy"] = _accuracy(found["accuracy"], judged)
    whole = roc(score, pairs.same)
    impostors = int((~pairs.same).sum())
    for far in fars:
        at = rules.operating(whole, far)
        name = f"tar-at-far/{far:g}"
        found[name] = Measure(
            value=at.tar,
            low=ends[name][0],
            high=ends[name][1],
            interval=words,
            at={
                "threshold": at.threshold,
                "achieved-far": at.far,
                "impostors": impostors,
                "impostors-allowed": most_allowed(impostors, far),
            },
        )
    return found


def _accuracy(measure: Measure, judged: FoldAccuracy) -> Measure:
    """With the thresholds, and Wilson's interval of all decisions, as if they were independent."""
    low, high = wilson(int(judged.right.sum()), len(judged.right))
    at = {"wilson-low": low, "wilson-high": high}
    at |= {f"threshold/{k + 1}": float(t) for k, t in enumerate(judged.threshold)}
    return attrs.evolve(measure, at=at)


def _intervals(
    pairs: PairSet, score: Floats, judged: FoldAccuracy, fars: Sequence[float], rules: Rules
) -> dict[str, Interval]:
    """The interval of each measure, thresholds of folds held as they are."""
    whole = SortedScores(score, pairs.same)
    members = [np.flatnonzero(pairs.fold == k) for k in range(pairs.folds)]
    folds = [(own, SortedScores(score[own], pairs.same[own])) for own in members]

    def statistics(weight: Floats) -> list[float]:
        curves = [ranking.roc(weight[own]) for own, ranking in folds]
        curve = whole.roc(weight)
        return [
            mean_of_finite(
                [_share(judged.right[own], pairs.same[own], weight[own]) for own in members]
            ),
            mean_of_finite([each.equal_error().rate for each in curves]),
            mean_of_finite([each.auc() for each in curves]),
            *(rules.operating(curve, far).tar for far in fars),
        ]

    names = ["accuracy", "eer", "auc", *(f"tar-at-far/{far:g}" for far in fars)]
    return dict(zip(names, percentiles(statistics, _weights(pairs)), strict=True))


def _share(right: Bools, same: Bools, weight: Floats) -> float:
    """The accuracy with as many pairs of each kind as there are: a replicate draws fewer impostor
    pairs than genuine ones wherever few people are in many of them.
    """
    shares = [
        weight[right & kind].sum() / total if (total := weight[kind].sum()) else math.nan
        for kind in (same, ~same)
    ]
    genuine = same.mean()
    return float(genuine * shares[0] + (1 - genuine) * shares[1])


def _weights(pairs: PairSet) -> Iterator[Floats]:
    """How often each pair counts in each replicate: by its people, or by itself."""
    if pairs.person is None:
        yield from resamples(len(pairs))
        return
    first, second = pairs.person[pairs.first], pairs.person[pairs.second]
    people, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    for drawn in resamples(len(people)):
        yield pair_weight(drawn, places[: len(first)], places[len(first) :])
