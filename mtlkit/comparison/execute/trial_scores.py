"""The scores of trials: validation losses in units of those of `equal` before any search."""

from collections.abc import Mapping

import attrs

from mtlkit.comparison.execute.plan import ReadyRun
from mtlkit.comparison.results.outcome import losses_of
from mtlkit.comparison.results.record import Record, Stage
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.comparison.spec.comparison import Comparison
from mtlkit.runs.fit_once import mean_ratio

SELECTION = (
    "A trial is scored by its losses on the validation split after the last epoch: the mean, over "
    "all tasks, of each loss in units of what `equal` reaches with the recipe's own settings. No "
    "weighting's weights enter, so all weightings share one measure. The trial with the "
    "lowest score gives the settings of the method's final runs; for single-task that is so for "
    "each task alone. Every method has the same number of trials, begins with the recipe's own "
    "settings and searches what the others search. Trials never see the test split: it is read "
    "once for each final run, after training, and chooses nothing. In the time budget all networks "
    "of a method together get the time that `equal` takes; what a step costs is that of the "
    "fastest final run of the epochs budget."
)
"""Description of the selection of settings, for reports."""


@attrs.frozen(kw_only=True)
class FinishedRun:
    """A run that ended, and the seconds since it was started or resumed."""

    next: ReadyRun
    record: Record
    seconds: float


class TrialScores:
    """Holds trials until their unit is known, then scores them.

    The unit is the first trial of `equal`, or of the first method whose trial did not fail. It is
    stored, so that later results cannot change it.
    """

    def __init__(self, comparison: Comparison, folder: StudyFolder) -> None:
        self._comparison, self._folder = comparison, folder
        self._units: dict[str, dict[str, float]] = folder.read_units()
        self._trials = dict(folder.records())
        self._held: dict[str, FinishedRun] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._held

    def add(self, ended: FinishedRun) -> list[FinishedRun]:
        """Add a run that ended; return the runs that can be recorded now."""
        record = ended.record
        if record.stage is Stage.FINAL:
            return [ended]
        if record.error is None:
            tasks = ended.next.method_job.recipe.tasks
            missing = [task for task in tasks if task not in losses_of(record)]
            if missing:
                why = f"the validation loss of {', '.join(missing)} is not finite"
                ended = attrs.evolve(ended, record=attrs.evolve(record, error=why))
        self._trials[record.key] = ended.record
        self._held[record.key] = ended
        released = []
        for key, held in list(self._held.items()):
            scored = self._scored(held.record)
            if scored is not None:
                del self._held[key]
                released.append(attrs.evolve(held, record=scored))
        return released

    def _scored(self, record: Record) -> Record | None:
        """Return the trial with its score; None while its unit is unknown."""
        if record.error is not None:
            return record
        unit = self._unit(record.problem)
        if unit is None:
            return None
        losses = losses_of(record)
        return attrs.evolve(record, score=mean_ratio(losses, unit or dict.fromkeys(losses, 1.0)))

    def _unit(self, problem: str) -> Mapping[str, float] | None:
        """Return the unit of each task; empty if every method failed, None while unknown."""
        if problem in self._units:
            return self._units[problem]
        for method in self._comparison.methods:
            if method.alone:
                continue
            first = Record(problem=problem, method=method.name, stage=Stage.TRIAL, seed=0, trial=0)
            trial = self._trials.get(first.key)
            if trial is None:
                return None
            if trial.error is None:
                self._units[problem] = losses_of(trial)
                self._folder.write_units(self._units)
                return self._units[problem]
        return {}
