"""A trained model on disk: its weights, and the properties of the data that it was built from."""

from typing import Any

import cattrs
from safetensors import SafetensorError
from safetensors.torch import load_file

from mtlkit.assembly import Assembly
from mtlkit.atomic_files import write_file
from mtlkit.component import type_key
from mtlkit.errors import RunError
from mtlkit.features.inputs import InputSpec, InputSpecs
from mtlkit.model import MultiTaskModel, assemble
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe import Recipe
from mtlkit.recipe_io.dump import plain
from mtlkit.runs.folder import RunFolder, read_json, write_json
from mtlkit.targets.base import Target
from mtlkit.training.checkpoint import tensor_bytes, tensors_of


def save_assembly(folder: RunFolder, assembly: Assembly, catalog: Catalog) -> None:
    """Write the assembly of the run's model; a target has the name of its type in `catalog`."""
    write_json(folder.assembly, plain(assembly, catalog))


def read_assembly(folder: RunFolder, catalog: Catalog) -> Assembly:
    """Return the assembly of the run's model.

    Raises `ComponentError` for a type of targets whose plugin is not installed.
    """
    converter = cattrs.Converter(forbid_extra_keys=True)

    def target(values: dict[str, Any], _: type) -> Target:
        kind = catalog.targets.get(values.pop(type_key))
        result: Target = cattrs.structure_attrs_fromdict(values, kind)
        return result

    converter.register_structure_hook(Target, target)
    converter.register_structure_hook(InputSpecs, _inputs)
    return converter.structure(read_json(folder.assembly), Assembly)


def _inputs(values: dict[str, Any], _: Any) -> InputSpecs:
    """Return the spec of the input, or of each input by name."""
    if "shape" in values and not isinstance(values["shape"], dict):
        return _input(values)
    return {name: _input(spec) for name, spec in values.items()}


def _input(values: dict[str, Any]) -> InputSpec:
    return cattrs.structure(values, InputSpec)


def save_model(folder: RunFolder, model: MultiTaskModel) -> None:
    """Write the weights of `model`, whole or not at all."""
    write_file(folder.model, tensor_bytes(tensors_of(model)))


def read_model(folder: RunFolder, recipe: Recipe, catalog: Catalog) -> MultiTaskModel:
    """Return the run's trained model in evaluation mode, without loading data.

    Raises `RunError` if the run has no trained model yet, or if it does not fit the recipe.
    """
    if not folder.model.is_file():
        raise RunError(
            f"{folder.path}: has no trained model yet; finish it with `mtlkit resume {folder.path}`"
        )
    assembly = read_assembly(folder, catalog)
    model = assemble(recipe.backbone.blank(), recipe.router, recipe.tasks, assembly)
    try:
        model.load_state_dict(load_file(folder.model))
    except (SafetensorError, RuntimeError) as cause:
        raise RunError(f"{folder.model}: does not fit the run's recipe: {cause}") from cause
    return model.eval()
