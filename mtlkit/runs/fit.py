"""From a recipe to a folder with a trained, evaluated model; and on from where one stopped."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import torch

from mtlkit.atomic_files import write_file
from mtlkit.data.dataset import Data
from mtlkit.data.source import Loading
from mtlkit.errors import DataError, InterruptedRunError, RunError
from mtlkit.model import Assembly, assemble, assembly_of, encode_targets
from mtlkit.ops.dispatch.choice import use
from mtlkit.plugins.catalog import Catalog, load_catalog
from mtlkit.plugins.observers import Observers
from mtlkit.plugins.run_events import RunEnded, RunInfo, RunStarted
from mtlkit.recipe import Recipe
from mtlkit.recipe_io import dump_recipe, load_recipe
from mtlkit.runs.evaluate import evaluate_trained
from mtlkit.runs.folder import (
    RunFolder,
    State,
    Status,
    open_run,
    read_json,
    refuse_taken,
    write_json,
)
from mtlkit.runs.numerics import changed_arithmetic, threads_of
from mtlkit.runs.plugin_agreement import require_same_plugins
from mtlkit.runs.progress_display import shown
from mtlkit.runs.provenance import provenance_of
from mtlkit.runs.report import read_records
from mtlkit.runs.run import Run
from mtlkit.runs.run_data import load_data
from mtlkit.runs.saved_model import read_assembly, save_assembly, save_model
from mtlkit.training.checkpoint import newest_checkpoint, remove_half_written, saved_steps
from mtlkit.training.context import TrainingContext
from mtlkit.training.device import chosen_device
from mtlkit.training.loop import Training
from mtlkit.training.progress import Progress
from mtlkit.training.ranks import Ranks, joined


@attrs.frozen(eq=False)
class RunSession:
    """One uninterrupted part of a run: who works on which folder, and with what."""

    folder: RunFolder
    recipe: Recipe
    loading: Loading
    device: torch.device
    ranks: Ranks
    beside: tuple[Path, ...]
    report: bool  # whether one is drawn at the end
    catalog: Catalog
    observers: Observers = attrs.field(init=False)

    @observers.default
    def _first_ranks_observers(self) -> Observers:
        if not self.ranks.first:
            return Observers()
        run = RunInfo(folder=self.folder.path, recipe=self.recipe, device=str(self.device))
        return Observers(self.catalog.manager, run)


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

    Raises `RecipeError` where the parts of the recipe do not fit together, `RunError` where the
    folder is not empty or the disk refuses, `DataError` and `AssemblyError` where the data cannot
    be had or do not fit, `NotFiniteError` where a loss is not finite, and `InterruptedRunError`
    after Ctrl-C; the run can then be resumed. Before the first checkpoint, any error but a
    `RunError` leaves no folder behind.
    """
    catalog = catalog or load_catalog()
    recipe.check(catalog.op_table)
    text = dump_recipe(recipe, catalog)
    read_records(beside)  # a mistake in these is told before the work, not after it
    loading = loading or Loading()
    device = chosen_device(recipe.train.device)
    ops = catalog.op_table
    with joined(device) as ranks, use(ops), ExitStack() as stack:
        require_same_plugins(catalog, ranks, device)
        folder = RunFolder(Path(out))
        if ranks.first:
            refuse_taken(folder)
            stack.enter_context(folder.locked())
            refuse_taken(folder)  # now that nobody else can come between
            _begin(folder, text, provenance_of(recipe, catalog, loading.base, device))
        ranks.wait()
        sitting = RunSession(folder, recipe, loading, device, ranks, tuple(beside), report, catalog)
        try:
            return _sit(sitting, quiet=quiet)
        except RunError:
            raise  # says itself how to go on, and its folder is what to go on with
        except Exception:
            if ranks.first and not saved_steps(folder.checkpoints):
                folder.discard()  # nothing was trained: correct the mistake and call again
            raise


def _begin(folder: RunFolder, recipe: str, provenance: Mapping[str, Any]) -> None:
    """Write what makes the folder a run's, or, where the disk refuses, nothing."""
    try:
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
) -> Run:
    """Go on with the run in the folder `path`, to the very result it would have had unstopped.

    Raises `RunError` where there is no run or another process is working on it, and else what
    `fit` raises.
    """
    folder = open_run(Path(path))
    catalog = catalog or load_catalog()
    recipe = load_recipe(folder.recipe, catalog)
    read_records(beside)
    base = Path(read_json(folder.provenance)["base"])
    loading = attrs.evolve(loading or Loading(), base=base)
    device = chosen_device(recipe.train.device)
    ops = catalog.op_table
    with joined(device) as ranks, use(ops), ExitStack() as stack:
        require_same_plugins(catalog, ranks, device)
        if ranks.first:
            stack.enter_context(folder.locked())
            remove_half_written(folder.path)
            remove_half_written(folder.checkpoints)
        ranks.wait()
        sitting = RunSession(folder, recipe, loading, device, ranks, tuple(beside), report, catalog)
        return _sit(sitting, quiet=quiet)


def _sit(sitting: RunSession, *, quiet: bool) -> Run:
    """Work on the run to its end, and say in its status how that went."""
    folder, progress = sitting.folder, shown(quiet=quiet or not sitting.ranks.first)
    sitting.observers.notify(RunStarted(step=max(saved_steps(folder.checkpoints), default=0)))
    try:
        with threads_of(folder, sitting.recipe.train.threads):
            _work(sitting, progress)
    except (InterruptedRunError, KeyboardInterrupt) as cause:
        how = f"go on with `mtlkit resume {folder.path}`"
        reason = str(cause) if isinstance(cause, InterruptedRunError) else "stopped at once"
        _say_status(sitting, State.INTERRUPTED, reason)
        raise InterruptedRunError(f"{folder.path}: {reason}; {how}") from cause
    except Exception as cause:
        _say_status(sitting, State.FAILED, f"{type(cause).__name__}: {cause}")
        raise
    finally:
        progress.close()
    sitting.observers.notify(RunEnded(state=State.FINISHED.value))
    return Run(folder.path)


def _say_status(sitting: RunSession, state: State, reason: str) -> None:
    """Keep what the status knows and change the rest; a full disk must not hide the first error."""
    if sitting.ranks.first:
        with contextlib.suppress(RunError):
            folder = sitting.folder
            step = max(saved_steps(folder.checkpoints), default=0)
            folder.write_status(
                attrs.evolve(folder.status(), state=state, step=step, reason=reason, pid=0)
            )
    sitting.observers.notify(RunEnded(state=state.value, reason=reason))


def _work(sitting: RunSession, progress: Progress) -> None:
    folder, recipe, ranks = sitting.folder, sitting.recipe, sitting.ranks
    if ranks.first:
        folder.write_status(Status(state=State.RUNNING, pid=os.getpid()))
    data = _load(sitting, progress)
    assembly = assembly_of(data, recipe.tasks)
    for evaluator in recipe.evaluators:
        evaluator.check(data)  # now, rather than after hours of training
    if ranks.first:
        _keep_assembly(folder, assembly)
    targets = {
        name: encode_targets(split, recipe.tasks, assembly)
        for name, split in data.splits().items()
        if name != "test"  # never looked at before the evaluation
    }
    checkpoint = newest_checkpoint(folder.checkpoints)
    torch.manual_seed(recipe.seed)
    # a checkpoint brings the weights; those the run began with may be gone by now
    backbone = recipe.backbone if checkpoint is None else recipe.backbone.blank()
    model = assemble(backbone, recipe.router, recipe.tasks, assembly)
    for task in recipe.tasks:
        model.head(task).fit_targets(targets["train"][task])
    weighting = recipe.weighting.build(model.terms, model.router.features)
    training = Training(
        model,
        weighting,
        TrainingContext(
            recipe=recipe,
            data=data,
            targets=targets,
            folder=folder.path,
            checkpoints=folder.checkpoints,
            device=sitting.device,
            ranks=ranks,
            progress=progress,
            observers=sitting.observers,
        ),
    )
    if checkpoint is not None:
        training.restore(checkpoint)
        changed = changed_arithmetic(read_json(folder.provenance), checkpoint, sitting.device)
        if changed is not None:
            progress.say(changed)
        progress.say(f"going on after step {training.step} of {training.steps}")
    if ranks.first:
        now = Status(state=State.RUNNING, step=training.step, steps=training.steps, pid=os.getpid())
        folder.write_status(now)
    training.run()
    if ranks.first:
        _finish(sitting, training, data, progress)
    ranks.wait()  # a caller may read on any rank what the first one has written


def _load(sitting: RunSession, progress: Progress) -> Data:
    """The data; the first rank loads it before the others, which then find it in the cache."""
    loading = sitting.loading
    if loading.progress == Loading().progress:
        loading = attrs.evolve(loading, progress=progress.loading)
    if sitting.ranks.first:
        data = load_data(sitting.recipe, loading)
    sitting.ranks.wait()
    if not sitting.ranks.first:
        data = load_data(sitting.recipe, loading)
    return data


def _keep_assembly(folder: RunFolder, assembly: Assembly) -> None:
    """Write down what the data decided, or find that it still is what it was."""
    if not folder.assembly.exists():
        save_assembly(folder, assembly)
    elif read_assembly(folder) != assembly:
        raise DataError(
            f"{folder.path}: the data is no longer what the run began with: its labels, sample "
            f"shape or normalisation differ from {folder.assembly.name}; bring the old data back, "
            f"or start a new run"
        )


def _finish(sitting: RunSession, training: Training, data: Data, progress: Progress) -> None:
    """Save the model, evaluate it, and say that the run is finished."""
    folder = sitting.folder
    save_model(folder, training.model)
    status = Status(
        state=State.RUNNING,
        step=training.step,
        steps=training.steps,
        seconds=training.pace.seconds,
        peak_memory_bytes=training.pace.peak_memory(sitting.device),
        untrained=training.untrained,
        pid=os.getpid(),
    )
    folder.write_status(status)
    progress.say("evaluating")
    compared = sitting.beside if sitting.report else None
    evaluate_trained(
        folder, sitting.recipe, training.model, data, sitting.device, compared, sitting.observers
    )
    folder.write_status(attrs.evolve(status, state=State.FINISHED, pid=0))
