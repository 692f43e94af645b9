"""Comparisons from Python: run one, and read its verdict and its numbers."""

import functools
import multiprocessing
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from mtlkit.comparison.execute.executor_config import ExecutorConfig
from mtlkit.comparison.report.dependencies import require_libraries
from mtlkit.comparison.results.flat_table import flat_rows
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.comparison.results.study_results import StudyResults, read_study
from mtlkit.comparison.spec.comparison import Comparison
from mtlkit.comparison.spec.load import load_comparison
from mtlkit.comparison.spec.validate import mistakes_between
from mtlkit.comparison.study import run_study
from mtlkit.data.source import Loading
from mtlkit.errors import RecipeError, RunError
from mtlkit.plugins.catalog import Catalog, load_catalog
from mtlkit.report.csv_file import Value

if TYPE_CHECKING:
    from mtlkit.comparison.analysis.evidence import Evidence


@attrs.frozen
class ComparisonResult:
    """A comparison in its folder: the verdict and all numbers.

    It also opens the folder of an earlier comparison: ``ComparisonResult(Path("runs/faces"))``.
    """

    path: Path = attrs.field(converter=Path)

    @property
    def report(self) -> Path:
        """The page that shows the comparison."""
        return StudyFolder(self.path).report

    def runs(self) -> list[dict[str, Value]]:
        """Return every run as a row, for pandas or polars."""
        return flat_rows(self.results.records)

    def gains(self) -> list[dict[str, Value]]:
        """Return delta-m of each method against each baseline as rows, for pandas or polars.

        Numbers are percent; `low` and `high` bound Student's interval of 95%, `adjusted` is the
        p-value adjusted for all comparisons, and `verdict` is better, worse or undecided.
        """
        return [
            {
                "problem": c.problem,
                "method": c.method,
                "baseline": c.reference,
                "mean": c.estimate.mean,
                "low": c.estimate.low,
                "high": c.estimate.high,
                "seeds": c.estimate.count,
                "p_value": c.p_value,
                "adjusted": c.adjusted,
                "verdict": c.verdict,
            }
            for c in self.evidence.family.comparisons
        ]

    def verdicts(self, baseline: str = "equal", problem: str | None = None) -> dict[str, str]:
        """Return better, worse or undecided for each method against a baseline, best first.

        `problem` is by default the only one, or else the mean of all. A method with fewer than two
        seeds in common with the baseline has no verdict.
        """
        from mtlkit.comparison.analysis.baseline_tests import EVERY_PROBLEM

        problems = self.results.problems
        problem = problem or (problems[0] if len(problems) == 1 else EVERY_PROBLEM)
        known = self.evidence.family.against(problem, self.results.baseline(baseline) or baseline)
        return {c.method: c.verdict for c in sorted(known, key=lambda c: -c.estimate.mean)}

    @functools.cached_property
    def results(self) -> StudyResults:
        """The records of all runs, read on first access."""
        return read_study(self.path)

    @functools.cached_property
    def evidence(self) -> "Evidence":
        """The tests behind the verdict; `MissingExtraError` without the extra ``compare``."""
        require_libraries()
        from mtlkit.comparison.analysis.evidence import gather

        return gather(self.results)


def compare(
    comparison: Comparison | Path | str,
    out: Path | str,
    *,
    catalog: Catalog | None = None,
    loading: Loading | None = None,
    executor_config: ExecutorConfig | None = None,
    retry_failed: bool = False,
    quiet: bool = False,
) -> ComparisonResult:
    """Compare weightings in the folder `out`, or resume the comparison that is there.

    `comparison` is a value or the path of a YAML file. Worker processes execute the runs, so a
    script must call this under ``if __name__ == "__main__":``.

    Raises `RecipeError` for a comparison that cannot be run, `RunError` if the folder holds another
    one, `DataError` for insufficient data, `MissingExtraError` without the extra
    ``compare``, and `InterruptedRunError` after Ctrl-C.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RunError(
            "compare: got a call while a worker process imports the main script; put the call "
            'under `if __name__ == "__main__":`'
        )
    catalog = catalog or load_catalog()
    if not isinstance(comparison, Comparison):
        comparison = load_comparison(Path(comparison), catalog)
    elif mistakes := list(mistakes_between(comparison, catalog)):
        raise RecipeError(list(dict.fromkeys(map(str, mistakes))))
    folder = run_study(
        comparison,
        Path(out),
        catalog=catalog,
        loading=loading or Loading(),
        executor_config=executor_config,
        retry_failed=retry_failed,
        quiet=quiet,
    )
    return ComparisonResult(folder.path)
