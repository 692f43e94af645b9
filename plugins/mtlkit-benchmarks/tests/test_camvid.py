"""The reader of CamVid."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mtlkit_benchmarks.camvid import CLASSES, CamVid, edges_of, shares_of
from PIL import Image

from mtlkit.data import Loading
from mtlkit.plugins import DataError

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "camvid"


def load(folder, size=(16, 24)):
    return CamVid(folder=folder, size=size).load(Loading())


def test_labels_are_those_of_the_files(tree):
    folder = tree("camvid")
    for split in load(folder).splits().values():
        for row, name in enumerate(split.ids):
            part, file = name.split("/")
            codes = np.asarray(Image.open(folder / f"{part}annot" / file)).astype(int)
            expected = torch.tensor(np.where(codes == 11, -1, codes))
            labels = {name: column.rows[row] for name, column in split.columns.items()}
            assert torch.equal(labels["classes"], expected)
            assert (labels["edges"][:, 0] == -1).all()
            present = [code in codes for code in range(11)]
            assert labels["presence"].tolist() == present
            shares = [(codes == code).sum() / (codes < 11).sum() for code in range(11)]
            np.testing.assert_allclose(labels["shares"], shares, rtol=1e-6)


def test_an_edge_is_between_two_classes_and_one_pixel_wide():
    classes = torch.zeros(1, 9, 12, dtype=torch.int64)
    classes[:, :, 7:] = 5
    edges = edges_of(classes)[0]
    assert edges[1:, 6].tolist() == [1] * 8
    assert edges.sum(dim=1).max() == 1
    assert edges_of(torch.full((1, 4, 4), 3)).sum() == 0


def test_an_image_without_a_class_has_no_shares():
    assert shares_of(torch.full((1, 2, 2), -1)).isnan().all()


def test_a_code_of_no_class_is_an_error(tree):
    folder = tree("camvid")
    Image.fromarray(np.full((16, 24), 12, np.uint8)).save(folder / "valannot" / "val1.png")
    with pytest.raises(DataError, match=r"val1.png: got the code 12, expected 0 to 10, or a code"):
        load(folder)


def test_the_real_set_has_the_published_counts():
    if not REAL.is_dir():
        pytest.skip("needs the CamVid data set in ../shared/data/camvid")
    data = load(REAL, (120, 160))
    assert {name: len(split) for name, split in data.splits().items()} == {
        "train": 367, "validation": 101, "test": 233,
    }  # fmt: skip
    classes = data.train.columns["classes"].rows
    shares = [round(100 * float((classes == code).float().mean()), 1) for code in range(11)]
    assert shares == [16.8, 23.3, 1.0, 31.7, 4.5, 9.7, 1.2, 1.1, 5.9, 0.6, 0.3]
    assert len(CLASSES) == len(shares)
