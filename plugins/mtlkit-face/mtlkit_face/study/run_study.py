"""Make the runs of a study, several at once, each once; and write what is known so far."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import attrs

from mtlkit import Catalog, dump_recipe
from mtlkit.comparison import ExecutorConfig, Job, Outcome, make_runs
from mtlkit.data import Loading
from mtlkit.plugins import RunError
from mtlkit.runs import RunFolder, lock_folder, read_json, write_json
from mtlkit_face.study.arms import ARMS, ESTIMATED, Arm, Size, searching
from mtlkit_face.study.estimated_poses import ESTIMATOR, estimates, estimator_job, write_estimates
from mtlkit_face.study.report import FaceStudy
from mtlkit_face.study.report_files import write_study
from mtlkit_face.study.results import finished, read_runs, read_versions, run_folder

Say = Callable[[str], None]


@attrs.frozen(kw_only=True)
class Asked:
    """What is asked for: the size, the arms and the seeds of a study, and where it lies."""

    folder: Path
    size: Size
    arms: Sequence[Arm]
    seeds: Sequence[int]

    @property
    def keys(self) -> list[tuple[Arm, int]]:
        """Every run, all arms of the first seed first: what is finished can be compared soon."""
        return [(arm, seed) for seed in self.seeds for arm in self.arms]


def run_study(
    asked: Asked, catalog: Catalog, loading: Loading, executor_config: ExecutorConfig, say: Say
) -> FaceStudy:
    """Make the runs that the folder lacks; write the report, also when it is stopped.

    Raises `RunError` where the folder holds a study of another size or a process is at work on it,
    and `InterruptedRunError` after Ctrl-C. A run that fails is reported, and tried again next time.
    """
    with lock_folder(asked.folder, "study"):
        _same_size(asked)
        return _run(asked, catalog, loading, executor_config, say)


def _same_size(asked: Asked) -> None:
    file = asked.folder / "study.json"
    if not file.exists():
        # a lock, or what was half-written when the study was killed at its very beginning
        if any(not item.name.startswith(".") for item in asked.folder.iterdir()):
            raise RunError(f"{asked.folder}: is not empty; expected a new or empty folder")
        write_json(file, {"size": asked.size.name})
    before = read_json(file)["size"]
    if before != asked.size.name:
        raise RunError(
            f"{asked.folder}: holds a study of the size {before!r}; choose another folder"
        )


def _run(
    asked: Asked, catalog: Catalog, loading: Loading, executor_config: ExecutorConfig, say: Say
) -> FaceStudy:
    loading = attrs.evolve(loading, base=asked.folder)
    failed: dict[str, str] = {}
    try:
        jobs = _jobs(asked, catalog, loading)
        if ESTIMATED in asked.arms:
            _estimate(asked, catalog, loading, say)
        _make(asked, jobs, executor_config, failed, say)
    finally:
        study = _known(asked, failed)
        write_study(study, asked.folder)
    return study


def _jobs(asked: Asked, catalog: Catalog, loading: Loading) -> dict[str, Job]:
    """The runs that are not finished."""
    jobs = {}
    for arm, seed in asked.keys:
        recipe = asked.size.recipe(arm, seed, catalog).check()
        path = run_folder(asked.folder, arm.name, seed)
        _refuse_another(RunFolder(path), dump_recipe(recipe, catalog))
        if not finished(asked.folder, arm.name, seed):
            jobs[f"{arm.name}, seed {seed}"] = Job(
                recipe=recipe, path=path, catalog=catalog, loading=loading
            )
    return jobs


def _make(
    asked: Asked,
    jobs: Mapping[str, Job],
    executor_config: ExecutorConfig,
    failed: dict[str, str],
    say: Say,
) -> None:
    """Make the runs, and put into `failed` why some could not be made."""
    total = len(asked.keys)
    done = total - len(jobs)
    runs = "run" if total == 1 else "runs"
    say(f"{total} {runs}, {executor_config.slots} at once; {done} made before")

    def ended(key: str, outcome: Outcome, seconds: float) -> None:
        nonlocal done
        if outcome.error is not None:
            failed[key] = outcome.error
            say(f"{key}: failed: {outcome.error}")
            return
        done += 1
        say(f"[{done}/{total}] {key}: {seconds:.0f} s")
        write_study(_known(asked, failed), asked.folder)

    with closing(executor_config.executor()) as executor:
        make_runs(jobs, executor, ended)


def _refuse_another(folder: RunFolder, recipe: str) -> None:
    """`RunError` where a run was made by another recipe: the two do not belong in one table."""
    if folder.recipe.exists() and folder.recipe.read_text("utf-8") != recipe:
        raise RunError(
            f"{folder.path}: was made by another recipe than the study now has; choose another "
            f"folder for the study, or delete this run to make it anew"
        )


def _estimate(asked: Asked, catalog: Catalog, loading: Loading, say: Say) -> None:
    """Train the network that estimates poses, and label the training faces of each seed."""
    missing = [seed for seed in asked.seeds if not estimates(asked.folder, seed).exists()]
    if not missing:
        return
    say("training a network that estimates poses, on other people")
    job = estimator_job(asked.folder, asked.size, catalog, loading)

    def ended(_key: str, outcome: Outcome, _seconds: float) -> None:
        if outcome.error is not None:
            raise RunError(f"{job.path}: the network that estimates poses failed: {outcome.error}")

    with closing(ExecutorConfig(workers=1).executor()) as executor:
        make_runs({ESTIMATOR: job}, executor, ended)
    for seed in missing:
        found = write_estimates(asked.folder, asked.size, seed, catalog, loading)
        file = asked.folder / "study.json"
        before = read_json(file)
        poses = {**before.get("poses", {}), str(seed): found}
        write_json(file, {**before, "poses": poses})
        say(f"seed {seed}: {found}")


def _known(asked: Asked, failed: dict[str, str]) -> FaceStudy:
    """Everything that the folder holds, be it asked for now or before."""
    every = {**ARMS, **searching(asked.size)}
    there = {path.name for path in (asked.folder / "runs").glob("*")}
    names = {arm.name for arm in asked.arms} | there
    arms = [arm for arm in every.values() if arm.name in names]
    strays = [arm for arm in asked.arms if arm.name not in every]
    made = {int(path.name.removeprefix("seed-")) for path in asked.folder.glob("runs/*/seed-*")}
    seeds = sorted({*asked.seeds, *made})
    runs = read_runs(asked.folder, [*arms, *strays], seeds)
    return FaceStudy(
        size=asked.size,
        arms=[*arms, *strays],
        seeds=seeds,
        runs=runs,
        failed=failed,
        poses=read_json(asked.folder / "study.json").get("poses", {}),
        versions=read_versions(asked.folder, runs),
    )
