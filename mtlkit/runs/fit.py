"""Train and evaluate a recipe in a folder, and resume a run that was stopped."""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs

from mtlkit.atomic_files import remove_partial, write_file
from mtlkit.data.source import Loading
from mtlkit.errors import InterruptedRunError, RunError, error_text
from mtlkit.ops.dispatch.choice import use
from mtlkit.plugins.catalog import Catalog, load_catalog
from mtlkit.plugins.run_events import RunEnded, RunStarted
from mtlkit.recipe import Recipe
from mtlkit.recipe_io import dump_recipe, load_recipe
from mtlkit.runs.execution import RunSession, execute
from mtlkit.runs.progress_display import shown
from mtlkit.runs.report import read_records
from mtlkit.runs.resume_checks import check_start, require_same_recipe
from mtlkit.runs.run import Run
from mtlkit.runs.run_data import with_stated_preprocessing
from mtlkit.runs.storage.folder import (
    RunFolder,
    State,
    Status,
    is_finished,
    open_run,
    read_provenance,
    refuse_taken,
    write_json,
)
from mtlkit.runs.storage.numerics import tensor_float_32, threads_of
from mtlkit.runs.storage.plugin_agreement import require_same_plugins
from mtlkit.runs.storage.provenance import provenance_of
from mtlkit.training.devices.cores import refuse_too_many
from mtlkit.training.devices.device import chosen_device
from mtlkit.training.devices.ranks import process_group
from mtlkit.training.saved_steps import saved_steps
from mtlkit.training.signals import interrupt_on_signal, stop_on_signal


def fit(
    recipe: Recipe,
    out: Path | str,
    *,
    catalog: Catalog | None = None,
    loading: Loading | None = None,
    quiet: bool = False,
    beside: Sequence[Path] = (),
    report: bool = True,
    or_resume: bool = False,
) -> Run:
    """Train and evaluate what `recipe` describes, in the new folder `out`.

    The folder gets the resolved recipe, logs, checkpoints, the model and a report, in which the
    runs `beside` are shown too; without `report` none is drawn. Under torchrun every process calls
    this. With `or_resume`, a run of the recipe in `out` is resumed, or returned if it is finished,
    so that a call that was stopped can be repeated as it is.

    Raises `RecipeError` if the parts of the recipe do not fit together, `RunError` if the folder is
    not empty or cannot be written, `DataError` and `AssemblyError` if the data is unavailable or
    does not fit, `NotFiniteError` if a loss is not finite, and `InterruptedRunError` after Ctrl-C,
    another signal or the loss of a process; the run can then be resumed. Before the first
    checkpoint, any error but a `RunError` removes the folder.
    """
    if not (or_resume and RunFolder(Path(out)).recipe.is_file()):  # one continues with fewer cores
        refuse_too_many(recipe.train.threads, recipe.train.workers)
    return begin(
        recipe,
        out,
        catalog=catalog,
        loading=loading,
        quiet=quiet,
        beside=beside,
        report=report,
        or_resume=or_resume,
    )


def begin(
    recipe: Recipe,
    out: Path | str,
    *,
    catalog: Catalog | None = None,
    loading: Loading | None = None,
    quiet: bool = False,
    beside: Sequence[Path] = (),
    report: bool = True,
    or_resume: bool = False,
) -> Run:
    """Do what `fit` does, also with more threads than cores, as a study on another machine may."""
    catalog = catalog or load_catalog()
    recipe.check(catalog.op_table)
    recipe = with_stated_preprocessing(recipe)
    text = dump_recipe(recipe, catalog)
    read_records(beside)  # report a mistake in these before the work starts
    loading = loading or Loading()
    device = chosen_device(recipe.train.device)
    ops = catalog.op_table
    hang_timeout = 60.0 * recipe.train.hang_timeout
    with process_group(device, hang_timeout) as ranks, use(ops), ExitStack() as stack:
        require_same_plugins(catalog, ranks, device)
        folder = RunFolder(Path(out))
        session = RunSession(folder, recipe, loading, device, ranks, tuple(beside), report, catalog)
        if or_resume and ranks.first_ones(folder.recipe.is_file(), device):
            if ranks.first:
                require_same_recipe(folder, text)
            return _continue(session, stack, quiet=quiet)
        if ranks.first:
            try:
                refuse_taken(folder)
            except RunError:
                if not (or_resume and folder.recipe.is_file()):
                    raise  # else another process began the run just now, which the lock names
            stack.enter_context(folder.locked())
            refuse_taken(folder)  # again, now that no other process can write to it
            _begin(folder, text, provenance_of(recipe, catalog, loading.base, device, ranks.world))
        ranks.wait()
        try:
            return _run_to_end(session, quiet=quiet)
        except RunError:
            raise  # its message names the fix, and the folder is kept for resuming
        except Exception:
            if ranks.first and not saved_steps(folder.checkpoints):
                folder.discard()  # nothing was trained, so the same call can be repeated
            raise


def _begin(folder: RunFolder, recipe: str, provenance: Mapping[str, Any]) -> None:
    """Write the first files of the run, the recipe last; remove the folder if the disk refuses.

    A folder without a recipe holds no run yet, so a killed process leaves either a run that can be
    resumed, or a folder that the next call accepts.
    """
    try:
        remove_partial(folder.path)
        write_json(folder.provenance, provenance)
        write_file(folder.recipe, recipe.encode())
    except RunError:
        folder.discard()
        raise


def resume(
    path: Path | str,
    *,
    catalog: Catalog | None = None,
    loading: Loading | None = None,
    quiet: bool = False,
    beside: Sequence[Path] = (),
    report: bool = True,
    accept: Collection[str] = (),
) -> Run:
    """Resume the run in the folder `path`; the result equals that of an uninterrupted run.

    A finished run is returned unchanged; `mtlkit.evaluate` evaluates it again.

    Changes since the run began are refused, except for those of the kinds `accept`: "recipe",
    "versions" (of mtlkit and the plugins in use), "ranks" (the number of processes), "data" and
    "log" (lost lines). Accepted changes are recorded in the provenance of the run.

    Raises `RunError` if the folder holds no run or another process is working on it, and the errors
    of `fit`.
    """
    folder = open_run(Path(path))
    if is_finished(folder):
        return _unchanged(folder, quiet=quiet)
    catalog = catalog or load_catalog()
    recipe = load_recipe(folder.recipe, catalog)
    read_records(beside)
    loading, device = loading or Loading(), chosen_device(recipe.train.device)
    hang_timeout, ops = 60.0 * recipe.train.hang_timeout, catalog.op_table
    with process_group(device, hang_timeout) as ranks, use(ops), ExitStack() as stack:
        require_same_plugins(catalog, ranks, device)
        session = RunSession(
            folder, recipe, loading, device, ranks, tuple(beside), report, catalog, tuple(accept)
        )
        return _continue(session, stack, quiet=quiet)


def _continue(session: RunSession, stack: ExitStack, *, quiet: bool) -> Run:
    """Resume the run of `session`, whose lock `stack` holds, unless it is finished."""
    folder, ranks, device = session.folder, session.ranks, session.device
    if ranks.first_ones(is_finished(folder), device):
        return _unchanged(folder, quiet=quiet or not ranks.first)
    before = read_provenance(folder)
    if "merged" in before:
        raise RunError(
            f"{folder.path}: is a merge of other runs, expected a run that was trained; evaluate "
            f"it by `mtlkit evaluate {folder.path}`, or repeat the merge in a new folder"
        )
    base = Path(before["base"])
    session = attrs.evolve(session, loading=attrs.evolve(session.loading, base=base))
    if ranks.first:
        stack.enter_context(folder.locked())
        remove_partial(folder.path)
        remove_partial(folder.checkpoints)
        now = provenance_of(session.recipe, session.catalog, base, device, ranks.world)
        check_start(folder, before, now, session.accept)
    ranks.wait()
    return _run_to_end(session, quiet=quiet)


def _unchanged(folder: RunFolder, *, quiet: bool) -> Run:
    with contextlib.closing(shown(quiet=quiet)) as progress:
        progress.write(f"{folder.path}: is finished; nothing was changed")
    return Run(folder.path)


def _run_to_end(session: RunSession, *, quiet: bool) -> Run:
    """Execute the run to its end, and record the outcome in its status."""
    folder, progress = session.folder, shown(quiet=quiet or not session.ranks.first)
    if session.ranks.heartbeat is not None:
        session.ranks.heartbeat.before_exit = lambda error: _record_end(session, error)
    session.observers.notify(RunStarted(step=max(saved_steps(folder.checkpoints), default=0)))
    try:
        train = session.recipe.train
        with (
            interrupt_on_signal(),
            session.ranks.explaining(),
            threads_of(folder, train.threads),
            tensor_float_32(train.tf32),
        ):
            execute(session, progress)
    except (InterruptedRunError, KeyboardInterrupt) as cause:
        hint = f"continue with `mtlkit resume {folder.path}`"
        reason = str(cause) if isinstance(cause, InterruptedRunError) else "stopped at once"
        _record_end(session, InterruptedRunError(reason))
        raise InterruptedRunError(f"{folder.path}: {reason}; {hint}") from cause
    except SystemExit as cause:
        reason = f"a component ended the process: SystemExit: {cause.code}"
        _record_end(session, RunError(reason))
        raise RunError(f"{folder.path}: {reason}; raise an exception in it instead") from cause
    except Exception as cause:
        _record_end(session, cause)
        raise
    finally:
        progress.close()
    session.observers.notify(RunEnded(state=State.FINISHED.value))
    return Run(folder.path)


def _record_end(session: RunSession, error: Exception) -> None:
    """Update the status of the run by `error`; a full disk must not hide the error.

    If the first process was lost, its lock is free and the status that of a run at work: then
    another process writes it.
    """
    interrupted = isinstance(error, InterruptedRunError)
    state = State.INTERRUPTED if interrupted else State.FAILED
    reason = str(error) if interrupted else error_text(error, longest=10_000)
    folder, writes = session.folder, session.ranks.first
    with stop_on_signal(), contextlib.suppress(RunError), ExitStack() as stack:
        if not writes and interrupted and folder.status_file.exists():
            stack.enter_context(folder.locked())
            writes = folder.status().state is State.RUNNING
        if writes:
            begun = Status(state=State.RUNNING)
            status = folder.status() if folder.status_file.exists() else begun
            step = max(saved_steps(folder.checkpoints, status.steps), default=0)
            folder.write_status(
                attrs.evolve(status, state=state, step=step, reason=reason, pid=0, host="")
            )
    session.observers.notify(RunEnded(state=state.value, reason=reason))
