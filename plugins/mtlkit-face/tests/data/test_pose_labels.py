"""Pose labels: groups of yaws, thresholds, tables that the data sources read, and agreement."""

import numpy as np
import pytest
import torch
from mtlkit_face.data.folder import FaceFolder, list_folder
from mtlkit_face.data.pose_labels import (
    GROUPS,
    Estimator,
    Poses,
    agreement,
    check_threshold,
    estimate_poses,
    group_matrix,
)
from PIL import Image

from mtlkit.data import Frame, Loading
from mtlkit.plugins import DataError

YAWS = tuple(map(str, range(-90, 91, 15)))


def test_thirty_degrees_are_frontal_and_more_are_not():
    names = [GROUPS[place] for place in group_matrix(YAWS).argmax(dim=1)]
    assert names == ["left"] * 4 + ["front"] * 5 + ["right"] * 4
    assert group_matrix(["-31", "30", "30.5"]).argmax(dim=1).tolist() == [0, 1, 2]
    with pytest.raises(DataError, match=r"the classes of pose are not degrees of yaw: .*'left'"):
        group_matrix(["left", "right"])


def network(images):
    """Logits (N, 13) of images (N, 1, 1, 13): the pixels themselves."""
    return images[:, 0, 0].float()


def test_a_posterior_of_a_group_is_the_sum_of_its_classes():
    images = torch.randn(7, 1, 1, len(YAWS))
    estimator = Estimator(network, Frame(8, 8, 1), group_matrix(YAWS))
    found = estimator.posteriors(images)
    # mirrored, the pixels of these images are the logits of the mirrored yaws
    every = network(images).softmax(dim=1)
    expected = torch.stack([every[:, :4].sum(1), every[:, 4:9].sum(1), every[:, 9:].sum(1)], 1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.sum(1), torch.ones(7))


def test_a_mirrored_face_has_the_mirrored_label():
    turn = torch.randn(len(YAWS), len(YAWS))
    estimator = Estimator(lambda x: network(x) @ turn, Frame(8, 8, 1), group_matrix(YAWS))
    images = torch.randn(20, 1, 1, len(YAWS))
    torch.testing.assert_close(
        estimator.posteriors(images.flip(-1)), estimator.posteriors(images).flip(1)
    )


def poses(*rows, threshold=0.6):
    ids = [f"s/{number}.png" for number in range(len(rows))]
    return Poses(ids, torch.tensor(rows), threshold)


SOME = ((0.7, 0.2, 0.1), (0.5, 0.4, 0.1), (0.1, 0.3, 0.6), (0.0, 1.0, 0.0))


def test_an_unsure_face_has_no_label():
    found = poses(*SOME)
    assert found.labels() == ["left", "", "right", "front"]
    assert found.counts() == {"left": 1, "front": 1, "right": 1, "unsure": 1}
    assert poses(*SOME, threshold=0.0).labels() == ["left", "left", "right", "front"]


@pytest.mark.parametrize("name", ["poses.csv", "poses.parquet"])
def test_the_data_sources_read_the_table(tmp_path, name):
    (tmp_path / "s").mkdir()
    for number in range(4):
        Image.new("L", (8, 8), number).save(tmp_path / f"s/{number}.png")
    poses(*SOME).write(tmp_path / name)
    data = FaceFolder(
        folder=tmp_path, size=8, labels=name, classes=("pose",), numeric=("posterior",)
    ).load(Loading(workers=1))
    assert data.train.categorical("pose").values() == ["left", None, "right", "front"]
    torch.testing.assert_close(data.train.columns["posterior"].values,
                               torch.tensor([0.7, 0.5, 0.6, 1.0]))  # fmt: skip


def test_all_faces_are_estimated_in_order_some_at_a_time(tmp_path):
    (tmp_path / "s").mkdir()
    for number in range(300):
        Image.new("L", (8, 8), number % 250).save(tmp_path / f"s/{number:03d}.png")
    asked = []

    def logits(images):
        asked.append(len(images))
        return images[:, 0, 0, :3].float() - torch.tensor([0.0, 125, 125])

    heard = []
    estimator = Estimator(logits, Frame(8, 8, 1), torch.eye(3))
    found = estimate_poses(estimator, list_folder(tmp_path), 0.0, 2, lambda *e: heard.append(e))
    assert asked == [256, 256, 44, 44]  # and the mirror images
    assert heard == [(256, 300), (300, 300)]
    assert found.ids[7] == "s/007.png"
    assert found.posteriors.shape == (300, 3)


def test_agreement_with_known_yaws(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("file,yaw\ns/0.png,-45\ns/1.png,0\ns/2.png,30\ns/3.png,\nother.png,15\n")
    found = agreement(poses(*SOME), table)
    assert list(found.lines()) == [
        "best group correct: 0.3333 of 3 known yaws",
        "label correct: 0.5000 of the 0.6667 labeled",
    ]
    for text, message in (
        ("file,pose\ns/0.png,left\n", "got no column 'yaw', expected one"),
        ("file,yaw\nx.png,0\n", "has the yaw of none of the faces"),
        ("file,yaw\ns/0.png,left\n", r"labels\.csv:2: yaw: got 'left', expected degrees"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            agreement(poses(*SOME), table)


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_threshold_that_no_posterior_has(value):
    with pytest.raises(DataError, match=r"--threshold: got .*, expected a number from 0 to 1"):
        check_threshold(value)
    check_threshold(np.float64(1))
