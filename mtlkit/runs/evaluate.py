"""Evaluate a trained model, right after training or later from its folder."""

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from pathlib import Path

import attrs
import torch

from mtlkit.assembly import Assembly, assembly_of
from mtlkit.atomic_files import write_file
from mtlkit.component import Component
from mtlkit.data.dataset import Data
from mtlkit.data.source import Loading
from mtlkit.data.transformed import source_of
from mtlkit.errors import AssemblyError, DataError
from mtlkit.evaluators.base import EvaluationResult, Evaluator
from mtlkit.evaluators.context import EvaluationContext
from mtlkit.evaluators.pictures import Pictures
from mtlkit.evaluators.task_metrics import TaskMetrics
from mtlkit.evaluators.trained_model import TrainedModel
from mtlkit.features.inputs import InputSpec, InputSpecs, described_inputs
from mtlkit.model import MultiTaskModel
from mtlkit.ops.dispatch.choice import use
from mtlkit.plugins.catalog import Catalog, load_catalog
from mtlkit.plugins.observers import Observers
from mtlkit.plugins.run_events import Evaluated, RunInfo
from mtlkit.recipe import Recipe
from mtlkit.recipe_io import load_recipe
from mtlkit.recipe_io.structuring import default_of
from mtlkit.report.evaluation import Evaluation, evaluation_to_json
from mtlkit.report.numbers import duration
from mtlkit.routers.shared import Shared
from mtlkit.runs.prediction.saved_model import read_assembly, read_model
from mtlkit.runs.report import read_records, write_report
from mtlkit.runs.resume_checks import changes_of_data
from mtlkit.runs.run import Run
from mtlkit.runs.run_data import load_data
from mtlkit.runs.storage.changes import record_changes, refuse_changes
from mtlkit.runs.storage.folder import RunFolder, Status, open_run, read_provenance
from mtlkit.targets.class_label import ClassTarget
from mtlkit.task_types import Role
from mtlkit.training.batching.batch_order import batch_order
from mtlkit.training.devices.device import chosen_device


def evaluate(
    path: Path | str,
    others: Sequence[Path | str] = (),
    *,
    catalog: Catalog | None = None,
    loading: Loading | None = None,
    accept: Collection[str] = (),
) -> Run:
    """Evaluate the finished run at `path` again, and write its report.

    The report compares it with the runs `others`. Relative paths in the recipe start from the same
    folder as in training. Raises `RunError` for a run that is unfinished, damaged or edited, and
    `DataError` if the data differs from the data of the training, unless `accept` has "data"; the
    change is then recorded in the provenance of the run.
    """
    folder, beside = open_run(Path(path)), [Path(other) for other in others]
    catalog, loading = catalog or load_catalog(), loading or Loading()
    read_records(beside)  # reports a mistake in these before the work starts
    recipe = load_recipe(folder.recipe, catalog)
    device = chosen_device(recipe.train.device)
    model, data = _model_and_data(folder, recipe, loading, catalog)
    changes = changes_of_data(folder, data, recipe.tasks, model.assembly)
    refuse_changes(folder, changes, accept)
    with folder.locked(), use(catalog.op_table):
        record_changes(folder, changes, folder.status().step)
        run = RunInfo(folder=folder.path, recipe=recipe, device=str(device))
        observers = Observers(catalog.manager, run)
        evaluate_trained(folder, recipe, model, data, device, beside, observers)
    return Run(folder.path)


def load_trained(
    path: Path | str, loading: Loading, catalog: Catalog | None = None
) -> EvaluationContext:
    """Return the trained model of the run at `path` with its data, as the input of an evaluator.

    Nothing is written. Relative paths in its recipe start from the same folder as in training.
    Raises the errors of `evaluate`.
    """
    folder = open_run(Path(path))
    catalog = catalog or load_catalog()
    recipe = load_recipe(folder.recipe, catalog)
    model, data = _model_and_data(folder, recipe, loading, catalog)
    refuse_changes(folder, changes_of_data(folder, data, recipe.tasks, model.assembly), ())
    return TrainedModel(model, data, recipe.tasks, chosen_device(recipe.train.device))


def _model_and_data(
    folder: RunFolder, recipe: Recipe, loading: Loading, catalog: Catalog
) -> tuple[MultiTaskModel, Data]:
    """Return the model of the run and its data; `DataError` if that would give another model."""
    model = read_model(folder, recipe, catalog)
    loading = attrs.evolve(loading, base=Path(read_provenance(folder)["base"]))
    data = load_data(recipe, loading)
    assembly = read_assembly(folder, catalog)
    _refuse_other_data(folder.path, assembly, assembly_of(data, recipe.tasks))
    return model, data


def evaluate_trained(
    folder: RunFolder,
    recipe: Recipe,
    model: MultiTaskModel,
    data: Data,
    device: torch.device,
    beside: Sequence[Path] | None = (),
    observers: Observers | None = None,
) -> None:
    """Run the `tasks` evaluator and the recipe's, and write ``evaluation.json`` and the report.

    The report also shows the runs `beside`; it is not drawn if `beside` is None. The `observers`
    are notified of the metrics, and add their sections.
    """
    trained = TrainedModel(model, data, recipe.tasks, device)
    listed = [evaluator for evaluator in recipe.evaluators if evaluator != TaskMetrics()]
    # task metrics come last: they reuse the predictions that the others cached, and measure the
    # aim of the recipe less directly than the evaluators that it lists
    results = [evaluator.evaluate(trained) for evaluator in (*listed, TaskMetrics())]
    _refuse_doubles([TaskMetrics(), *listed], [results[-1], *results[:-1]])
    if not any(isinstance(evaluator, Pictures) for evaluator in listed):
        results.append(Pictures().evaluate(trained))  # only a section, without metrics
    status = folder.status()
    metrics = {name: value for result in results for name, value in result.metrics.items()}
    event = Evaluated(
        step=status.step, epoch=_epochs(recipe, data, status), metrics=metrics, final=True
    )
    observers = observers or Observers()
    observers.notify(event)
    sections = tuple(section for result in results for section in result.sections)
    facts = _facts(recipe, model, data, status, device)
    if notes := read_provenance(folder).get("notes"):  # printed at the start of the run
        facts["notes"] = "; ".join(notes)
    evaluation = Evaluation(
        facts=facts,
        budget={  # the cost of the metrics, which a fair comparison of runs needs
            "parameters": float(_parameters(model)),
            "training samples": float(len(data.train)),
            "epochs": event.epoch,
            "steps": float(status.step),
            "seconds": status.seconds,
        },
        headlines=tuple(name for result in results for name in result.headlines),
        metrics=metrics,
        scales={name: scale for result in results for name, scale in result.scales.items()},
        sections=(*sections, *observers.report_sections(event)),
    )
    write_file(folder.evaluation, evaluation_to_json(evaluation).encode())
    if beside is not None:
        write_report(folder.path, beside)


def _refuse_doubles(evaluators: Sequence[Evaluator], results: Sequence[EvaluationResult]) -> None:
    """Raise `AssemblyError` if two evaluators return one metric, because one would be lost."""
    owners: dict[str, str] = {}
    for evaluator, result in zip(evaluators, results, strict=True):
        owner = described(evaluator)
        for name in result.metrics:
            if name in owners:
                raise AssemblyError(
                    f"two evaluators give the metric {name!r}: {owners[name]!r} and {owner!r}; "
                    f"leave one out of the recipe, or give their metrics other names"
                )
        owners |= dict.fromkeys(result.metrics, owner)


def _refuse_other_data(path: Path, then: Assembly, now: Assembly) -> None:
    """Raise `DataError` if the data would have produced another model."""
    if then == now:
        return
    changes = []
    if then.inputs != now.inputs:
        changes.append(
            f"inputs {described_inputs(then.inputs)}, now {described_inputs(now.inputs)}"
        )
    for task, target in then.targets.items():
        classes, current = target.classes, now.targets[task].classes
        if type(target) is not type(now.targets[task]):
            changes.append(f"{target.noun} for {task!r}, now {now.targets[task].noun}")
        elif current != classes:
            then_names, now_names = set(classes), set(current)
            removed = [name for name in classes if name not in now_names]
            added = [name for name in current if name not in then_names]
            changes.append(
                f"{len(classes)} classes of {task!r}, now {len(current)}"
                + (f", without {removed[0]!r}" if removed else "")
                + (f", with {added[0]!r}" if added else "")
            )
    raise DataError(
        f"{path}: the data is not what the model was trained on: it had {'; '.join(changes)}. "
        f"Bring the old data back, or train anew"
    )


def _shapes(inputs: InputSpecs) -> str:
    """Return the shape of each input, such as 3 x 32 x 32."""
    if isinstance(inputs, InputSpec):
        return " x ".join(map(str, inputs.shape))
    return ", ".join(f"{name} {_shapes(spec)}" for name, spec in inputs.items())


def _parameters(model: MultiTaskModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _epochs(recipe: Recipe, data: Data, status: Status) -> float:
    """Return the number of epochs trained, with a fraction."""
    return status.step / batch_order(recipe, source_of(data.train)).per_epoch


def _facts(
    recipe: Recipe, model: MultiTaskModel, data: Data, status: Status, device: torch.device
) -> dict[str, str]:
    """Return the setup of the run as text for readers."""
    ops = "".join(f", {op} by {name}" for op, name in recipe.train.ops.items())
    tasks = "task" if len(recipe.tasks) == 1 else f"tasks ({', '.join(recipe.tasks)})"
    facts = {
        "model": f"{type(recipe.backbone).__name__} with {len(recipe.tasks)} {tasks}",
        "data": type(recipe.data).__name__,
        **data.summary,
        "samples": ", ".join(f"{name} {len(split):,}" for name, split in data.splits().items()),
        "input": _shapes(model.assembly.inputs),
        "backbone": described(recipe.backbone),
        "tasks": "; ".join(_task(name, recipe, model) for name in recipe.tasks),
    }
    if not isinstance(recipe.router, Shared):
        facts["router"] = described(recipe.router)
    facts |= {
        "weighting": described(recipe.weighting),
        "optimizer": f"{described(recipe.optimizer)}; {described(recipe.schedule)}",
        "training": f"{_epochs(recipe, data, status):g} epochs of batches of {recipe.train.batch}, "
        f"{recipe.train.precision}, seed {recipe.seed}{ops}",
        "parameters": f"{_parameters(model):,}",
        "time": f"{duration(status.seconds)} on {device}",
    }
    if status.untrained:
        facts["parameters that no loss reaches"] = ", ".join(status.untrained)
    return facts


def described(value: object) -> str:
    """Describe a component in a few words: its class, and its options that are not the default.

    >>> from mtlkit.optim.sgd import SGD
    >>> described(SGD(lr=0.02, nesterov=True))
    'SGD, lr 0.02, nesterov'
    """
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {described(item)}" for key, item in value.items())
    if isinstance(value, tuple):
        return " ".join(map(described, value))
    if not isinstance(value, Component):
        return str(value)
    words = [type(value).__name__]
    for field in attrs.fields(type(value)):
        option = getattr(value, field.name)
        default = default_of(field)
        if option is True and default is False:
            words.append(field.name)
        elif option != default:
            words.append(f"{field.name} {described(option)}".replace("_", " "))
    return ", ".join(words)


def _task(name: str, recipe: Recipe, model: MultiTaskModel) -> str:
    target = model.assembly.targets[name]
    output = f"{len(target.classes)} classes" if isinstance(target, ClassTarget) else target.noun
    main = "main, " if recipe.tasks[name].role is Role.MAIN else ""
    return f"{name} ({main}{output})"
