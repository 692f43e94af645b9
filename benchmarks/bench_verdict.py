"""Measure the error rates and the power of the verdict on studies with known differences.

``python benchmarks/bench_verdict.py --studies 1000 --out benchmarks/results`` prints the tables and
writes them to ``verdict.md``. A study has 12 methods and four tasks, whose errors have a standard
standard deviation of 1% and correlate by 0.5 within a run.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import numpy as np
from scipy import stats
from synthetic_study import Truth, draw_study

from mtlkit.comparison.analysis.baseline_tests import (
    ComparisonFamily,
    compare_all,
    compare_with_placebo,
)
from mtlkit.comparison.analysis.power import detectable
from mtlkit.comparison.analysis.statistics import ALPHA, bootstrap_mean, holm, student_mean
from mtlkit.comparison.results.record import Budget

SEEDS = (5, 10)
NOISES = ("normal", "unequal", "heavy", "skewed", "counted")
EFFECTS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0)


def families(truth: Truth, studies: int) -> Iterator[ComparisonFamily]:
    """Yield the family of tests of the verdict for each study."""
    for number in range(studies):
        study = draw_study(truth, np.random.default_rng(number))
        yield compare_all(study, Budget.EPOCHS)


def errors(studies: int) -> Iterator[str]:
    """Yield the rates at which a test shows a difference if there is none, by noise."""
    yield "| noise | seeds | the verdict | one difference, unadjusted | " + (
        " | ".join(f"{name}, against equal" for name in TESTS) + " |"
    )
    yield "|---|---|" + "---|" * (2 + len(TESTS))
    for noise in NOISES:
        for seeds in SEEDS:
            shown, single, others = 0, [], dict.fromkeys(TESTS, 0)
            for family in families(Truth(noise=noise, seeds=seeds), studies):
                shown += any(c.shown for c in family.comparisons)
                single += [c.p_value < ALPHA for c in family.comparisons]
                deltas = np.array([c.differences for c in family.against("faces", "equal")])
                for name, test in TESTS.items():
                    others[name] += test(deltas)
            rates = [shown / studies, float(np.mean(single))]
            rates += [count / studies for count in others.values()]
            yield f"| {noise} | {seeds} | " + " | ".join(f"{r:.1%}" for r in rates) + " |"
    truth = Truth(problems=("a", "b", "c"), seeds=5)
    shown = sum(any(c.shown for c in f.comparisons) for f in families(truth, studies))
    rest = " | ".join([""] * (1 + len(TESTS)))
    yield f"| normal, three problems | 5 | {shown / studies:.1%} | {rest} |"


def closely(studies: int) -> Iterator[str]:
    """Yield the rates of the first table closest to the significance level, from more studies."""
    yield "| noise | seeds | the verdict | its standard error |"
    yield "|---|---|---|---|"
    for noise in ("normal", "counted"):
        shown = [any(c.shown for c in f.comparisons) for f in families(Truth(noise=noise), studies)]
        rate = float(np.mean(shown))
        error = float(np.sqrt(rate * (1 - rate) / studies))
        yield f"| {noise} | 5 | {rate:.2%} | {error:.2%} |"


def _student(deltas: np.ndarray) -> bool:
    return min(holm([float(p) for p in stats.ttest_1samp(deltas, 0.0, axis=1).pvalue])) < ALPHA


def _permutation(deltas: np.ndarray) -> bool:
    """Return whether the permutation test with all 2^n sign changes rejects."""
    seeds = deltas.shape[1]
    signs = 1 - 2 * (np.arange(2**seeds)[:, None] >> np.arange(seeds) & 1)
    means = np.abs(deltas @ signs.T)  # (method, change of sign)
    p_values = (means >= np.abs(deltas.sum(axis=1, keepdims=True)) - 1e-9).mean(axis=1)
    return min(holm([float(p) for p in p_values])) < ALPHA


def _wilcoxon(deltas: np.ndarray) -> bool:
    return min(holm([float(stats.wilcoxon(row).pvalue) for row in deltas])) < ALPHA


def _pooled(deltas: np.ndarray) -> bool:
    """Return whether a two-way analysis of variance with one std for all methods rejects (Holm)."""
    table = np.vstack([np.zeros(deltas.shape[1]), deltas])
    left = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    error = np.sqrt(2 * (left**2).sum() / freedom / table.shape[1])
    p_values = 2 * stats.t.sf(np.abs(deltas.mean(axis=1)) / error, freedom)
    return min(holm([float(p) for p in p_values])) < ALPHA


TESTS: dict[str, Callable[[np.ndarray], bool]] = {
    "Student": _student,
    "permutation": _permutation,
    "Wilcoxon": _wilcoxon,
    "pooled variance": _pooled,
}


def power(studies: int) -> Iterator[str]:
    """Yield the rates at which a better method is shown to be better than equal weights."""
    yield "| true delta-m | " + " | ".join(f"{seeds} seeds" for seeds in SEEDS) + " |"
    yield "|---|" + "---|" * len(SEEDS)
    for effect in EFFECTS:
        rates = []
        for seeds in SEEDS:
            truth = Truth(seeds=seeds, effects={"famo": effect})
            comparisons = [f.of("faces", "famo", "equal") for f in families(truth, studies)]
            rates.append(sum(c is not None and c.better for c in comparisons) / studies)
        yield f"| {effect:g}% | " + " | ".join(f"{rate:.0%}" for rate in rates) + " |"
    few = list(families(Truth(), 200))
    spread = float(np.mean([np.std(c.differences, ddof=1) for f in few for c in f.comparisons]))
    predicted = [detectable(spread, seeds, few[0].alpha) for seeds in SEEDS]
    yield ""
    yield (
        f"The power analysis puts 80% at {predicted[0]:.1f}% and {predicted[1]:.1f}% "
        f"(mean std of a paired difference {spread:.2f}%, {len(few[0].comparisons)} tests)."
    )


def placebo(studies: int) -> Iterator[str]:
    """Yield the rates at which the best method is not shown to be better than the placebo."""
    yield "| true delta-m of the best | " + " | ".join(f"{seeds} seeds" for seeds in SEEDS) + " |"
    yield "|---|" + "---|" * len(SEEDS)
    for effect in (0.0, 2.0, 4.0, 6.0):
        rates = []
        for seeds in SEEDS:
            warned = 0
            for number in range(studies):
                truth = Truth(seeds=seeds, effects={"famo": effect})
                study = draw_study(truth, np.random.default_rng(number))
                family = compare_with_placebo(study, Budget.EPOCHS)
                best = max(family.comparisons, key=lambda c: sum(c.differences))
                warned += not best.better
            rates.append(warned / studies)
        yield f"| {effect:g}% | " + " | ".join(f"{rate:.0%}" for rate in rates) + " |"


def coverage(studies: int) -> Iterator[str]:
    """Yield the rates at which a 95% interval contains the true mean."""
    yield "| differences | seeds | bootstrap, BCa | bootstrap, percentile | Student |"
    yield "|---|---|---|---|---|"
    draws: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
        "normal": lambda rng, n: rng.normal(size=n),
        "heavy": lambda rng, n: rng.standard_t(3, n),
        "skewed": lambda rng, n: rng.lognormal(0, 1, n) - np.exp(0.5),
    }
    for name, draw in draws.items():
        for seeds in SEEDS:
            hits = np.zeros(3)
            for number in range(studies):
                sample = draw(np.random.default_rng(number), seeds)
                plain = stats.bootstrap((sample,), np.mean, method="percentile", rng=number)
                bca, student = bootstrap_mean(list(sample)), student_mean(list(sample))
                hits += [
                    bca.low <= 0 <= bca.high,
                    plain.confidence_interval.low <= 0 <= plain.confidence_interval.high,
                    student.low <= 0 <= student.high,
                ]
            rates = " | ".join(f"{rate:.1%}" for rate in hits / studies)
            yield f"| {name} | {seeds} | {rates} |"


def blocks(studies: int) -> Iterator[str]:
    """Yield the rates at which Friedman's test rejects if no method is better on average.

    Three problems of four tasks, five seeds. If methods differ by problem, each is better on some
    and worse on others, by 1% (one std).
    """
    names = ("task of a problem", "task and seed", "seed of a problem", "problem")
    yield "| what differs | " + " | ".join(f"a block is a {name}" for name in names) + " |"
    yield "|---|" + "---|" * len(names)
    for what, interaction in (("nothing", 0.0), ("methods, by problem", 1.0)):
        rejected = np.zeros(len(names))
        for number in range(studies):
            rng = np.random.default_rng(number)
            shift = interaction * rng.normal(size=(12, 3, 1, 1))  # method, problem, task, seed
            run = np.sqrt(0.5) * rng.normal(size=(12, 3, 1, 5))
            values = shift + run + np.sqrt(0.5) * rng.normal(size=(12, 3, 4, 5))
            by_task = -stats.rankdata(-values, axis=0).mean(axis=2)
            tables = (values.mean(axis=3), values, by_task, by_task.mean(axis=2))
            for index, table in enumerate(tables):
                rows = [row.ravel() for row in table]
                rejected[index] += stats.friedmanchisquare(*rows).pvalue < ALPHA
        yield f"| {what} | " + " | ".join(f"{rate:.1%}" for rate in rejected / studies) + " |"


PARTS: dict[str, Callable[[int], Iterator[str]]] = {
    "False positives: a difference is shown, but there is none": errors,
    "Power: an existing difference is shown": power,
    "Warnings that the best does not beat the placebo": placebo,
    "Coverage of 95% intervals": coverage,
    "Blocks of Friedman's test": blocks,
}
CLOSELY: dict[str, Callable[[int], Iterator[str]]] = {next(iter(PARTS)): closely}


@attrs.frozen
class _Page:
    lines: list[str] = attrs.field(factory=list)

    def write(self, line: str = "") -> None:
        print(line, flush=True)
        self.lines.append(line)


def main() -> None:
    """Print all tables, and write them to `--out`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--closely", action="store_true", help="only the error rates of the verdict"
    )
    options = parser.parse_args()
    page, start = _Page(), time.perf_counter()
    page.write("# The verdict on studies with known differences")
    page.write()
    option = " --closely" if options.closely else ""
    page.write(f"`python benchmarks/bench_verdict.py --studies {options.studies}{option}`")
    for title, part in (CLOSELY if options.closely else PARTS).items():
        page.write(f"\n## {title}\n")
        for line in part(options.studies):
            page.write(line)
    print(f"\n{time.perf_counter() - start:.0f} s")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        name = "verdict-closely.md" if options.closely else "verdict.md"
        (options.out / name).write_text("\n".join(page.lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
