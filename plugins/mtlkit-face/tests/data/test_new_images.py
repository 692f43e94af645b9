"""Every source of faces reads images without labels in its own frame."""

from pathlib import Path

import numpy as np
import pytest
from mtlkit_face.data.folder import FaceFolder
from mtlkit_face.data.multi_pie.source import MultiPie
from mtlkit_face.data.recordio.source import FaceRecords
from mtlkit_face.data.rendered import Rendered
from PIL import Image

from mtlkit.data import Loading

SOURCES = [
    FaceFolder(folder=Path("none"), size=32, channels=3),
    FaceRecords(file=Path("none"), size=32, channels=3),
    MultiPie(folder=Path("none"), size=32, channels=3),
    Rendered(size=32, channels=3),
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: type(source).__name__)
def test_a_folder_of_images_without_labels_is_read(source, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    split = source.read(tmp_path, {}, Loading())
    assert (list(split.ids), dict(split.columns)) == (["a.png"], {})
    assert np.array_equal(split.inputs[0], pixels.transpose(2, 0, 1))
