"""A model as an ONNX file: raw images in, templates out, for any number; checked, then kept."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import torch

from mtlkit.errors import DataError, MissingExtraError
from mtlkit.ops import use
from mtlkit_face.use.gallery_file import FORMAT, KEY, Origin
from mtlkit_face.use.model import FaceModel
from mtlkit_face.use.whole_file import whole_file

if TYPE_CHECKING:
    import onnxruntime

INPUT, OUTPUT = "images", "templates"
TOLERANCE = 1e-4
"""The most by which a number of a template may differ; templates are at most of length 1."""

BATCHES = (1, 7)
"""The numbers of images for which the file is compared with the network."""


@attrs.frozen(kw_only=True)
class Exported:
    """An ONNX file, and the largest difference found for each number of images."""

    path: Path
    differences: dict[int, float]


def export(model: FaceModel, path: Path) -> Exported:
    """Write `model` to `path`, if onnxruntime's templates are those of PyTorch within `TOLERANCE`.

    The input `images` is (N, C, H, W) in uint8, the output `templates` (N, K) in float32, for any
    N; normalisation and routing are in the file, and the model's origin in its metadata.

    Raises `MissingExtraError` where ONNX is not installed, and `DataError` where the file would
    differ; no file is left then.
    """
    onnx, runtime = _installed()
    with whole_file(path) as place:
        program = _program(model)
        proto = program.model_proto
        entry = proto.metadata_props.add()
        entry.key = KEY
        entry.value = json.dumps({"format": FORMAT, **attrs.asdict(Origin.of(model))})
        onnx.checker.check_model(proto)
        place.write_bytes(proto.SerializeToString())
        session = runtime.InferenceSession(str(place), providers=["CPUExecutionProvider"])
        differences = {count: difference(model, session, count) for count in BATCHES}
        far = {count: found for count, found in differences.items() if not found <= TOLERANCE}
        if far:
            count, found = next(iter(far.items()))
            raise DataError(
                f"{path}: not written: for {count} images onnxruntime's templates differ from "
                f"those of PyTorch by {found:.2g}; expected {TOLERANCE:g} at most. Try other "
                f"versions of onnxruntime and torch"
            )
    return Exported(path=path, differences=differences)


def difference(model: FaceModel, session: "onnxruntime.InferenceSession", count: int) -> float:
    """The largest difference of a number between both, for `count` images of noise."""
    shape = (count, model.frame.channels, model.frame.height, model.frame.width)
    images = torch.randint(
        0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(count)
    )
    (found,) = session.run([OUTPUT], {INPUT: images.numpy()})
    return (torch.from_numpy(found) - model.embed(images)).abs().max().item()


def _installed() -> tuple[Any, Any]:
    """The modules onnx and onnxruntime."""
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
    """The network traced for any number of images."""
    frame = model.frame
    example = torch.zeros(2, frame.channels, frame.height, frame.width, dtype=torch.uint8)
    embedder = model.embedder.cpu()
    with use(match_template="eager"):
        program = torch.onnx.export(
            embedder,
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={"images": {0: torch.export.Dim("N", min=1)}},
            verbose=False,
        )
    assert program is not None
    return program
