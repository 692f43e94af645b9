"""Merge trained runs in weight space: averaging, and task arithmetic (Ilharco et al. 2023).

Paper: Gabriel Ilharco, Marco Tulio Ribeiro, Mitchell Wortsman, Suchin Gururangan, Ludwig Schmidt,
Hannaneh Hajishirzi and Ali Farhadi, "Editing Models with Task Arithmetic", ICLR 2023.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import torch
from torch import Tensor

from mtlkit.assembly import assembly_of, encode_targets
from mtlkit.atomic_files import disk_errors, replaced_folder, write_file
from mtlkit.callbacks.averaging import recalculate_batch_norm
from mtlkit.data.dataset import Data
from mtlkit.data.source import Loading
from mtlkit.errors import RecipeError, RunError
from mtlkit.model import MultiTaskModel, assemble
from mtlkit.ops.dispatch.choice import use
from mtlkit.plugins.catalog import Catalog, load_catalog
from mtlkit.recipe import Recipe
from mtlkit.recipe_io import dump_recipe, load_recipe
from mtlkit.routers.shared import Shared
from mtlkit.runs.evaluate import evaluate_trained
from mtlkit.runs.prediction.saved_model import read_assembly, read_weights, save_model
from mtlkit.runs.resume_checks import check_data
from mtlkit.runs.run import Run
from mtlkit.runs.run_data import load_data
from mtlkit.runs.storage.changes import require_recipe
from mtlkit.runs.storage.folder import (
    RunFolder,
    State,
    Status,
    open_run,
    read_provenance,
    refuse_taken,
    write_json,
)
from mtlkit.runs.storage.provenance import provenance_of
from mtlkit.task import Task
from mtlkit.training.callbacks import Callbacks
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.context import TrainingContext
from mtlkit.training.devices.device import chosen_device
from mtlkit.training.progress import Silence
from mtlkit.weightings.equal import Equal

OF_TASKS = ("heads.", "adapters.")
"""Prefixes of the tensors that belong to a task, which no merge changes."""

SAME = ("data", "backbone", "router", "transforms")
"""Parts of the recipes that must be equal."""


def merge_runs(
    runs: Sequence[Path | str],
    out: Path | str,
    *,
    scale: float | None = None,
    base: Path | str | None = None,
    catalog: Catalog | None = None,
    loading: Loading | None = None,
) -> Run:
    """Merge the finished `runs`, each of other tasks, into one evaluated run in the folder `out`.

    The shared weights are the mean of those of the runs, or with `scale` (lambda) those of task
    arithmetic, w_0 + lambda sum_t (w_t - w_0). Here w_0 are the weights of the run `base`, or those
    with which all runs began, drawn from their common seed. Heads are taken as they are. Statistics
    of batch norm are computed anew from the training split.

    Raises `RunError` if the runs do not fit together, and the errors of `evaluate`.
    """
    if scale is not None and not math.isfinite(scale):
        raise RunError(f"scale: got {scale}, expected a finite number, such as 0.3")
    catalog, loading = catalog or load_catalog(), loading or Loading()
    folders = [open_run(Path(path)) for path in runs]
    for path in folders:
        require_recipe(path, read_provenance(path))
    recipes = [load_recipe(folder.recipe, catalog) for folder in folders]
    weights = [read_weights(folder) for folder in folders]
    recipe = _merged_recipe(folders, recipes)
    first = read_provenance(folders[0])
    loading = attrs.evolve(loading, base=Path(first["base"]))
    folder, device = RunFolder(Path(out)), chosen_device(recipe.train.device)
    with use(catalog.op_table):
        data = load_data(recipe, loading)
        assembly = assembly_of(data, recipe.tasks)
        for path, one in zip(folders, recipes, strict=True):
            if read_assembly(path, catalog) != assembly_of(data, one.tasks):
                raise RunError(
                    f"{path.path}: was trained on other data than there is now, expected the same "
                    f"labels and inputs; bring its data back, or train it anew"
                )
        model = assemble(recipe.backbone.blank(), recipe.router, recipe.tasks, assembly)
        start = None if scale is None else _base_weights(recipes, base, weights[0], data)
        model.load_state_dict(_merged(weights, start, scale))
        model.to(device)
        _recalculate(model, recipe, data, folder)
        refuse_taken(folder)
        # whole or not at all: to resume a part of it would train another model
        with folder.locked():
            refuse_taken(folder)  # again, now that no other process can write to it
            with disk_errors(folder.path), replaced_folder(folder.path) as whole:
                partial = RunFolder(whole)
                facts = {
                    "runs": [str(path) for path in runs],
                    "scale": scale,
                    "base": base and str(base),
                }
                provenance = provenance_of(recipe, catalog, loading.base, device, 1)
                write_json(partial.provenance, {**provenance, "merged": facts})
                write_file(partial.recipe, dump_recipe(recipe, catalog).encode())
                check_data(partial, data, recipe.tasks, assembly, catalog, (), Silence())
                checksums = {partial.model.name: save_model(partial, tensors_of(model))}
                partial.write_status(Status(state=State.FINISHED, checksums=checksums))
                evaluate_trained(partial, recipe, model.eval(), data, device, beside=())
    return Run(folder.path)


def _merged_recipe(folders: Sequence[RunFolder], recipes: Sequence[Recipe]) -> Recipe:
    """Return the recipe of the merged run: all tasks, and the common parts of the recipes."""
    tasks: dict[str, Task] = {}
    first = recipes[0]
    for folder, recipe in zip(folders, recipes, strict=True):
        for part in SAME:
            if getattr(recipe, part) != getattr(first, part):
                raise RunError(
                    f"{folder.path}: got another {part} than {folders[0].path}, expected the same "
                    f"in all runs; train them from recipes that differ in their tasks only"
                )
        repeated = [name for name in recipe.tasks if name in tasks]
        if repeated:
            raise RunError(
                f"{folder.path}: got the task {repeated[0]!r} of an earlier run, expected other "
                f"tasks; leave one of the runs out"
            )
        tasks |= recipe.tasks
    if not isinstance(first.router, Shared):
        raise RunError(
            f"{folders[0].path}: got the router {type(first.router).__name__}, expected shared, "
            f"whose weights have the same meaning in every run; train the runs with it"
        )
    shared = all(recipe.evaluators == first.evaluators for recipe in recipes)
    merged = attrs.evolve(
        first, tasks=tasks, weighting=Equal(), warm_start=None, callbacks=(),
        evaluators=first.evaluators if shared else (),
    )  # fmt: skip
    try:
        return merged.check()
    except RecipeError as cause:
        raise RunError(*cause.lines_at("the merged recipe cannot be used")) from cause


def _base_weights(
    recipes: Sequence[Recipe], base: Path | str | None, like: Mapping[str, Tensor], data: Data
) -> Mapping[str, Tensor]:
    """Return the shared weights from which task vectors are measured."""
    if base is None:
        first = recipes[0]
        if len({recipe.seed for recipe in recipes}) > 1 or any(r.warm_start for r in recipes):
            raise RunError(
                "task arithmetic: the runs did not begin with the same drawn weights (other seeds, "
                "or a warm start); give the run that all began with as `base`"
            )
        torch.manual_seed(first.seed)
        assembly = assembly_of(data, first.tasks)
        network = assemble(first.backbone, first.router, first.tasks, assembly)
        start: Mapping[str, Tensor] = network.state_dict()
    else:
        start = read_weights(open_run(Path(base)))
    for name in filter(_is_shared, like):
        if name not in start or start[name].shape != like[name].shape:
            raise RunError(f"{base}: has no tensor {name} of the shape {tuple(like[name].shape)}; "
                           f"give the run that all runs began with")  # fmt: skip
    return start


def _merged(
    weights: Sequence[Mapping[str, Tensor]], start: Mapping[str, Tensor] | None, scale: float | None
) -> dict[str, Tensor]:
    """Return the tensors of the merged model; integers, such as counters, are the first run's."""
    merged = {name: value for one in weights for name, value in one.items()}
    for name, value in weights[0].items():
        if not _is_shared(name):
            continue
        merged[name] = value
        if value.is_floating_point():
            stacked = torch.stack([one[name].double() for one in weights])
            if start is None or scale is None:
                mixed = stacked.mean(dim=0)
            else:
                origin = start[name].double()
                mixed = origin + scale * (stacked - origin).sum(dim=0)
            merged[name] = mixed.to(value.dtype)
            if not merged[name].isfinite().all():
                raise RunError(f"{name}: the merged weights are not finite; use a smaller scale")
    return merged


def _is_shared(name: str) -> bool:
    return not name.startswith(OF_TASKS)


def _recalculate(model: MultiTaskModel, recipe: Recipe, data: Data, folder: RunFolder) -> None:
    """Compute the statistics of batch norm anew, which averaged weights do not have."""
    device = next(model.parameters()).device
    context = TrainingContext(
        recipe=recipe, data=data, folder=folder.path, checkpoints=folder.checkpoints, device=device,
        targets={"train": encode_targets(data.train, recipe.tasks, model.assembly)},
    )  # fmt: skip
    recalculate_batch_norm(model, Callbacks(model, context, 0, 1).run)
