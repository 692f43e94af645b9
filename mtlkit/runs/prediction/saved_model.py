"""A trained model on disk: its weights, and the properties of the data that it was built from."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import cattrs
import torch
from torch import Tensor

from mtlkit.assembly import Assembly
from mtlkit.atomic_files import disk_errors, replaced_file
from mtlkit.checksums import file_checksum
from mtlkit.component import type_key
from mtlkit.errors import AssemblyError, RunError, error_text
from mtlkit.features.inputs import InputSpec, InputSpecs
from mtlkit.model import MultiTaskModel, assemble
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe import Recipe
from mtlkit.recipe_io.dump import plain
from mtlkit.runs.storage.changes import require_recipe
from mtlkit.runs.storage.data_fingerprint import Fingerprint
from mtlkit.runs.storage.folder import RunFolder, read_json, stored_values, write_json
from mtlkit.targets.base import Target
from mtlkit.training.tensor_files import StoredTensors, write_tensors


@contextmanager
def allocation_errors() -> Iterator[None]:
    """Raise `AssemblyError` if the memory for a model cannot be allocated."""
    try:
        yield
    except (MemoryError, RuntimeError) as cause:
        text = error_text(cause, longest=200)
        if isinstance(cause, RuntimeError) and not re.search("alloc|overflow|out of memory", text):
            raise
        raise AssemblyError(
            f"the model does not fit into memory ({text}); use smaller sizes in the recipe"
        ) from cause


def save_assembly(
    folder: RunFolder,
    assembly: Assembly,
    data: Fingerprint,
    preprocessing: Mapping[str, Any],
    catalog: Catalog,
) -> None:
    """Write the assembly of the run's model, and the fingerprint and preprocessing of its data.

    A target has the name of its type in `catalog`.
    """
    write_json(
        folder.assembly, {**plain(assembly, catalog), "data": data, "preprocessing": preprocessing}
    )


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

    def inputs(values: dict[str, Any], _: Any) -> InputSpecs:
        if "shape" in values and not isinstance(values["shape"], dict):
            return converter.structure(values, InputSpec)
        return {name: converter.structure(spec, InputSpec) for name, spec in values.items()}

    converter.register_structure_hook(InputSpecs, inputs)
    values = read_stored(folder)
    del values["data"], values["preprocessing"]
    with stored_values(folder.assembly):
        return converter.structure(values, Assembly)


def read_stored(folder: RunFolder) -> dict[str, Any]:
    """Return what `save_assembly` wrote; `RunError` if another version of mtlkit wrote less."""
    values = read_json(folder.assembly)
    missing = [key for key in ("inputs", "targets", "data", "preprocessing") if key not in values]
    if missing:
        raise RunError(
            f"{folder.assembly}: got no key {missing[0]!r}, which this version of mtlkit writes; "
            f"train the run again, or use the version in {folder.provenance}"
        )
    return values


def save_model(folder: RunFolder, tensors: Mapping[str, Tensor]) -> str:
    """Write the `tensors` of a model, whole or not at all, and return the file's checksum."""
    with disk_errors(folder.model), replaced_file(folder.model) as partial:
        return write_tensors(partial, tensors)


def read_weights(folder: RunFolder) -> StoredTensors:
    """Return the tensors of the run's trained model, which are read on access.

    Raises `RunError` if the run has no trained model yet, or if its file has changed.
    """
    if not folder.model.is_file():
        raise RunError(
            f"{folder.path}: has no trained model yet; finish it with `mtlkit resume {folder.path}`"
        )
    recorded = folder.status().checksums.get(folder.model.name)
    if recorded is None:
        raise RunError(
            f"{folder.path}: its training did not end; finish it with `mtlkit resume {folder.path}`"
        )
    if file_checksum(folder.model) != recorded:
        raise RunError(
            f"{folder.model}: got other weights than the run recorded, expected those that it "
            f"trained; restore the file from a copy, or train anew"
        )
    return StoredTensors([(folder.model, {})])


def read_model(folder: RunFolder, recipe: Recipe, catalog: Catalog) -> MultiTaskModel:
    """Return the run's trained model in evaluation mode, without loading data.

    Raises the errors of `read_weights`, and `RunError` if the weights do not fit the recipe.
    """
    weights = read_weights(folder)
    require_recipe(folder, read_json(folder.provenance))
    assembly = read_assembly(folder, catalog)
    with allocation_errors():
        model = assemble(recipe.backbone.blank(), recipe.router, recipe.tasks, assembly)
    try:
        model.load_state_dict(weights)
    except RuntimeError as cause:
        raise RunError(f"{folder.model}: does not fit the run's recipe: {cause}") from cause
    # the format of training: convolutions round differently in another one
    return model.to(memory_format=torch.channels_last).eval()
