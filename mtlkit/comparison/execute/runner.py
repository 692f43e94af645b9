"""The runner: executes every run of a comparison once, several in parallel."""

import time
from collections.abc import Callable, Iterator, Sequence

import attrs

from mtlkit.atomic_files import make_folder
from mtlkit.comparison.execute.executor import Executor
from mtlkit.comparison.execute.plan import MethodJob, ReadyRun, method_jobs, ready_runs
from mtlkit.comparison.execute.retries import RETRIES
from mtlkit.comparison.execute.run_many import POLL
from mtlkit.comparison.execute.trial_scores import FinishedRun, TrialScores
from mtlkit.comparison.execute.worker import Job, Outcome
from mtlkit.comparison.results.outcome import measured
from mtlkit.comparison.results.record import Budget, Record, Stage, TaskMetric
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.comparison.spec.comparison import EQUAL, Comparison
from mtlkit.comparison.spec.recipes import for_final, for_trial, with_settings
from mtlkit.data.source import Loading
from mtlkit.errors import InterruptedRunError, RunError
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe import Recipe
from mtlkit.recipe_io import dump_recipe
from mtlkit.runs.fit_once import is_made
from mtlkit.runs.storage.folder import RunFolder
from mtlkit.training.signals import stop_on_signal

OnRecord = Callable[[Record, float], None]
"""Callback with a record that was written, and the seconds since its run started or resumed."""


@attrs.define(eq=False)
class _Begun:
    """A run that a worker executes."""

    next: ReadyRun
    recipe: Recipe
    text: str
    start: float = attrs.field(factory=time.monotonic)


class Runner:
    """Executes the runs of `comparison` that are missing in `folder`.

    The runs and their settings depend only on the comparison and the results of other runs: not
    on the number of workers, nor on interruptions.
    """

    def __init__(
        self,
        comparison: Comparison,
        folder: StudyFolder,
        executor: Executor,
        catalog: Catalog,
        loading: Loading,
        on_record: OnRecord,
        metrics: Sequence[TaskMetric],
    ) -> None:
        self.comparison, self.folder, self.executor = comparison, folder, executor
        self._catalog, self._loading, self._on_record = catalog, loading, on_record
        self._primary_metrics = [metric for metric in metrics if metric.primary]
        self._records = folder.records()
        self._scores = TrialScores(comparison, folder)
        self._method_jobs = method_jobs(comparison)
        self._next = {n: self._ready(method_job) for n, method_job in enumerate(self._method_jobs)}
        self._begun: dict[str, _Begun] = {}
        self._losses = folder.count_losses()
        self._lost: dict[str, str] = {}  # reasons, by the runs that were lost too often
        self._twins = dict(self._known_recipes())  # the run of each recipe that was trained

    def run(self) -> None:
        """Execute every run; `InterruptedRunError` after Ctrl-C, once all workers have saved.

        Raise `RunError` if runs are left that lost their worker or machine too often.
        """
        with stop_on_signal() as stop_request:
            while self._submit() or self._begun:
                if stop_request.requested:
                    self._stop()
                for key, outcome in self.executor.ended(POLL):
                    self._ended(key, outcome, stopping=stop_request.requested)
        if self._lost:
            key, reason = next(iter(self._lost.items()))
            one = len(self._lost) == 1
            lost = "1 run lost its" if one else f"{len(self._lost)} runs lost their"
            raise RunError(
                f"{self.folder.path}: {lost} worker or machine {RETRIES + 1} times and "
                f"{'is' if one else 'are'} not counted as failed; the first is {key}: {reason}; "
                f"remove the cause, such as too little memory for so many runs at once, and "
                f"repeat the command, which continues"
            )

    def _ready(self, method_job: MethodJob) -> list[ReadyRun]:
        return ready_runs(method_job, self.comparison, self._records)

    def _known_recipes(self) -> Iterator[tuple[str, Record]]:
        for record in self._records.values():
            file = RunFolder(self.folder.path / record.folder).recipe
            if record.error is None and file.exists():
                text = file.read_text("utf-8", "replace")  # a damaged one equals no other
                yield f"{record.problem}\n{text}", record

    def _submit(self) -> bool:
        """Submit ready runs to free workers; return whether any run was settled without one."""
        settled = False
        ready = [following for number in self._next for following in self._next[number]]
        for following in sorted(ready, key=_turn):
            if len(self._begun) >= self.executor.slots:
                return settled
            known = (self._begun, self._records, self._scores, self._lost)
            if not any(following.record.key in keys for keys in known):
                settled |= self._begin(following)
        return settled

    def _begin(self, following: ReadyRun) -> bool:
        """Start a run, or settle it and return True if it exists already or cannot run."""
        record = following.record
        if following.skip_reason:
            self._settle(following, attrs.evolve(record, error=following.skip_reason))
            return True
        try:
            recipe = self._recipe(following)
        except Exception as cause:  # such as a plugin's check of incompatible settings
            self._settle(following, attrs.evolve(record, error=f"{type(cause).__name__}: {cause}"))
            return True
        written = dump_recipe(recipe, self._catalog)
        text = f"{record.problem}\n{written}"  # another problem may have other data
        record = attrs.evolve(record, epochs=recipe.train.epochs)
        following = attrs.evolve(following, record=record)
        if text in self._twins:
            self._settle(following, _as(record, self._twins[text]))
            return True
        if any(begun.text == text for begun in self._begun.values()):
            return False  # both share one result
        begun = _Begun(following, recipe, text)
        path = self.folder.run(record.key)
        make_folder(path.parent)
        if is_made(RunFolder(path), written):  # finished, but killed before it was recorded
            self._finish(begun, Outcome())
            return True
        job = Job(
            recipe=recipe,
            path=path,
            catalog=self._catalog,
            loading=attrs.evolve(self._loading, base=self.comparison.problems[record.problem].base),
            shared=self.folder.study,
        )
        self._begun[record.key] = begun
        self.executor.submit(record.key, job)
        return False

    def _recipe(self, following: ReadyRun) -> Recipe:
        record = following.record
        recipe = with_settings(following.method_job.recipe, record.settings, self._catalog)
        if record.stage is Stage.TRIAL:
            return for_trial(recipe, record.seed)
        return for_final(recipe, record.seed, following.epochs)

    def _ended(self, key: str, outcome: Outcome, *, stopping: bool) -> None:
        """Record the outcome of a run, unless the run is to be resumed or was lost."""
        begun = self._begun.pop(key)
        if outcome.unfinished(stopping=stopping):
            return
        if outcome.lost:
            self._lost[key] = outcome.error or ""
        else:
            self._finish(begun, outcome)

    def _finish(self, begun: _Begun, outcome: Outcome) -> None:
        """Record the outcome of a run."""
        record, path = begun.next.record, self.folder.run(begun.next.record.key)
        record = attrs.evolve(record, retries=self._losses[record.key] + outcome.retries)
        if path.exists():
            record = attrs.evolve(record, folder=path.relative_to(self.folder.path).as_posix())
        if outcome.error is not None:
            record = attrs.evolve(record, error=outcome.error)
        else:
            record = measured(record, RunFolder(path))
            self._twins[begun.text] = record
        self._settle(begun.next, record, time.monotonic() - begun.start)

    def _settle(self, following: ReadyRun, record: Record, seconds: float = 0.0) -> None:
        """Write `record` and the records that depend on it; a trial may be held back itself."""
        for ended in self._scores.add(FinishedRun(next=following, record=record, seconds=seconds)):
            record = self._measured(ended.record)
            self.folder.append(record)
            self._records[record.key] = record
            self._on_record(record, ended.seconds)
            for number, method_job in enumerate(self._method_jobs):
                affected = record.method in (method_job.method.name, EQUAL)
                if method_job.problem == record.problem and affected:
                    self._next[number] = self._ready(method_job)

    def _measured(self, record: Record) -> Record:
        """Return the record, with an error if a final run lacks a primary metric."""
        if record.stage is Stage.TRIAL or record.error is not None:
            return record
        for metric in self._primary_metrics:
            mine = metric.problem == record.problem and record.task in (None, metric.task)
            if mine and metric.metric not in record.test:
                known = ", ".join(record.test)
                why = f"gives no number {metric.metric!r} on the test split; it gives {known}"
                return attrs.evolve(record, error=why)
        return record

    def _stop(self) -> None:
        """Stop the workers, record their outcomes, and raise `InterruptedRunError`."""
        self.executor.stop()
        while self._begun:
            for key, outcome in self.executor.ended(POLL):
                self._ended(key, outcome, stopping=True)
        raise InterruptedRunError(
            f"{self.folder.path}: stopped after {len(self._records)} runs; the same command "
            f"continues"
        )


def _as(record: Record, twin: Record) -> Record:
    """Return `record` with the results of `twin`, a run of the same recipe."""
    measures = ("steps", "seconds", "peak_memory_bytes", "parameters", "validation", "test")
    names = ("retries", *measures, "folder")
    return attrs.evolve(record, **{name: getattr(twin, name) for name in names})


def _turn(following: ReadyRun) -> tuple[bool, bool, int]:
    """Return the sort key by which methods take turns.

    Temporary load on the machine then slows all methods alike, so the fastest run of each measures
    the cost of its step, and methods can be compared early.
    """
    record = following.record
    number = record.seed if record.stage is Stage.FINAL else record.trial or 0
    return record.stage is Stage.FINAL, record.budget is Budget.TIME, number
