"""The pictures of labels and predictions, pixel by pixel, and when inputs are shown."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from mtlkit.data import (
    Categorical,
    ClassMapTarget,
    ClassTarget,
    Data,
    Labels,
    RealMapTarget,
    Split,
    UnitVectorMapTarget,
)
from mtlkit.errors import DataError
from mtlkit.evaluators import Pictures
from mtlkit.evaluators.pictures import LARGEST
from mtlkit.targets.colors import class_colors, number_colors

WHITE = [255, 255, 255]
GROUND = ClassMapTarget(names=("sky", "road"))


def evaluated(target, labels, outputs, images=None, **options):
    """Return the galleries for a test split of some samples."""
    images = torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8) if images is None else images
    split = Split(
        inputs=images, columns={"y": Labels(target, labels)}, ids=list(map(str, range(len(labels))))
    )
    predictions = SimpleNamespace(outputs={"y": outputs})
    trained = SimpleNamespace(
        model=SimpleNamespace(assembly=SimpleNamespace(targets={"y": target})),
        data=Data(train=split, test=split),
        batches=lambda _: iter([(predictions, {"y": labels})]),
    )
    Pictures(**options).check(trained.data)
    result = Pictures(**options).evaluate(trained)
    assert result.metrics == {}
    return [block for section in result.sections for block in section.blocks]


def pixels(picture):
    with Image.open(io.BytesIO(base64.b64decode(picture.png))) as image:
        return np.asarray(image)


def test_class_maps_have_the_colors_of_the_legend_and_white_without_a_label():
    labels = torch.tensor([[[0, 1], [1, -1]]])
    outputs = torch.nn.functional.one_hot(1 - labels.clamp(min=0), 2).movedim(-1, 1).float()
    [gallery] = evaluated(GROUND, labels, outputs)
    legend, (label, prediction) = gallery.rows
    sky, road = (pixels(picture)[0, 0].tolist() for picture in legend)
    assert [picture.caption for picture in legend] == ["sky", "road"]
    assert sky != road
    assert pixels(label).tolist() == [[sky, road], [road, WHITE]]
    assert pixels(prediction).tolist() == [[road, sky], [sky, road]]
    assert gallery.caption == "y (test): a class of each pixel; white has no label."


def test_numbers_of_a_prediction_have_the_scale_of_the_label():
    labels = torch.tensor([[[[1.0, 3.0], [torch.nan, 1.0]]]])
    outputs = torch.tensor([[[[3.0, 1.0], [9.0, 1.0]]]])
    [gallery] = evaluated(RealMapTarget(), labels, outputs)
    [[label, prediction]] = gallery.rows
    low, high = number_colors(torch.tensor([0.0, 1.0]), 0.0, 1.0).tolist()
    assert pixels(label).tolist() == [[low, high], [WHITE, low]]
    assert pixels(prediction).tolist() == [[high, low], [high, low]]
    assert (label.caption, prediction.caption) == ("label 1: 1 to 3", "prediction 1: 1 to 9")


def test_vectors_are_colors_and_predictions_have_length_1():
    labels = torch.zeros(1, 3, 1, 2)
    labels[0, 0, 0, 0] = 1.0
    outputs = torch.tensor([0.0, 0.0, -5.0]).reshape(1, 3, 1, 1).expand(1, 3, 1, 2)
    [gallery] = evaluated(UnitVectorMapTarget(), labels, outputs)
    [[label, prediction]] = gallery.rows
    assert pixels(label).tolist() == [[[255, 128, 128], WHITE]]
    assert pixels(prediction).tolist() == [[[128, 128, 0]] * 2]


def test_inputs_are_shown_on_request_only_under_the_class_maps():
    labels, images = torch.tensor([[[0, 1], [1, 0]]]), torch.full((1, 3, 2, 2), 100).byte()
    outputs = torch.zeros(1, 2, 2, 2)
    [gallery] = evaluated(GROUND, labels, outputs, images)
    assert [len(row) for row in gallery.rows] == [2, 2]
    [gallery] = evaluated(GROUND, labels, outputs, images, inputs=True)
    image, label, _ = gallery.rows[-1]
    assert (pixels(image) == 100).all()
    sky = class_colors(2)[0].int()
    assert pixels(label)[0, 0].tolist() == ((sky + 100) // 2).tolist()


def test_only_the_first_samples_are_shown_and_large_maps_thinned_out():
    labels = torch.zeros(6, 2 * LARGEST + 1, 9, dtype=torch.int64)
    [gallery] = evaluated(GROUND, labels, torch.zeros(6, 2, 2 * LARGEST + 1, 9), samples=3)
    assert len(gallery.rows) == 1 + 3
    assert pixels(gallery.rows[1][0]).shape == (171, 3, 3)


def test_labels_without_pixels_have_no_picture():
    assert evaluated(ClassTarget(names=("a", "b")), torch.tensor([0, 1]), torch.zeros(2, 2)) == []


def test_inputs_that_are_no_images_cannot_be_shown():
    columns = {"y": Categorical.of(["a"])}
    data = Data(train=Split(inputs=torch.zeros(1, 4), columns=columns, ids=["0"]))
    Pictures().check(data)
    with pytest.raises(DataError, match="expected inputs that are 8-bit images of 1 or 3 channels"):
        Pictures(inputs=True).check(data)


def test_colors_of_classes_differ():
    colors = {tuple(color) for color in class_colors(100).tolist()}
    assert len(colors) == 100
    assert tuple(WHITE) not in colors
