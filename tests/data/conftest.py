"""Small folders of images."""

import csv

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def write_image():
    """Writes a gray image of (width, height) `size`, different for each seed."""

    def write(path, seed=0, size=(12, 10)):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, size[::-1], dtype=np.uint8)
        Image.fromarray(pixels).save(path)

    return write


@pytest.fixture
def faces(tmp_path, write_image):
    """A folder with ``s0_left_0.png`` and so on: 5 subjects, 2 poses, 4 shots each."""
    folder = tmp_path / "faces"
    for subject in range(5):
        for shot in range(4):
            pose = ("left", "right")[shot % 2]
            write_image(folder / f"s{subject}_{pose}_{shot}.png", seed=100 * subject + shot)
    return folder


@pytest.fixture
def write_csv():
    """Writes rows under a header of their keys."""

    def write(path, rows):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    return write
