"""Write a module as an ONNX graph for any batch size, compared with PyTorch before it is kept."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch import Tensor, nn

from mtlkit.atomic_files import disk_errors, replaced_file, require_utf8
from mtlkit.errors import DataError, MissingExtraError, error_text
from mtlkit.features.inputs import Batch, map_batch
from mtlkit.ops.dispatch.choice import use

if TYPE_CHECKING:
    import onnxruntime

TOLERANCE = 1e-4
"""Largest allowed difference of an output, relative to its largest element if that is above 1."""


@attrs.frozen(eq=False, kw_only=True)
class OnnxGraph:
    """A module on the CPU, in evaluation mode, and the names of its graph.

    `module` maps `example`, a batch of two samples, to a tensor or a tuple of tensors, one for each
    of `outputs`. A batch of one tensor is the input `input`; several have their names.
    `implementations` are those of ops in the graph.
    """

    module: nn.Module
    example: Batch
    outputs: tuple[str, ...]
    input: str = "inputs"
    metadata: Mapping[str, str] = attrs.field(factory=dict)
    implementations: Mapping[str, str] = attrs.field(factory=dict)


def write_onnx(
    graph: OnnxGraph, path: Path, compared: Iterable[tuple[str, Batch]]
) -> dict[str, float]:
    """Write `graph` to `path` if onnxruntime and PyTorch agree on the batches `compared`.

    Return the largest difference by the description of the batches. Raises `MissingExtraError` if
    ONNX is not installed, and `DataError` if the module cannot be exported or the outputs differ by
    more than `TOLERANCE`; no file is written then.
    """
    onnx, runtime = _import_onnx()
    require_utf8(path)
    differences: dict[str, float] = {}
    with disk_errors(path), replaced_file(path) as partial:
        proto = program_of(graph, path).model_proto
        for key, value in graph.metadata.items():
            entry = proto.metadata_props.add()
            entry.key, entry.value = key, value
        onnx.checker.check_model(proto)
        partial.write_bytes(proto.SerializeToString())
        session = runtime.InferenceSession(str(partial), providers=["CPUExecutionProvider"])
        for description, inputs in compared:
            largest = difference(graph, session, inputs)
            if not largest <= TOLERANCE:
                raise DataError(
                    f"{path}: not written: for {description} the outputs of onnxruntime and "
                    f"PyTorch differ by {largest:.2g}, expected {TOLERANCE:g} at most; try other "
                    f"versions of onnxruntime and torch"
                )
            differences[description] = max(largest, differences.get(description, 0.0))
    return differences


def difference(graph: OnnxGraph, session: "onnxruntime.InferenceSession", inputs: Batch) -> float:
    """Return the largest difference of the outputs for a batch of `inputs`."""
    named = {graph.input: inputs} if isinstance(inputs, Tensor) else inputs
    used = {value.name for value in session.get_inputs()}
    feeds = {name: values.numpy() for name, values in named.items() if name in used}
    outputs = session.run(list(graph.outputs), feeds)
    return largest_difference(
        tuple(map(torch.from_numpy, outputs)), expected_outputs(graph, inputs)
    )


def expected_outputs(graph: OnnxGraph, inputs: Batch) -> tuple[Tensor, ...]:
    """Return the outputs of the module in PyTorch."""
    with torch.no_grad(), use(**graph.implementations):
        outputs = graph.module(inputs)
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def largest_difference(outputs: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    """Return the largest difference of elements, relative to the largest one if it is above 1.

    >>> largest_difference((torch.tensor([12.0]),), (torch.tensor([8.0]),))
    0.5
    """
    return max(
        ((one - other).abs().max() / other.abs().max().clamp(min=1)).item()
        for one, other in zip(outputs, expected, strict=True)
    )


def dynamic_batch(inputs: Batch) -> Any:
    """Return the dynamic shapes of torch for a batch whose number of samples is free."""
    samples = torch.export.Dim("N", min=1)
    if isinstance(inputs, Tensor):
        return {0: samples}
    return {name: {0: samples} for name in inputs}


def program_of(graph: OnnxGraph, path: Path) -> "torch.onnx.ONNXProgram":
    """Trace the module for any number of samples; `DataError` if it cannot be traced."""
    names = [graph.input] if isinstance(graph.example, Tensor) else list(graph.example)
    example = map_batch(torch.clone, graph.example)
    try:
        with torch.no_grad(), use(**graph.implementations), warnings.catch_warnings():
            # several inputs have the dimension of samples, as stated
            warnings.filterwarnings("ignore", message="# The axis name: N will not be used")
            program = torch.onnx.export(
                graph.module,
                (example, {}),  # torch takes a mapping at the end as keyword arguments
                dynamo=True,
                input_names=names,
                output_names=list(graph.outputs),
                dynamic_shapes=(dynamic_batch(example),),
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as cause:
        raise DataError(
            f"{path}: not written: torch cannot export the network to ONNX: "
            f"{error_text(cause.__cause__ or cause)}"
        ) from cause
    assert program is not None
    return program


def _import_onnx() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError as cause:
        raise MissingExtraError(
            f"the export needs ONNX: {cause.name} is not installed; "
            f"run `pip install 'mtlkit[onnx]'`"
        ) from cause
    return onnx, onnxruntime
