"""A trained model on disk: its weights, and what the data decided about it."""

import attrs
from safetensors import SafetensorError
from safetensors.torch import load_file

from mtlkit.atomic_files import write_file
from mtlkit.errors import RunError
from mtlkit.model import Assembly, MultiTaskModel, assemble
from mtlkit.recipe import Recipe
from mtlkit.runs.folder import RunFolder, read_json, write_json
from mtlkit.training.checkpoint import tensor_bytes, tensors_of


def save_assembly(folder: RunFolder, assembly: Assembly) -> None:
    """Write down what the data decided."""
    write_json(folder.assembly, attrs.asdict(assembly))


def read_assembly(folder: RunFolder) -> Assembly:
    """What the data decided about the run's model."""
    found = read_json(folder.assembly)
    return Assembly(
        sample_shape=tuple(found["sample_shape"]),
        classes={task: tuple(names) for task, names in found["classes"].items()},
        centre=found["centre"],
        scale=found["scale"],
    )


def save_model(folder: RunFolder, model: MultiTaskModel) -> None:
    """Write the weights of `model`, whole or not at all."""
    write_file(folder.model, tensor_bytes(tensors_of(model)))


def read_model(folder: RunFolder, recipe: Recipe) -> MultiTaskModel:
    """The run's trained model in evaluation mode; it needs no data.

    Raises `RunError` where the run has none yet, or where it does not fit the recipe.
    """
    if not folder.model.is_file():
        raise RunError(
            f"{folder.path}: has no trained model yet; finish it with `mtlkit resume {folder.path}`"
        )
    assembly = read_assembly(folder)
    model = assemble(recipe.backbone.blank(), recipe.routing, recipe.tasks, assembly)
    try:
        model.load_state_dict(load_file(folder.model))
    except (SafetensorError, RuntimeError) as cause:
        raise RunError(f"{folder.model}: does not fit the run's recipe: {cause}") from cause
    return model.eval()
