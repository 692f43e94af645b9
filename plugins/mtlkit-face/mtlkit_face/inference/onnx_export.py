"""A model as an ONNX file: raw images in, templates out, for any number; checked, then kept."""

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
from mtlkit_face.inference.pictures import PORTION

if TYPE_CHECKING:
    import onnxruntime

INPUT, OUTPUT = "images", "templates"
TOLERANCE = 1e-4
"""The most by which a number of a template may differ; templates are at most of length 1."""

BATCHES = (1, 7)
"""The numbers of images for which the file is compared with the network."""


@attrs.frozen(kw_only=True)
class Exported:
    """An ONNX file, and the largest difference found for each of what was compared, in words."""

    path: Path
    differences: Mapping[str, float]


def export(model: FaceModel, path: Path, images: Sequence[Path] = ()) -> Exported:
    """Write `model` to `path`, if onnxruntime's templates are those of PyTorch within `TOLERANCE`.

    Compared are images of noise, and the image files `images`, read as in training. Both run on
    the CPU; `model` stays where it is.

    The input `images` is (N, C, H, W) in uint8, the output `templates` (N, K) in float32, for any
    N; normalisation and routing are in the file, and the model's origin in its metadata.

    Raises `MissingExtraError` where ONNX is not installed, and `DataError` where the file would
    differ or an image cannot be read; no file is left then.
    """
    onnx, runtime = _installed()
    model = attrs.evolve(model, embedder=copy.deepcopy(model.embedder).cpu())
    with atomic_path(path) as place:
        program = _program(model)
        proto = program.model_proto
        entry = proto.metadata_props.add()
        entry.key = KEY
        entry.value = json.dumps({"format": FORMAT, **attrs.asdict(TemplateOrigin.of(model))})
        onnx.checker.check_model(proto)
        place.write_bytes(proto.SerializeToString())
        session = runtime.InferenceSession(str(place), providers=["CPUExecutionProvider"])
        differences: dict[str, float] = {}
        for what, pixels in _compared(model, images):
            found = difference(model, session, pixels)
            if not found <= TOLERANCE:
                raise DataError(
                    f"{path}: not written: for {what} onnxruntime's templates differ from those "
                    f"of PyTorch by {found:.2g}; expected {TOLERANCE:g} at most. Try other "
                    f"versions of onnxruntime and torch"
                )
            differences[what] = max(found, differences.get(what, 0.0))
    return Exported(path=path, differences=differences)


def difference(model: FaceModel, session: "onnxruntime.InferenceSession", images: Tensor) -> float:
    """The largest difference of a number between both for raw `images` (N, C, H, W)."""
    (found,) = session.run([OUTPUT], {INPUT: images.numpy()})
    return (torch.from_numpy(found) - model.embed(images)).abs().max().item()


def _compared(model: FaceModel, files: Sequence[Path]) -> Iterator[tuple[str, Tensor]]:
    """What is compared, in words and as raw images: noise, then `files`, one alone too."""
    shape = (model.frame.channels, model.frame.height, model.frame.width)
    for count in BATCHES:
        random = torch.Generator().manual_seed(count)
        noise = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=random)
        yield f"{count} {'image' if count == 1 else 'images'} of noise", noise
    what = f"{len(files)} {'image' if len(files) == 1 else 'images'} of yours"
    for start in range(0, len(files), PORTION):
        portion = files[start : start + PORTION]
        pixels, faults = read_images(portion, model.frame, Loading())
        assert pixels is not None, "a portion fits into memory"
        for place, reason in sorted(faults.items()):
            raise DataError(
                f"{portion[place]}: {reason}; expected an image to compare the file with"
            )
        for count in dict.fromkeys((1, len(portion))):
            yield what, pixels[:count]


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
    """The network, on the CPU, traced for any number of images."""
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
