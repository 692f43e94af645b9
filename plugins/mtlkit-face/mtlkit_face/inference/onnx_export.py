"""Export a model to ONNX, from raw images to templates, and compare it with PyTorch."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch import Tensor

from mtlkit.data import Loading, read_images
from mtlkit.ops import use
from mtlkit.plugins import DataError, MissingExtraError
from mtlkit_face.inference.atomic_file import atomic_path
from mtlkit_face.inference.gallery_file import FORMAT, KEY, TemplateOrigin
from mtlkit_face.inference.model import FaceModel
from mtlkit_face.inference.pictures import CHUNK

if TYPE_CHECKING:
    import onnxruntime

INPUT, OUTPUT = "images", "templates"
TOLERANCE = 1e-4
"""Largest allowed difference between template elements; templates have at most unit length."""

BATCHES = (1, 7)
"""Batch sizes for which the file is compared with the network."""


@attrs.frozen(kw_only=True)
class Exported:
    """ONNX file, and the largest difference by description of the compared images."""

    path: Path
    differences: Mapping[str, float]


def export(model: FaceModel, path: Path, images: Sequence[Path] = ()) -> Exported:
    """Write `model` to `path` if the templates of onnxruntime and PyTorch agree to `TOLERANCE`.

    They are compared on images of noise and on the image files `images`, read as in training, on
    the CPU; the device of `model` is unchanged.

    The input `images` is (N, C, H, W) in uint8, the output `templates` (N, K) in float32, for any
    N. The file includes normalization and routing; its metadata has the model's origin.

    Raises `MissingExtraError` if ONNX is not installed, and `DataError` if templates differ or an
    image cannot be read; no file is written then.
    """
    onnx, runtime = _import_onnx()
    model = attrs.evolve(model, embedder=copy.deepcopy(model.embedder).cpu())
    with atomic_path(path) as partial:
        program = _program(model)
        proto = program.model_proto
        entry = proto.metadata_props.add()
        entry.key = KEY
        entry.value = json.dumps({"format": FORMAT, **attrs.asdict(TemplateOrigin.of(model))})
        onnx.checker.check_model(proto)
        partial.write_bytes(proto.SerializeToString())
        session = runtime.InferenceSession(str(partial), providers=["CPUExecutionProvider"])
        differences: dict[str, float] = {}
        for description, pixels in _compared(model, images):
            largest = difference(model, session, pixels)
            if not largest <= TOLERANCE:
                raise DataError(
                    f"{path}: not written: for {description} the templates of onnxruntime and "
                    f"PyTorch differ by {largest:.2g}, expected {TOLERANCE:g} at most; try other "
                    f"versions of onnxruntime and torch"
                )
            differences[description] = max(largest, differences.get(description, 0.0))
    return Exported(path=path, differences=differences)


def difference(model: FaceModel, session: "onnxruntime.InferenceSession", images: Tensor) -> float:
    """Return the largest elementwise difference of templates of raw `images` (N, C, H, W)."""
    (templates,) = session.run([OUTPUT], {INPUT: images.numpy()})
    return (torch.from_numpy(templates) - model.embed(images)).abs().max().item()


def _compared(model: FaceModel, files: Sequence[Path]) -> Iterator[tuple[str, Tensor]]:
    """Yield raw images to compare, with a description: noise, then chunks of `files`."""
    shape = (model.frame.channels, model.frame.height, model.frame.width)
    for count in BATCHES:
        random = torch.Generator().manual_seed(count)
        noise = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=random)
        yield f"{count} {'image' if count == 1 else 'images'} of noise", noise
    description = f"{len(files)} given {'image' if len(files) == 1 else 'images'}"
    for start in range(0, len(files), CHUNK):
        chunk = files[start : start + CHUNK]
        pixels, faults = read_images(chunk, model.frame, Loading())
        assert pixels is not None, "a chunk fits into memory"
        for index, reason in sorted(faults.items()):
            raise DataError(f"{chunk[index]}: {reason}; expected an image for --check")
        for count in dict.fromkeys((1, len(chunk))):
            yield description, pixels[:count]


def _import_onnx() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError as cause:
        raise MissingExtraError(
            f"the export needs ONNX: {cause.name} is not installed; "
            f"run `pip install 'mtlkit-face[onnx]'`"
        ) from cause
    return onnx, onnxruntime


def _program(model: FaceModel) -> "torch.onnx.ONNXProgram":
    """Trace the network, on the CPU, for any number of images."""
    frame = model.frame
    example = torch.zeros(2, frame.channels, frame.height, frame.width, dtype=torch.uint8)
    with use(match_template="eager"):
        program = torch.onnx.export(
            model.embedder,
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={"images": {0: torch.export.Dim("N", min=1)}},
            verbose=False,
        )
    assert program is not None
    return program
