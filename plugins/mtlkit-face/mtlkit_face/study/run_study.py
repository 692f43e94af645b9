"""Execution of a study: each run once, several at a time, and a report after each."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import attrs

from mtlkit import Catalog, dump_recipe
from mtlkit.comparison import ExecutorConfig, Job, Outcome, make_runs
from mtlkit.data import Loading
from mtlkit.plugins import RunError, write_file
from mtlkit.runs import RunFolder, lock_folder, read_json, write_json
from mtlkit_face.data.rendered import Rendered
from mtlkit_face.study.arms import ARMS, ESTIMATED, search_arms
from mtlkit_face.study.claim_parts import Runs
from mtlkit_face.study.estimated_poses import ESTIMATOR, estimates, estimator_job, write_estimates
from mtlkit_face.study.records import merged, read_records, records_to_csv
from mtlkit_face.study.report import FaceStudy
from mtlkit_face.study.report_files import write_study
from mtlkit_face.study.results import finished, read_runs, read_versions, run_folder
from mtlkit_face.study.sizes import Arm, Size

Progress = Callable[[str], None]
"""Receives a line of text at every step."""


@attrs.frozen(kw_only=True)
class StudyRequest:
    """The size, arms and seeds of a study, and its folder.

    The runs in `records`, a ``results.csv``, are not repeated: the folder keeps a copy.
    """

    folder: Path
    size: Size
    arms: Sequence[Arm]
    seeds: Sequence[int]
    records: Path | None = None

    @property
    def kept(self) -> Path:
        """The folder's own copy of the records."""
        return self.folder / "records.csv"

    def recorded(self) -> Runs:
        """Return the metrics of recorded runs; `RunError` if the records cannot be used."""
        return read_records(self.kept, self.size) if self.kept.exists() else {}

    @property
    def keys(self) -> list[tuple[Arm, int]]:
        """Every run, by seed, so that finished runs can be compared early."""
        return [(arm, seed) for seed in self.seeds for arm in self.arms]


def run_study(
    request: StudyRequest,
    catalog: Catalog,
    loading: Loading,
    executor_config: ExecutorConfig,
    progress: Progress,
) -> FaceStudy:
    """Execute the runs that the folder lacks, and write the report, also after an interrupt.

    Raises `RunError` if the folder holds a study of another size or is in use by another process,
    and `InterruptedRunError` after Ctrl-C. Failed runs are reported, and retried the next time.
    """
    with lock_folder(request.folder, "study", across_machines=True):
        _same_size(request)
        if request.records is not None:
            both = merged(request.recorded(), read_records(request.records, request.size))
            write_file(request.kept, records_to_csv(both, request.size).encode())
        return _run(request, catalog, loading, executor_config, progress)


def _same_size(request: StudyRequest) -> None:
    file = request.folder / "study.json"
    if not file.exists():
        # hidden files are the lock, or temporary files of a killed study
        if any(not item.name.startswith(".") for item in request.folder.iterdir()):
            raise RunError(f"{request.folder}: is not empty; expected a new or empty folder")
        write_json(file, {"size": request.size.name})
    before = read_json(file)["size"]
    if before != request.size.name:
        raise RunError(
            f"{request.folder}: holds a study of the size {before!r}; choose another folder"
        )


def _run(
    request: StudyRequest,
    catalog: Catalog,
    loading: Loading,
    executor_config: ExecutorConfig,
    progress: Progress,
) -> FaceStudy:
    loading = attrs.evolve(loading, base=request.folder)
    failed: dict[str, str] = {}
    try:
        jobs = _jobs(request, catalog, loading)
        _render(jobs, loading, progress)
        if any(job.path.parent.name == ESTIMATED.name for job in jobs.values()):
            _estimate(request, catalog, loading, progress)
        _execute(request, jobs, executor_config, failed, progress)
    finally:
        study = _read_study(request, failed)
        write_study(study, request.folder)
    return study


def _jobs(request: StudyRequest, catalog: Catalog, loading: Loading) -> dict[str, Job]:
    """Return the unfinished runs."""
    jobs = {}
    recorded = request.recorded()
    for arm, seed in request.keys:
        if seed in recorded.get(arm.name, {}):
            continue
        recipe = request.size.recipe(arm, seed, catalog).check()
        path = run_folder(request.folder, arm.name, seed)
        _check_recipe(RunFolder(path), dump_recipe(recipe, catalog))
        if not finished(request.folder, arm.name, seed):
            jobs[f"{arm.name}, seed {seed}"] = Job(
                recipe=recipe, path=path, catalog=catalog, loading=loading
            )
    return jobs


def _render(jobs: Mapping[str, Job], loading: Loading, progress: Progress) -> None:
    """Render the faces of all runs once, with every core, before the runs share them.

    A run renders with one core, while the others that need the same faces wait for it.
    """
    sets = {}
    for job in jobs.values():
        data = job.recipe.data
        if loading.cache is not None and isinstance(data, Rendered):
            sets[data.faces(), data.faces(test=True)] = data
    for number, data in enumerate(sets.values(), start=1):
        progress(f"faces of {number} of {len(sets)} sets")
        data.render(attrs.evolve(loading, workers=None))


def _execute(
    request: StudyRequest,
    jobs: Mapping[str, Job],
    executor_config: ExecutorConfig,
    failed: dict[str, str],
    progress: Progress,
) -> None:
    """Execute the runs, and store errors of failed ones in `failed`."""
    total = len(request.keys)
    done = total - len(jobs)
    progress(
        f"{total} run{'s' if total > 1 else ''}, {executor_config.slots} at once; "
        f"{done} already finished"
    )

    def on_finished(key: str, outcome: Outcome, seconds: float) -> None:
        nonlocal done
        if outcome.error is not None:
            failed[key] = outcome.error
            progress(f"{key}: failed: {outcome.error}")
            return
        done += 1
        progress(f"[{done}/{total}] {key}: {seconds:.0f} s")
        write_study(_read_study(request, failed), request.folder)

    def on_lost(key: str, reason: str) -> None:
        progress(f"{key}: {reason}; starting again from its checkpoint")

    with closing(executor_config.executor(on_lost)) as executor:
        make_runs(jobs, executor, on_finished)


def _check_recipe(folder: RunFolder, recipe: str) -> None:
    """Raise `RunError` if a run has another recipe, since the two are not comparable."""
    if folder.recipe.exists() and folder.recipe.read_bytes() != recipe.encode():
        raise RunError(
            f"{folder.path}: has another recipe than the study; choose another folder for the "
            f"study, or delete this run to repeat it"
        )


def _estimate(
    request: StudyRequest, catalog: Catalog, loading: Loading, progress: Progress
) -> None:
    """Train the network that estimates poses, and label the training faces of each seed."""
    missing = [seed for seed in request.seeds if not estimates(request.folder, seed).exists()]
    if not missing:
        return
    progress("training a network that estimates poses, on other people")
    job = estimator_job(request.folder, request.size, catalog, loading)

    def on_finished(_key: str, outcome: Outcome, _seconds: float) -> None:
        if outcome.error is not None:
            raise RunError(f"{job.path}: the network that estimates poses failed: {outcome.error}")

    with closing(ExecutorConfig(workers=1).executor()) as executor:
        make_runs({ESTIMATOR: job}, executor, on_finished)
    for seed in missing:
        accuracy = write_estimates(request.folder, request.size, seed, catalog, loading)
        file = request.folder / "study.json"
        before = read_json(file)
        poses = {**before.get("poses", {}), str(seed): accuracy}
        write_json(file, {**before, "poses": poses})
        progress(f"seed {seed}: {accuracy}")


def _read_study(request: StudyRequest, failed: dict[str, str]) -> FaceStudy:
    """Read everything in the folder, whether requested now or before."""
    available = {**ARMS, **search_arms(request.size)}
    names = {arm.name for arm in request.arms}
    recorded = request.recorded()
    names |= {path.name for path in (request.folder / "runs").glob("*")} | {*recorded}
    arms = [arm for arm in available.values() if arm.name in names]
    arms += [arm for arm in request.arms if arm.name not in available]
    paths = request.folder.glob("runs/*/seed-*")
    stored = {int(path.name.removeprefix("seed-")) for path in paths}
    stored |= {seed for seeds in recorded.values() for seed in seeds}
    seeds = sorted({*request.seeds, *stored})
    runs = read_runs(request.folder, arms, seeds)
    return FaceStudy(
        size=request.size,
        arms=arms,
        seeds=seeds,
        runs=merged(recorded, runs),
        failed=failed,
        poses=read_json(request.folder / "study.json").get("poses", {}),
        versions=read_versions(request.folder, runs),
    )
