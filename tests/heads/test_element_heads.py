"""Heads of several elements for each sample, against torch and formulas."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss

from mtlkit.data import (
    ClassMapTarget,
    ClassTarget,
    MultiLabelTarget,
    NumberTarget,
    RealMapTarget,
    TokenTarget,
    UnitVectorMapTarget,
    VectorTarget,
)
from mtlkit.errors import AssemblyError, DataError
from mtlkit.features.maps import MapFeatures
from mtlkit.features.tokens import TokenFeatures
from mtlkit.features.vectors import VectorFeatures
from mtlkit.heads import (
    Classification,
    DenseRegression,
    MultiLabel,
    Normals,
    Ordinal,
    PointLoss,
    Regression,
    Segmentation,
    TokenClassification,
    VectorRegression,
)
from mtlkit.heads.fusion import head_losses

NAMES = ("a", "b", "c")
VECTORS, MAPS, TOKENS = VectorFeatures(width=6), MapFeatures(channels=6), TokenFeatures(width=6)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def codes(*shape, classes=3):
    """Random codes, about a quarter of them missing, the second sample without any."""
    drawn = torch.randint(classes, shape)
    drawn[torch.rand(shape) < 0.25] = -1
    drawn[1] = -1
    return drawn


def means(losses, present):
    """The mean of each sample by a loop."""
    rows = zip(losses, present, strict=True)
    return torch.stack([row[mask].mean() if mask.any() else row.sum() * 0 for row, mask in rows])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("options", [{}, {"hidden": (5,)}, {"label_smoothing": 0.1}])
def test_segmentation_is_the_cross_entropy_of_torch(stride, options):
    head = Segmentation(**options).build(
        MapFeatures(channels=6, stride=stride), ClassMapTarget(names=NAMES)
    )
    features, target = torch.randn(3, 6, 4, 5), codes(3, 4 * stride, 5 * stride)
    expected = F.cross_entropy(
        head(features), target, ignore_index=-1, reduction="none",
        label_smoothing=options.get("label_smoothing", 0.0),
    )  # fmt: skip
    torch.testing.assert_close(head.loss(features, target), means(expected, target >= 0))


def test_the_weighted_mean_of_samples_is_the_mean_of_torch_over_the_batch():
    kind = ClassMapTarget(names=NAMES)
    head = Segmentation().build(MAPS, kind)
    features, target = torch.randn(3, 6, 4, 5), codes(3, 4, 5)
    losses, weights = head.loss(features, target), kind.weights(target)
    mean = F.cross_entropy(head(features), target, ignore_index=-1)
    assert ((losses * weights).sum() / weights.sum()).item() == pytest.approx(mean.item())


def test_tokens_are_classified_as_by_torch():
    head = TokenClassification().build(TOKENS, TokenTarget(names=NAMES))
    features, target = torch.randn(3, 7, 6), codes(3, 7)
    expected = F.cross_entropy(
        head(features).movedim(2, 1), target, ignore_index=-1, reduction="none"
    )
    torch.testing.assert_close(head.loss(features, target), means(expected, target >= 0))


@pytest.mark.parametrize(
    ("head", "spec", "target", "shape", "size"),
    [
        (Segmentation(), MAPS, ClassMapTarget(names=NAMES), (6, 4, 5), (4, 5)),
        (TokenClassification(), TOKENS, TokenTarget(names=NAMES), (7, 6), (7,)),
    ],
    ids=["maps", "tokens"],
)
def test_fused_losses_of_maps_and_tokens_are_those_of_each_head(head, spec, target, shape, size):
    heads = {task: head.build(spec, target) for task in ("one", "two")}
    features = torch.randn(3, *shape, requires_grad=True)
    targets = {task: codes(3, *size) for task in heads}
    fused = head_losses(heads, dict.fromkeys(heads, features), targets, dict.fromkeys(heads, ""))
    inputs = [features, *(p for module in heads.values() for p in module.parameters())]
    both = []
    for losses in (fused, {task: m.loss(features, targets[task]) for task, m in heads.items()}):
        total = sum(value.sum() for value in losses.values())
        both.append([*losses.values(), *torch.autograd.grad(total, inputs)])
    for one, other in zip(*both, strict=True):
        torch.testing.assert_close(one, other)


def test_multi_label_is_the_binary_cross_entropy_of_torch():
    names = ("young", "smiling", "bald")
    head = MultiLabel(positive_weights={"bald": 3.0}).build(VECTORS, MultiLabelTarget(names=names))
    features, target = torch.randn(4, 6), codes(4, 3, classes=2)
    expected = F.binary_cross_entropy_with_logits(
        head(features), target.clamp(min=0).float(), reduction="none",
        pos_weight=torch.tensor([1.0, 1.0, 3.0]),
    )  # fmt: skip
    torch.testing.assert_close(head.loss(features, target), means(expected, target >= 0))


def test_balanced_labels_weigh_true_ones_by_the_false_ones_for_each():
    head = MultiLabel(balanced=True).build(VECTORS, MultiLabelTarget(names=("a", "b")))
    head.fit_targets(torch.tensor([[1, 0], [0, 1], [0, 1], [0, -1]]))
    assert head.positive.tolist() == [3.0, 0.5]
    with pytest.raises(DataError, match="got 0 true and 2 false training labels of 'a'"):
        head.fit_targets(torch.tensor([[0, 1], [0, 0]]))


def test_focal_losses_are_those_of_torchvision():
    head = MultiLabel(focal=2.0).build(VECTORS, MultiLabelTarget(names=("a", "b")))
    features, target = torch.randn(4, 6) * 100, codes(4, 2, classes=2)
    expected = sigmoid_focal_loss(head(features), target.clamp(min=0).float(), alpha=-1, gamma=2)
    torch.testing.assert_close(head.loss(features, target), means(expected, target >= 0))


@pytest.mark.parametrize(
    ("head", "spec", "kind", "shape", "size"),
    [
        (Classification, VECTORS, ClassTarget, (6,), ()),
        (Segmentation, MAPS, ClassMapTarget, (6, 2, 2), (2, 2)),
        (TokenClassification, TOKENS, TokenTarget, (5, 6), (5,)),
    ],
)
@pytest.mark.parametrize("hidden", [(), (7,)])
def test_the_focal_loss_of_classes_is_its_formula(head, spec, kind, shape, size, hidden):
    config = head(focal=2.0, class_weights={"c": 3.0}, hidden=hidden)
    module = config.build(spec, kind(names=NAMES))
    features, target = torch.randn(4, *shape) * 100, codes(4, *size)
    logits = module(features)
    log_p = (logits.movedim(2, 1) if head is TokenClassification else logits).log_softmax(dim=1)
    picked = log_p.gather(1, target.clamp(min=0).unsqueeze(1)).squeeze(1)
    weight = torch.where(target == 2, 3.0, 1.0)
    expected = -weight * (1 - picked.exp()) ** 2 * picked
    expected = expected.reshape(4, -1)
    found = module.loss(features, target)
    torch.testing.assert_close(found, means(expected, (target >= 0).reshape(4, -1)))


def test_balanced_classes_have_the_weights_of_scikit_learn():
    from sklearn.utils.class_weight import compute_class_weight

    labels = torch.tensor([0, 0, 0, 1, 2, 2, -1])
    module = Classification(balanced=True).build(VECTORS, ClassTarget(names=NAMES))
    module.fit_targets(labels)
    known = labels[labels >= 0].numpy()
    expected = compute_class_weight("balanced", classes=np.arange(3), y=known)
    torch.testing.assert_close(module.objective.weights.double(), torch.tensor(expected))
    with pytest.raises(DataError, match="no training label is 'b'"):
        module.fit_targets(torch.tensor([0, 2]))


def test_a_weight_of_an_unknown_class_is_refused():
    with pytest.raises(AssemblyError, match="no class 'd'; the classes are a, b, c"):
        Classification(class_weights={"d": 2.0}).build(VECTORS, ClassTarget(names=NAMES))
    with pytest.raises(AssemblyError, match="no label 'd'; the labels are a, b, c"):
        MultiLabel(positive_weights={"d": 2.0}).build(VECTORS, MultiLabelTarget(names=NAMES))
    with pytest.raises(ValueError, match="class_weights: a: expected a number above 0, got 0"):
        Classification(class_weights={"a": 0.0})


def test_an_implementation_is_not_dropped_for_other_losses():
    with pytest.raises(ValueError, match="implementation: 'eager' computes the plain cross-ent"):
        Classification(implementation="eager", focal=2.0)


@pytest.mark.parametrize("loss", list(PointLoss))
@pytest.mark.parametrize("hidden", [(), (7,)])
def test_numbers_have_the_losses_of_torch(loss, hidden):
    head = Regression(loss=loss, delta=0.5, hidden=hidden).build(VECTORS, NumberTarget())
    target = torch.tensor([1.0, math.nan, 3.0, 8.0], dtype=torch.float64)
    head.fit_targets(target)
    features = torch.randn(4, 6)
    errors = ((head(features) - target) / target[[0, 2, 3]].std(correction=0)).nan_to_num()
    zero = torch.zeros_like(errors)
    expected = {
        PointLoss.SQUARED: F.mse_loss(errors, zero, reduction="none") / 2,
        PointLoss.ABSOLUTE: F.l1_loss(errors, zero, reduction="none"),
        PointLoss.HUBER: F.huber_loss(errors, zero, reduction="none", delta=0.5),
    }[loss]
    torch.testing.assert_close(head.loss(features, target), expected.float(), rtol=1e-4, atol=1e-6)
    assert len(head.layers) == 2 * len(hidden) + 1


@pytest.mark.parametrize("loss", list(PointLoss))
@pytest.mark.parametrize("standardize", [True, False])
def test_vectors_have_the_losses_of_torch(loss, standardize):
    config = VectorRegression(loss=loss, delta=0.5, standardize=standardize)
    head = config.build(VECTORS, VectorTarget(names=("x", "y")))
    target = torch.tensor([[1.0, 20.0], [math.nan, math.nan], [3.0, math.nan], [8.0, 60.0]])
    head.fit_targets(target)
    std = torch.tensor([target[[0, 2, 3], 0].std(correction=0), 20.0])
    assert torch.allclose(head.std.float(), std if standardize else torch.ones(2))
    features = torch.randn(4, 6)
    errors = ((head(features) - target) / head.std).nan_to_num().float()
    zero = torch.zeros_like(errors)
    expected = {
        PointLoss.SQUARED: F.mse_loss(errors, zero, reduction="none") / 2,
        PointLoss.ABSOLUTE: F.l1_loss(errors, zero, reduction="none"),
        PointLoss.HUBER: F.huber_loss(errors, zero, reduction="none", delta=0.5),
    }[loss]
    torch.testing.assert_close(
        head.loss(features, target), means(expected, ~target.isnan()), rtol=1e-4, atol=1e-6
    )


def test_depth_is_regressed_in_its_unit_or_its_logarithm():
    features = torch.randn(3, 6, 4, 5)
    target = torch.rand(3, 1, 4, 5) + 0.5
    target[0, 0, 0], target[1] = math.nan, math.nan
    for config in (DenseRegression(), DenseRegression(log=True)):
        head = config.build(MAPS, RealMapTarget())
        change = torch.log if config.log else torch.clone
        errors = (change(head(features)) - change(target)).abs().nan_to_num()
        torch.testing.assert_close(
            head.loss(features, target), means(errors, ~target.isnan()), rtol=1e-4, atol=1e-6
        )
    with pytest.raises(DataError, match="log: got a label of 0, expected numbers above 0"):
        head.fit_targets(torch.tensor([[[[0.0, math.nan]]]]))


def test_normals_have_the_loss_of_the_cosine():
    head = Normals().build(MAPS, UnitVectorMapTarget())
    features, target = torch.randn(3, 6, 4, 5), F.normalize(torch.randn(3, 3, 4, 5), dim=1)
    target[0, :, 0], target[1] = 0.0, 0.0
    expected = 1 - F.cosine_similarity(head(features), target, dim=1)
    present = (target != 0).any(dim=1)
    torch.testing.assert_close(head.loss(features, target), means(expected, present))


@pytest.mark.parametrize(
    ("head", "kind", "shape"),
    [
        (Segmentation(), ClassMapTarget(names=NAMES), (1, 9, 8)),
        (DenseRegression(), RealMapTarget(), (1, 1, 9, 8)),
        (Normals(), UnitVectorMapTarget(), (1, 3, 9, 8)),
    ],
    ids=["segmentation", "depth", "normals"],
)
def test_labels_of_another_size_are_named(head, kind, shape):
    module = head.build(MapFeatures(channels=6, stride=2), kind)
    labels = torch.zeros(shape, dtype=kind.dtype)
    with pytest.raises(DataError, match="got labels of 9 x 8 pixels, expected 8 x 8"):
        module.loss(torch.zeros(1, 6, 4, 4), labels)


def test_atrous_pooling_keeps_the_size_and_serves_a_batch_of_one():
    config = Segmentation(atrous=(2, 4), channels=4)
    head = config.build(MapFeatures(channels=6, stride=2), ClassMapTarget(names=NAMES))
    assert head(torch.randn(1, 6, 5, 7)).shape == (1, 3, 10, 14)


def test_ordinal_losses_are_those_of_the_binary_tasks_above_each_threshold():
    head = Ordinal().build(VECTORS, ClassTarget(names=("low", "mid", "high")))
    head.thresholds.data = torch.tensor([1.0, -1.0])
    features, target = torch.randn(4, 6), torch.tensor([0, 1, 2, -1])
    score = head.layers(features).squeeze(1)
    above = torch.stack([torch.sigmoid(score + 1), torch.sigmoid(score - 1)], dim=1)
    expected = torch.stack(
        [
            -(1 - above[0]).log().sum(),
            -above[1, 0].log() - (1 - above[1, 1]).log(),
            -above[2].log().sum(),
            torch.tensor(0.0),
        ]
    )
    torch.testing.assert_close(head.loss(features, target), expected)
    probabilities = torch.stack([1 - above[:, 0], above[:, 0] - above[:, 1], above[:, 1]], dim=1)
    torch.testing.assert_close(head(features).exp(), probabilities)
