"""Export a model to ONNX, from raw images to templates, and compare it with PyTorch."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import torch
from torch import Tensor

from mtlkit.data import Loading, read_images
from mtlkit.plugins import DataError
from mtlkit.runs import OnnxGraph, write_onnx
from mtlkit_face.inference.gallery_file import FORMAT, KEY, TemplateOrigin
from mtlkit_face.inference.model import FaceModel
from mtlkit_face.inference.pictures import CHUNK

INPUT, OUTPUT = "images", "templates"

BATCHES = (1, 7)
"""Batch sizes for which the file is compared with the network."""


@attrs.frozen(kw_only=True)
class ExportedTemplates:
    """ONNX file, and the largest difference by description of the compared images."""

    path: Path
    differences: Mapping[str, float]


def export(model: FaceModel, path: Path, images: Sequence[Path] = ()) -> ExportedTemplates:
    """Write `model` to `path` if the templates of onnxruntime and PyTorch agree.

    They are compared on images of noise and on the image files `images`, read as in training, on
    the CPU; the device of `model` is unchanged.

    The input `images` is (N, C, H, W) in uint8, the output `templates` (N, K) in float32, for any
    N. The file includes normalization and routing; its metadata has the model's origin.

    Raises the errors of `mtlkit.runs.write_onnx`, and `DataError` if an image cannot be read.
    """
    graph = OnnxGraph(
        module=copy.deepcopy(model.embedder).cpu().eval(),
        example=_noise(model, 2),
        input=INPUT,
        outputs=(OUTPUT,),
        metadata={KEY: json.dumps({"format": FORMAT, **attrs.asdict(TemplateOrigin.of(model))})},
        implementations={"match_template": "eager"},
    )
    differences = write_onnx(graph, path, _compared(model, images))
    return ExportedTemplates(path=path, differences=differences)


def _noise(model: FaceModel, count: int) -> Tensor:
    shape = (count, model.frame.channels, model.frame.height, model.frame.width)
    random = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=random)


def _compared(model: FaceModel, files: Sequence[Path]) -> Iterator[tuple[str, Tensor]]:
    """Yield raw images to compare, with a description: noise, then chunks of `files`."""
    for count in BATCHES:
        yield f"{count} {'image' if count == 1 else 'images'} of noise", _noise(model, count)
    description = f"{len(files)} given {'image' if len(files) == 1 else 'images'}"
    for start in range(0, len(files), CHUNK):
        chunk = files[start : start + CHUNK]
        pixels, faults = read_images(chunk, model.frame, Loading())
        assert pixels is not None, "a chunk fits into memory"
        for index, reason in sorted(faults.items()):
            raise DataError(f"{chunk[index]}: {reason}; expected an image for --check")
        for count in dict.fromkeys((1, len(chunk))):
            yield description, pixels[:count]
