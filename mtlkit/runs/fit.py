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
from mtlkit.runs.execution import execute
from mtlkit.runs.progress_display import shown
from mtlkit.runs.report import read_records
from mtlkit.runs.resume_checks import check_start
from mtlkit.runs.run import Run
from mtlkit.runs.run_data import with_stated_preprocessing
from mtlkit.runs.run_session import RunSession
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
from mtlkit.training.checkpoint import saved_steps
from mtlkit.training.devices.cores import refuse_too_many
from mtlkit.training.devices.device import chosen_device
from mtlkit.training.devices.ranks import process_group
from mtlkit.training.signals import interrupt_on_signal


def fit(
    recipe: Recipe,
    out: Path | str,
    *,
    catalog: Catalog | None = None,
    loading: Loading | None = None,
    quiet: bool = False,
    beside: Sequence[Path] = (),
    report: bool = True,
) -> Run:
    """Train and evaluate what `recipe` describes, in the new folder `out`.

    The folder gets the resolved recipe, logs, checkpoints, the model and a report, in which the
    runs `beside` are shown too; without `report` none is drawn. Under torchrun every process calls
    this.

    Raises `RecipeError` if the parts of the recipe do not fit together, `RunError` if the folder is
    not empty or cannot be written, `DataError` and `AssemblyError` if the data is unavailable or
    does not fit, `NotFiniteError` if a loss is not finite, and `InterruptedRunError` after Ctrl-C;
    the run can then be resumed. Before the first checkpoint, any error but a `RunError` removes the
    folder.
    """
    refuse_too_many(recipe.train.threads)
    return begin(
        recipe, out, catalog=catalog, loading=loading, quiet=quiet, beside=beside, report=report
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
    with process_group(device) as ranks, use(ops), ExitStack() as stack:
        require_same_plugins(catalog, ranks, device)
        folder = RunFolder(Path(out))
        if ranks.first:
            refuse_taken(folder)
            stack.enter_context(folder.locked())
            refuse_taken(folder)  # again, now that no other process can write to it
            _begin(folder, text, provenance_of(recipe, catalog, loading.base, device, ranks.world))
        ranks.wait()
        session = RunSession(folder, recipe, loading, device, ranks, tuple(beside), report, catalog)
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
        with contextlib.closing(shown(quiet=quiet)) as progress:
            progress.write(f"{path}: is finished; nothing was changed")
        return Run(folder.path)
    catalog = catalog or load_catalog()
    recipe = load_recipe(folder.recipe, catalog)
    read_records(beside)
    before = read_provenance(folder)
    base = Path(before["base"])
    loading = attrs.evolve(loading or Loading(), base=base)
    device = chosen_device(recipe.train.device)
    ops = catalog.op_table
    with process_group(device) as ranks, use(ops), ExitStack() as stack:
        require_same_plugins(catalog, ranks, device)
        if ranks.first:
            stack.enter_context(folder.locked())
            remove_partial(folder.path)
            remove_partial(folder.checkpoints)
            now = provenance_of(recipe, catalog, base, device, ranks.world)
            check_start(folder, before, now, accept)
        ranks.wait()
        session = RunSession(
            folder, recipe, loading, device, ranks, tuple(beside), report, catalog, tuple(accept)
        )
        return _run_to_end(session, quiet=quiet)


def _run_to_end(session: RunSession, *, quiet: bool) -> Run:
    """Execute the run to its end, and record the outcome in its status."""
    folder, progress = session.folder, shown(quiet=quiet or not session.ranks.first)
    session.observers.notify(RunStarted(step=max(saved_steps(folder.checkpoints), default=0)))
    try:
        train = session.recipe.train
        with interrupt_on_signal(), threads_of(folder, train.threads), tensor_float_32(train.tf32):
            execute(session, progress)
    except (InterruptedRunError, KeyboardInterrupt) as cause:
        hint = f"continue with `mtlkit resume {folder.path}`"
        reason = str(cause) if isinstance(cause, InterruptedRunError) else "stopped at once"
        _record_status(session, State.INTERRUPTED, reason)
        raise InterruptedRunError(f"{folder.path}: {reason}; {hint}") from cause
    except SystemExit as cause:
        reason = f"a component ended the process: SystemExit: {cause.code}"
        _record_status(session, State.FAILED, reason)
        raise RunError(f"{folder.path}: {reason}; raise an exception in it instead") from cause
    except Exception as cause:
        _record_status(session, State.FAILED, error_text(cause, longest=10_000))
        raise
    finally:
        progress.close()
    session.observers.notify(RunEnded(state=State.FINISHED.value))
    return Run(folder.path)


def _record_status(session: RunSession, state: State, reason: str) -> None:
    """Update state and reason of the status; a full disk must not hide the first error."""
    if session.ranks.first:
        with contextlib.suppress(RunError):
            folder = session.folder
            step = max(saved_steps(folder.checkpoints), default=0)
            status = folder.status() if folder.status_file.exists() else Status(state=state)
            folder.write_status(attrs.evolve(status, state=state, step=step, reason=reason, pid=0))
    session.observers.notify(RunEnded(state=state.value, reason=reason))
