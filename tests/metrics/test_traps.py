"""Cases in which a metric of the field is easily computed wrong."""

import math
import pickle

import pytest
import torch

from mtlkit.data import (
    ClassMapTarget,
    ClassTarget,
    MultiLabelTarget,
    NumberTarget,
    RealMapTarget,
    UnitVectorMapTarget,
    VectorTarget,
)
from mtlkit.errors import DataError
from mtlkit.metrics import (
    AUROC,
    CCC,
    ECE,
    F1,
    MAE,
    NLL,
    NME,
    RMSE,
    Accuracy,
    AngleMean,
    AngleMedian,
    AngleWithin,
    AveragePrecision,
    BalancedAccuracy,
    Delta,
    MeanIoU,
    RelativeError,
    TopK,
)

ABC = ClassTarget(names=("a", "b", "c"))
MAPS = ClassMapTarget(names=("a", "b", "c"))
DEPTH = RealMapTarget()
NORMALS = UnitVectorMapTarget()
RIGHT = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)


def value(metric, target, *batches):
    state = metric.build(target)
    for outputs, labels in batches:
        state.update(outputs, labels)
    return state.compute()


def logits(predicted):
    """Return logits with the classes in dimension 1 that predict `predicted`."""
    return 9.0 * torch.nn.functional.one_hot(predicted, 3).movedim(-1, 1)


def test_an_image_weighs_as_its_valid_pixels():
    """Not a mean of the means of images, nor of batches."""
    few, many = torch.full((1, 1, 10, 101), math.nan), torch.full((1, 1, 10, 101), 2.0)
    few[..., 0] = 2.0
    batches = [(torch.full_like(few, 5.0), few), (torch.full_like(many, 3.0), many)]
    assert value(MAE(), DEPTH, *batches) == (10 * 3 + 1010 * 1) / 1020
    assert value(RMSE(), DEPTH, *batches) == math.sqrt((10 * 9 + 1010) / 1020)


def test_a_map_without_a_valid_pixel_changes_nothing():
    empty = torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), math.nan)
    full = torch.ones(1, 1, 4, 4), torch.full((1, 1, 4, 4), 2.0)
    assert value(MAE(), DEPTH, empty, full) == 1.0
    assert value(MAE(), DEPTH, empty) is None


def test_relative_error_and_delta_ignore_targets_that_they_do_not_define():
    outputs, labels = torch.tensor([1.0, 3.0, 7.0]), torch.tensor([2.0, 4.0, 0.0])
    assert value(RelativeError(), NumberTarget(), (outputs, labels)) == (1 / 2 + 1 / 4) / 2
    assert value(Delta(), NumberTarget(), (outputs, labels)) == 0.0  # 4 / 3 is above 1.25
    assert value(Delta(power=2), NumberTarget(), (outputs, labels)) == 0.5  # and below 1.5625
    assert value(RelativeError(), NumberTarget(), (outputs, torch.zeros(3))) is None


def test_a_depth_that_is_not_positive_is_outside_every_factor():
    outputs, labels = torch.tensor([-2.0, 0.0, 2.0, math.nan]), torch.full((4,), 2.0)
    assert value(Delta(power=3), NumberTarget(), (outputs, labels)) == 0.25


def test_the_mean_iou_is_counted_over_the_set():
    first = torch.tensor([[[0, 0], [0, 0]]]), torch.tensor([[[0, 0], [0, 1]]])
    second = torch.tensor([[[1, 1], [1, 1]]]), torch.tensor([[[1, 1], [1, -1]]])
    batches = [(logits(predicted), labels) for predicted, labels in (first, second)]
    assert value(MeanIoU(), MAPS, *batches) == pytest.approx((3 / 4 + 3 / 4) / 2)
    halves = [MeanIoU().build(MAPS) for _ in batches]
    for state, batch in zip(halves, batches, strict=True):
        state.update(*batch)
    halves[0].merge(halves[1])
    assert halves[0].compute() == value(MeanIoU(), MAPS, *batches)
    assert list(halves[0].parts()) == ["a", "b"]  # c is neither true nor predicted


def test_a_class_that_is_only_predicted_counts_for_iou_and_f1_but_not_for_recall():
    labels, predicted = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 2, 1, 1])
    batch = logits(predicted), labels
    assert value(F1(), ABC, batch) == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert value(BalancedAccuracy(), ABC, batch) == (1 / 2 + 1) / 2
    maps = logits(predicted.reshape(1, 2, 2)), labels.reshape(1, 2, 2)
    assert value(MeanIoU(), MAPS, maps) == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert value(Accuracy(), MAPS, maps) == 0.75


def test_f1_of_the_set_is_not_the_mean_of_batches():
    target = MultiLabelTarget(names=("smiling",))
    batches = [
        (torch.tensor([[1.0], [1.0]]), torch.tensor([[1], [0]])),
        (torch.tensor([[-1.0], [-1.0]]), torch.tensor([[1], [0]])),
    ]
    assert value(F1(), target, *batches) == 0.5  # 2/3 and 0 by batch


def test_labels_without_positives_or_without_negatives_are_left_out_of_a_ranking():
    target = MultiLabelTarget(names=("p", "q", "r"))
    labels = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 1, -1]])
    scores = torch.tensor([[2.0, 0, 0], [1.0, 0, 0], [0.0, 0, 0]])
    for metric, expected in ((AUROC(), 0.5), (AveragePrecision(), (1 + 2 / 3) / 2)):
        assert value(metric, target, (scores, labels)) == pytest.approx(expected)
        assert value(metric, target, (scores[:, [1, 2, 2]], labels[:, [1, 2, 2]])) is None


def test_equal_scores_rank_as_half():
    scores = torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])
    assert value(AUROC(), ABC, scores) == 0.5
    assert value(AveragePrecision(), ABC, scores) == pytest.approx((2 / 4 + 1 / 4 + 1 / 4) / 3)


@pytest.mark.parametrize(
    ("metric", "target", "outputs", "labels"),
    [
        (AUROC(), ABC, torch.zeros(3, 3), torch.tensor([0, 1, 2])),
        (AveragePrecision(), ABC, torch.zeros(3, 3), torch.tensor([0, 1, 2])),
        (NLL(), ABC, torch.zeros(3, 3), torch.tensor([0, 1, 2])),
        (ECE(), ABC, torch.zeros(3, 3), torch.tensor([0, 1, 2])),
        (CCC(), NumberTarget(), torch.zeros(3), torch.tensor([0.0, 1.0, 2.0])),
        (AngleMean(), NORMALS, torch.ones(1, 3, 2, 2), RIGHT.clone()),
        (AngleMedian(), NORMALS, torch.ones(1, 3, 2, 2), RIGHT.clone()),
    ],
    ids=lambda part: type(part).__name__,
)  # fmt: skip
def test_an_output_that_is_not_a_number_is_not_hidden(metric, target, outputs, labels):
    outputs[0].fill_(math.nan)
    assert math.isnan(value(metric, target, (outputs, labels)))


def test_a_prediction_without_a_direction_is_no_right_angle():
    labels = torch.eye(3)[2].expand(1, 2, 2, 3).movedim(3, 1)
    outputs = labels.clone()
    outputs[..., 0, 0] = 0.0
    assert math.isnan(value(AngleMean(), NORMALS, (outputs, labels)))
    assert math.isnan(value(AngleMedian(), NORMALS, (outputs, labels)))
    assert value(AngleWithin(), NORMALS, (outputs, labels)) == 0.75


def rotated(degrees):
    """Return unit vectors (1, 3, 1, M) at the angles to the z axis, and z axes of that shape."""
    radians = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    vectors = torch.stack([radians.sin(), torch.zeros_like(radians), radians.cos()])
    truth = torch.zeros_like(vectors)
    truth[2] = 1.0
    return vectors.reshape(1, 3, 1, -1), truth.reshape(1, 3, 1, -1).float()


def test_angles_are_those_of_vectors_of_any_length():
    outputs, labels = rotated([0.0, 1e-5, 11.0, 22.0, 90.0, 180.0])
    batch = outputs * 7, labels
    assert value(AngleMean(), NORMALS, batch) == pytest.approx((1e-5 + 11 + 22 + 90 + 180) / 6)
    assert value(AngleMedian(), NORMALS, batch) == pytest.approx(11, abs=0.0051)
    shares = [value(AngleWithin(degrees=limit), NORMALS, batch) for limit in (11.25, 22.5, 30)]
    assert shares == [3 / 6, 4 / 6, 4 / 6]


def test_a_small_angle_keeps_its_digits():
    """The arc cosine of float32 gives 0 or 0.03 degrees."""
    outputs, labels = rotated([0.001])
    assert value(AngleMean(), NORMALS, (outputs.float(), labels)) == pytest.approx(0.001, rel=1e-4)


def test_the_median_is_over_the_pixels_of_the_set():
    batches = [rotated([1.0, 2.0, 3.0]), rotated([50.0] * 2 + [60.0] * 3)]
    for parts in (batches, batches[::-1]):
        assert value(AngleMedian(), NORMALS, *parts) == pytest.approx(50, abs=0.0051)


POINTS = VectorTarget(names=("left_x", "right_x", "left_y", "right_y"))  # in any order


def test_keypoint_errors_are_relative_to_each_sample():
    labels = torch.tensor([[0.0, 3.0, 0.0, 4.0], [0.0, 30.0, 0.0, 40.0]])
    outputs = labels + torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 10.0, 0.0]])
    eyes = NME(between=("left", "right"))
    assert value(eyes, POINTS, (outputs, labels)) == pytest.approx((0.5 / 5 + 5 / 50) / 2)
    box = (0.5 / math.sqrt(12) + 5 / math.sqrt(1200)) / 2
    assert value(NME(), POINTS, (outputs, labels)) == pytest.approx(box)


def test_a_missing_keypoint_is_ignored_and_a_sample_without_a_size_too():
    labels = torch.tensor([[0.0, 3.0, 0.0, math.nan], [0.0, 3.0, 0.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
    outputs = labels.nan_to_num(0.0) + 1
    batch = outputs, labels
    expected = math.sqrt(2) / 5
    assert value(NME(between=("left", "right")), POINTS, batch) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "names", "message"),
    [
        (
            NME(),
            ("left_x", "left_y", "age"),
            "nme: got the components left_x, left_y, age; expected only pairs NAME_x and NAME_y",
        ),
        (
            NME(between=("left", "nose")),
            ("left_x", "left_y"),
            "nme-left-nose: got the points left; expected 'nose', named by `between`",
        ),
    ],
)
def test_components_that_are_no_keypoints_are_refused(metric, names, message):
    with pytest.raises(DataError) as raised:
        metric.build(VectorTarget(names=names))
    assert str(raised.value) == message


def test_a_class_that_ties_with_the_last_of_the_top_is_found():
    outputs = torch.tensor([[2.0, 1.0, 1.0]] * 3)
    assert value(TopK(k=2), ABC, (outputs, torch.tensor([0, 1, 2]))) == 1.0
    assert value(TopK(k=1), ABC, (outputs, torch.tensor([0, 1, 2]))) == pytest.approx(1 / 3)


BATCHES = {
    ABC: (torch.zeros(50, 3), torch.zeros(50, dtype=torch.int64)),
    MAPS: (torch.zeros(5, 3, 8, 8), torch.zeros(5, 8, 8, dtype=torch.int64)),
    DEPTH: (torch.ones(5, 1, 8, 8), torch.ones(5, 1, 8, 8)),
    NORMALS: (torch.ones(5, 3, 8, 8), torch.ones(5, 3, 8, 8)),
    POINTS: (torch.zeros(50, 4), torch.zeros(50, 4)),
    NumberTarget(): (torch.zeros(50), torch.zeros(50)),
}
KEEP_SCORES = ("auroc", "average-precision")


def test_the_memory_of_a_state_does_not_grow_with_the_samples(catalog):
    """Except for exact rankings, which say how many bytes they need."""
    for name in catalog.metrics.names():
        metric = catalog.metrics.get(name)()
        for target, batch in BATCHES.items():
            if not isinstance(target, metric.targets):
                continue
            state, sizes = metric.build(target), []
            for _ in range(3):
                state.update(*batch)
                sizes.append(len(pickle.dumps(state)))
            grows = len(set(sizes)) > 1
            assert grows == (name in KEEP_SCORES), (name, target, sizes)
            if grows:
                assert sizes[2] - sizes[1] < 50 * 4 * (3 + 1) + 600
