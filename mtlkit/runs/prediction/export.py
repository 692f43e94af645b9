"""Export a trained run: ONNX, a program of torch, or weights, with its preprocessing and a card."""

import copy
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors.torch import save
from torch import Tensor, nn

from mtlkit.atomic_files import require_utf8, write_file
from mtlkit.errors import DataError, error_text
from mtlkit.evaluators.task_scores import at_least_float32
from mtlkit.features.inputs import Batch, InputSpec
from mtlkit.features.nodes import NodeFeatures
from mtlkit.model import MultiTaskModel
from mtlkit.ops.dispatch.choice import use
from mtlkit.recipe_io.dump import plain
from mtlkit.runs.prediction.export_onnx import (
    TOLERANCE,
    OnnxGraph,
    dynamic_batch,
    expected_outputs,
    largest_difference,
    write_onnx,
)
from mtlkit.runs.prediction.model_card import model_card
from mtlkit.runs.prediction.predict import SavedModel
from mtlkit.training.checkpoint import tensors_of

KEY = "mtlkit"
"""Entry of the metadata that describes inputs, outputs and preprocessing, in JSON."""

BATCHES = (1, 7)
"""Batch sizes for which an exported network is compared with the original."""


@attrs.frozen(kw_only=True)
class Exported:
    """The files of an export, and the largest difference of outputs by description of inputs."""

    path: Path
    card: Path
    differences: Mapping[str, float]


class PredictionNetwork(nn.Module):
    """Maps raw inputs to the predictions of each task: probabilities of classes, or numbers."""

    def __init__(self, network: MultiTaskModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Batch) -> tuple[Tensor, ...]:
        outputs = self.network.head_outputs(self.network.all_features(inputs))
        targets = self.network.assembly.targets
        return tuple(
            targets[task].probabilities(at_least_float32(values))
            for task, values in outputs.items()
        )


def export_model(model: SavedModel, path: Path, license: str | None = None) -> Exported:
    """Write `model` to `path`, ``.onnx``, ``.pt2`` or ``.safetensors``, with a card in ``.md``.

    A graph (ONNX, or ``.pt2`` of torch.export) maps raw inputs of any batch size to the predictions
    of each task, and includes the normalization of `Data`. Outputs are compared with the network's
    on random inputs. The metadata has the recipe, inputs, targets and the preprocessing of a table.

    Raises `DataError` if the network cannot be exported, such as one of graphs with features of
    nodes, or if outputs differ, and `RunError` if `path` is not UTF-8; no file is written then.
    """
    writers = {".onnx": _onnx, ".pt2": _program, ".safetensors": _weights}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise DataError(f"{path}: expected a name that ends in {', '.join(writers)}")
    if writer is not _weights and isinstance(model.network.router.features, NodeFeatures):
        raise DataError(
            f"{path}: not written: got features of nodes, which have no dimension of samples, "
            f"expected a network of padded inputs; write its weights to a file .safetensors"
        )
    if path.resolve().is_relative_to(model.folder.checkpoints.resolve()) or (
        path.resolve() == model.folder.model.resolve()
    ):
        raise DataError(f"{path}: not written: it belongs to the run; choose another name")
    require_utf8(path)
    differences = writer(model, path)
    card = path.with_suffix(".md")
    write_file(card, model_card(model, path, differences, license).encode())
    return Exported(path=path, card=card, differences=differences)


def metadata_of(model: SavedModel) -> dict[str, Any]:
    """Return the recipe, inputs, targets and preprocessing of `model`, in the types of JSON."""
    return {
        "recipe": model.folder.recipe.read_text(encoding="utf-8"),
        **plain(model.network.assembly, model.catalog),
        "preprocessing": dict(model.preprocessing),
    }


def random_inputs(model: SavedModel, count: int) -> Batch:
    """Return `count` random raw inputs, the same in each call."""
    generator = torch.Generator().manual_seed(count)

    def one(spec: InputSpec) -> Tensor:
        dtype, shape = getattr(torch, spec.dtype), (count, *spec.shape)
        if dtype.is_floating_point:
            return torch.randn(shape, generator=generator).to(dtype)
        if dtype == torch.bool:
            return torch.ones(shape, dtype=dtype)
        return torch.randint(0, spec.vocabulary or 256, shape, dtype=dtype, generator=generator)

    specs = model.network.assembly.inputs
    if isinstance(specs, InputSpec):
        return one(specs)
    return {name: one(spec) for name, spec in specs.items()}


def _graph(model: SavedModel) -> OnnxGraph:
    network = copy.deepcopy(model.network).cpu().to(memory_format=torch.contiguous_format).eval()
    return OnnxGraph(
        module=PredictionNetwork(network).eval(),
        example=random_inputs(model, 2),
        outputs=network.tasks,
        metadata={KEY: json.dumps(metadata_of(model))},
    )


def _compared(model: SavedModel) -> Iterator[tuple[str, Batch]]:
    for count in BATCHES:
        yield f"{count} random {'input' if count == 1 else 'inputs'}", random_inputs(model, count)


def _onnx(model: SavedModel, path: Path) -> dict[str, float]:
    with use(model.catalog.op_table):
        return write_onnx(_graph(model), path, _compared(model))


def _program(model: SavedModel, path: Path) -> dict[str, float]:
    """Write a program of torch.export; ``torch.export.load(path).module()`` runs it."""
    graph = _graph(model)
    try:
        with torch.no_grad(), use(model.catalog.op_table):
            program = torch.export.export(
                graph.module, (graph.example,), dynamic_shapes=(dynamic_batch(graph.example),)
            )
        buffer = io.BytesIO()
        torch.export.save(program, buffer, extra_files={f"{KEY}.json": graph.metadata[KEY]})
    except Exception as cause:  # torch raises many types for code that it cannot trace
        raise DataError(
            f"{path}: not written: torch cannot export the network: {error_text(cause)}"
        ) from cause
    loaded = torch.export.load(io.BytesIO(buffer.getvalue())).module()
    differences = {}
    for description, inputs in _compared(model):
        with torch.no_grad():
            outputs = tuple(loaded(inputs))
        largest = largest_difference(outputs, expected_outputs(graph, inputs))
        if not largest <= TOLERANCE:
            raise DataError(
                f"{path}: not written: for {description} the outputs of the program and the "
                f"network differ by {largest:.2g}, expected {TOLERANCE:g} at most; try another "
                f"version of torch"
            )
        differences[description] = largest
    write_file(path, buffer.getvalue())
    return differences


def _weights(model: SavedModel, path: Path) -> dict[str, float]:
    tensors = {name: value.contiguous() for name, value in tensors_of(model.network).items()}
    write_file(path, save(tensors, metadata={KEY: json.dumps(metadata_of(model))}))
    return {}
