"""Mean ranks, Friedman's test, and Wilcoxon's signed-rank test of each pair.

Demsar, Statistical Comparisons of Classifiers over Multiple Data Sets (JMLR 2006), with Holm's
adjustment in the place of Nemenyi's test (Benavoli et al., JMLR 2016). **A block is a seed of a
problem**, in which methods rank by their mean rank over its tasks. The tasks of a run are
correlated: with each task as a separate block the test reports false differences
(docs/explanation/compare-statistics.md has the figures). So ranks are about the problems that were
run, as the verdict is; claims about problems in general take many problems, each one block.
"""

from collections.abc import Mapping, Sequence

import attrs
import numpy as np
from scipy import stats

from mtlkit.comparison.analysis.statistics import ALPHA, holm
from mtlkit.comparison.results.record import Budget
from mtlkit.comparison.results.study_results import StudyResults

_ENUMERATED = 13


@attrs.frozen(kw_only=True)
class Ranking:
    """Ranks of methods over blocks; 1 is best.

    `adjusted` has the p-value of each pair (Holm), in both orders. `friedman` is None with fewer
    than three methods or two blocks.
    """

    ranks: Mapping[str, float]  # mean over blocks, best first
    blocks: tuple[str, ...]
    friedman: float | None
    adjusted: Mapping[tuple[str, str], float]

    @property
    def powerless(self) -> bool:
        """True if no results could make any pair significantly different."""
        return smallest_p(len(self.ranks), len(self.blocks)) >= ALPHA


def smallest_p(methods: int, blocks: int) -> float:
    """Return the smallest possible adjusted p of a pair, when all blocks agree.

    >>> smallest_p(12, 4), smallest_p(12, 12) < 0.05
    (1.0, True)
    """
    pairs = methods * (methods - 1) // 2
    return min(1.0, pairs * 2.0 ** (1 - blocks))


def rank_methods(study: StudyResults, budget: Budget) -> Ranking:
    """Return the ranks of the methods that have results for half of the blocks or more.

    Only blocks that all of these methods have count.
    """
    values: dict[str, dict[str, list[float]]] = {}  # by method, block and task; higher is better
    for problem in study.problems:
        tasks = study.tasks(problem)
        for method in study.methods:
            for seed, scores in study.scores(problem, method, budget).items():
                values.setdefault(method, {})[f"{problem}, seed {seed}"] = [
                    scores[j.task] if j.higher_is_better else -scores[j.task] for j in tasks
                ]
    every = list(dict.fromkeys(block for by_block in values.values() for block in by_block))
    kept = [method for method, by_block in values.items() if 2 * len(by_block) >= len(every)]
    blocks = [block for block in every if all(block in values[method] for method in kept)]
    table: dict[str, list[float]] = {method: [] for method in kept}
    for block in blocks:
        by_task = np.array([values[method][block] for method in kept])  # (method, task)
        for method, mean in zip(kept, -stats.rankdata(-by_task, axis=0).mean(axis=1), strict=True):
            table[method].append(float(mean))
    return rank(table, blocks)


def rank(table: Mapping[str, Sequence[float]], blocks: Sequence[str]) -> Ranking:
    """Return the ranks of the methods in `table`: a value for each block, higher is better."""
    methods = list(table)
    if not methods or not blocks:
        return Ranking(ranks={}, blocks=tuple(blocks), friedman=None, adjusted={})
    values = np.array([table[method] for method in methods])  # (method, block)
    means = stats.rankdata(-values, axis=0).mean(axis=1)
    order = sorted(range(len(methods)), key=lambda i: means[i])
    pairs = [(i, j) for i in range(len(methods)) for j in range(i)]
    adjusted = holm([_wilcoxon(values[i] - values[j]) for i, j in pairs])
    both = {}
    for (i, j), p_value in zip(pairs, adjusted, strict=True):
        both[methods[i], methods[j]] = both[methods[j], methods[i]] = p_value
    return Ranking(
        ranks={methods[i]: float(means[i]) for i in order},
        blocks=tuple(blocks),
        friedman=_friedman(values),
        adjusted=both,
    )


def _friedman(values: np.ndarray) -> float | None:
    if values.shape[0] < 3 or values.shape[1] < 2:
        return None
    if (values == values[:1]).all():
        return 1.0
    return float(stats.friedmanchisquare(*values).pvalue)


def _wilcoxon(differences: np.ndarray) -> float:
    """Return the two-sided p of the signed ranks; exact up to 13 differences, even with ties.

    One matrix product covers all sign changes. SciPy iterates over them, which takes 3 s a pair
    for 13 differences with ties.
    """
    left = differences[differences != 0]
    count = len(left)
    if count == 0:
        return 1.0
    if count > _ENUMERATED:
        return float(stats.wilcoxon(left).pvalue)
    ranks = stats.rankdata(np.abs(left))
    every = (np.arange(2**count)[:, None] >> np.arange(count) & 1) @ ranks
    middle = ranks.sum() / 2
    observed = abs(ranks[left > 0].sum() - middle)
    return float((np.abs(every - middle) >= observed - 1e-9).mean())
