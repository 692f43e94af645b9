"""The work of a session: load the data, assemble and train the network, evaluate it."""

from pathlib import Path
from typing import Any

import attrs
import torch

from mtlkit.assembly import Assembly, assembly_of
from mtlkit.backbones.base import BackboneModule
from mtlkit.data.dataset import Data
from mtlkit.data.source import Loading
from mtlkit.errors import RunError, error_text
from mtlkit.model import MultiTaskModel, assemble
from mtlkit.plugins.catalog import Catalog
from mtlkit.plugins.observers import Observers
from mtlkit.plugins.run_events import RunInfo
from mtlkit.recipe import Recipe
from mtlkit.runs.encoded_splits import encoded_splits, fit_heads
from mtlkit.runs.evaluate import evaluate_trained
from mtlkit.runs.first_samples import check_batch_norm, check_first_samples
from mtlkit.runs.log_pictures import log_pictures
from mtlkit.runs.logs import log_checksums
from mtlkit.runs.prediction.saved_model import allocation_errors, save_model
from mtlkit.runs.resume_checks import check_data, check_logs, check_warm_start
from mtlkit.runs.run_data import load_on_ranks
from mtlkit.runs.storage.folder import RunFolder, State, Status, read_json, write_json
from mtlkit.runs.storage.numerics import changed_arithmetic
from mtlkit.runs.warm_start import warm_start
from mtlkit.training.checkpoint import Checkpoint, newest_checkpoint, tensors_of
from mtlkit.training.context import TrainingContext
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.loop import Training
from mtlkit.training.progress import Progress
from mtlkit.training.sharding.whole_model import whole_model


@attrs.frozen(eq=False)
class RunSession:
    """One uninterrupted part of a run: its folder, recipe, device, processes and observers."""

    folder: RunFolder
    recipe: Recipe
    loading: Loading
    device: torch.device
    ranks: Ranks
    beside: tuple[Path, ...]
    report: bool  # whether to draw one at the end
    catalog: Catalog
    accept: tuple[str, ...] = ()  # kinds of changes since the start of the run
    observers: Observers = attrs.field(init=False)

    @observers.default
    def _first_ranks_observers(self) -> Observers:
        if not self.ranks.first:
            return Observers()
        run = RunInfo(folder=self.folder.path, recipe=self.recipe, device=str(self.device))
        return Observers(self.catalog.manager, run)


def execute(session: RunSession, progress: Progress) -> None:
    """Train what the recipe of `session` describes, from its newest checkpoint on, and evaluate it.

    Raises the errors of `mtlkit.fit`.
    """
    folder, recipe, ranks = session.folder, session.recipe, session.ranks
    if ranks.first:
        folder.write_status(Status.running())
    data = load_on_ranks(recipe, session.loading, ranks, session.device, progress)
    assembly = assembly_of(data, recipe.tasks)
    for evaluator in recipe.evaluators:
        evaluator.check(data)  # before training, which may take hours
    if ranks.first:
        check_data(folder, data, recipe.tasks, assembly, session.catalog, session.accept, progress)
    checkpoint = newest_checkpoint(folder.checkpoints, ranks, session.device)
    note = (lambda text: progress.write(f"note: {text}")) if checkpoint is None else None
    targets = encoded_splits(data, recipe.tasks, assembly, note)
    model = _new_model(session, assembly, resumed=checkpoint is not None)
    fit_heads(model, targets["train"])
    if checkpoint is None:
        check_first_samples(model, data, targets, recipe.tasks)
        _begin(session, data, model, progress)
    training = Training(
        model,
        recipe.weighting.build(model.terms, model.router.features.width),
        TrainingContext(
            recipe=recipe,
            data=data,
            targets=targets,
            folder=folder.path,
            checkpoints=folder.checkpoints,
            device=session.device,
            ranks=ranks,
            progress=progress,
            observers=session.observers,
        ),
    )
    if checkpoint is not None:
        _resume(session, training, checkpoint, progress)
    elif training.updater.batches.smallest == 1:
        check_batch_norm(model, data, targets["train"])
    warmup = recipe.schedule.warmup_steps
    if note is not None and warmup > training.steps:
        note(
            f"schedule.warmup_steps: got {warmup}, but the run has {training.steps} updates, so "
            f"the learning rate never reaches that of the optimizer"
        )
    if ranks.first:
        folder.write_status(Status.running(step=training.step, steps=training.steps))
    del checkpoint  # which keeps its files open
    training.run()
    with whole_model(training.model, training.updater.plain):
        if ranks.first:
            _finish(session, training, data, progress)
    ranks.wait()  # a caller may read the files of the first rank on any rank


def _new_model(session: RunSession, assembly: Assembly, *, resumed: bool) -> MultiTaskModel:
    """Return the network with new weights, which a checkpoint replaces if the run is `resumed`."""
    recipe = session.recipe
    torch.manual_seed(recipe.seed)
    # a checkpoint holds the weights; the pretrained file may no longer exist
    backbone = recipe.backbone.blank() if resumed else recipe.backbone
    with allocation_errors():
        return assemble(backbone, recipe.router, recipe.tasks, assembly)


def _begin(session: RunSession, data: Data, model: MultiTaskModel, progress: Progress) -> None:
    """Print and store the notes, and take the weights of the run that this one starts from."""
    recipe, facts = session.recipe, dict[str, Any]()
    backbones = [part for part in model.modules() if isinstance(part, BackboneModule)]
    notes = [*map(str, recipe.notes()), *data.notes, *(n for part in backbones for n in part.notes)]
    for note in dict.fromkeys(notes):
        progress.write(f"note: {note}")
        facts["notes"] = [*facts.get("notes", ()), note]
    if recipe.warm_start is not None:
        report = warm_start(model, recipe.warm_start, session.loading.base, session.catalog)
        if session.ranks.first:
            check_warm_start(session.folder, report, session.accept)
        progress.write(report.line())
        facts["warm_start"] = attrs.asdict(report)
    if facts and session.ranks.first:
        path = session.folder.provenance
        write_json(path, {**read_json(path), **facts})


def _resume(
    session: RunSession, training: Training, checkpoint: Checkpoint, progress: Progress
) -> None:
    """Restore the checkpoint, and report what has changed since it was written."""
    folder = session.folder
    if session.ranks.first:
        check_logs(folder, checkpoint, session.accept)
    restore(training, checkpoint, folder)
    changed = changed_arithmetic(read_json(folder.provenance), checkpoint, session.device)
    if changed is not None:
        progress.write(changed)
    progress.write(f"resuming after step {training.step} of {training.steps}")


def restore(training: Training, checkpoint: Checkpoint, folder: RunFolder) -> None:
    """Restore the checkpoint; raise `RunError` if it is not one of the run's recipe."""
    try:
        training.restore(checkpoint)
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as cause:
        raise RunError(
            f"{folder.checkpoints}: the checkpoint of step {checkpoint.step} does not fit the "
            f"run's recipe ({error_text(cause)}); undo the change of {folder.recipe.name}, or "
            f"start a new run"
        ) from cause


def _finish(session: RunSession, training: Training, data: Data, progress: Progress) -> None:
    """Save the model, evaluate it, and mark the run as finished."""
    folder = session.folder
    weights = save_model(folder, tensors_of(training.model))
    status = Status.running(
        step=training.step,
        steps=training.steps,
        seconds=training.pace.seconds,
        peak_memory_bytes=training.pace.peak_memory(session.device),
        untrained=training.untrained,
        checksums={folder.model.name: weights, **log_checksums(folder)},
    )
    folder.write_status(status)
    progress.write("evaluating")
    compared = session.beside if session.report else None
    evaluate_trained(
        folder, session.recipe, training.model, data, session.device, compared, session.observers
    )
    log_pictures(folder, session.recipe, training.step)
    folder.write_status(attrs.evolve(status, state=State.FINISHED, pid=0, host=""))
