"""Metrics against scikit-learn and NumPy, with missing labels and several batches."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from mtlkit.data import (
    ClassMapTarget,
    ClassTarget,
    MultiLabelTarget,
    NumberTarget,
    RealMapTarget,
    TokenTarget,
    VectorTarget,
)
from mtlkit.metrics import (
    AUROC,
    CCC,
    ECE,
    F1,
    MAE,
    NLL,
    R2,
    RMSE,
    Accuracy,
    AveragePrecision,
    BalancedAccuracy,
    MeanIoU,
    TopK,
)

NAMES = tuple("abcdef")


def value(metric, target, outputs, labels):
    """Return the metric over batches of several sizes."""
    state = metric.build(target)
    sizes = (1, 7, len(labels) - 8)
    for part in zip(outputs.split(sizes), labels.split(sizes), strict=True):
        state.update(*part)
    return state.compute()


def drawn(*shape, classes):
    """Return rounded, so tied, logits with the classes last, and labels that they often predict."""
    generator = torch.Generator().manual_seed(classes)
    labels = torch.randint(classes, shape, generator=generator)
    noise = torch.randn(*shape, classes, generator=generator)
    logits = noise + 1.5 * torch.nn.functional.one_hot(labels, classes)
    labels[torch.rand(shape, generator=generator) < 0.2] = -1
    return (logits * 4).round() / 4, labels


def classes_of(target, labels_shape=(60,)):
    classes = len(target.names)
    logits, labels = drawn(*labels_shape, classes=classes)
    known = labels >= 0
    outputs = logits.movedim(-1, 1) if isinstance(target, ClassMapTarget) else logits
    return outputs, labels, logits[known], labels[known]


def calibration_error(probabilities, labels, bins):
    confidence, predicted = (part.numpy() for part in probabilities.max(1))
    hits = predicted == labels.numpy()
    accuracy, mean = calibration_curve(hits, confidence, n_bins=bins, strategy="uniform")
    counts = np.histogram(confidence, bins, range=(0, 1))[0]
    return float((counts[counts > 0] * np.abs(accuracy - mean)).sum() / counts.sum())


CLASS_TARGETS = [
    (ClassTarget(names=NAMES), (60,)),
    (ClassTarget(names=NAMES[:2]), (60,)),
    (ClassMapTarget(names=NAMES), (12, 5, 4)),
    (TokenTarget(names=NAMES), (12, 7)),
]


@pytest.mark.parametrize(("target", "shape"), CLASS_TARGETS)
def test_metrics_of_classes_are_those_of_scikit_learn(target, shape):
    outputs, labels, logits, known = classes_of(target, shape)
    predicted, codes = logits.argmax(1), list(range(len(target.names)))
    probabilities = logits.double().softmax(1)
    expected = {
        Accuracy(): sk.accuracy_score(known, predicted),
        BalancedAccuracy(): sk.balanced_accuracy_score(known, predicted),
        F1(): sk.f1_score(known, predicted, average="macro"),
        F1(average="micro"): sk.f1_score(known, predicted, average="micro"),
        NLL(): sk.log_loss(known, probabilities, labels=codes),
        ECE(): calibration_error(probabilities, known, bins=15),
        ECE(bins=5): calibration_error(probabilities, known, bins=5),
    }
    for metric, number in expected.items():
        assert value(metric, target, outputs, labels) == pytest.approx(number, rel=1e-5), metric


def test_the_top_k_accuracy_without_ties_is_that_of_scikit_learn():
    outputs, labels, logits, known = classes_of(ClassTarget(names=NAMES))
    shift = torch.linspace(0, 0.1, 6)
    expected = sk.top_k_accuracy_score(known, logits + shift, k=3, labels=range(6))
    found = value(TopK(k=3), ClassTarget(names=NAMES), outputs + shift, labels)
    assert found == pytest.approx(expected)


def test_the_mean_iou_is_the_jaccard_index_over_the_set():
    target = ClassMapTarget(names=NAMES)
    outputs, labels, logits, known = classes_of(target, (12, 5, 4))
    expected = sk.jaccard_score(known, logits.argmax(1), average="macro")
    assert value(MeanIoU(), target, outputs, labels) == pytest.approx(expected)


@pytest.mark.parametrize("classes", [2, 6])
def test_rankings_of_classes_are_those_of_scikit_learn(classes):
    target = ClassTarget(names=NAMES[:classes])
    outputs, labels, logits, known = classes_of(target)
    scores = logits.softmax(1)
    if classes == 2:
        scores = logits[:, 1] - logits[:, 0]
    area = sk.roc_auc_score(known, scores, multi_class="ovr", average="macro")
    binary = known if classes == 2 else torch.nn.functional.one_hot(known, classes)
    precision = sk.average_precision_score(binary, scores, average="macro")
    assert value(AUROC(), target, outputs, labels) == pytest.approx(area)
    assert value(AveragePrecision(), target, outputs, labels) == pytest.approx(precision)


def multi_label():
    generator = torch.Generator().manual_seed(3)
    labels = (torch.rand(60, 4, generator=generator) < torch.tensor([0.2, 0.5, 0.6, 0.9])).long()
    logits = ((torch.randn(60, 4, generator=generator) + labels) * 3).round() / 3
    labels[torch.rand(60, 4, generator=generator) < 0.2] = -1
    return logits, labels


def test_multi_label_metrics_are_those_of_scikit_learn_by_label():
    target = MultiLabelTarget(names=NAMES[:4])
    logits, labels = multi_label()
    columns = [(s[k >= 0], k[k >= 0]) for s, k in zip(logits.T, labels.T, strict=True)]
    cases = {
        AUROC(): lambda s, k: sk.roc_auc_score(k, s),
        AveragePrecision(): lambda s, k: sk.average_precision_score(k, s),
        F1(): lambda s, k: sk.f1_score(k, s > 0),
    }
    for metric, score in cases.items():
        state = metric.build(target)
        state.update(logits, labels)
        numbers = [score(*column) for column in columns]
        assert list(state.parts().values()) == pytest.approx(numbers)
        assert list(state.parts()) == list(target.names)
        assert value(metric, target, logits, labels) == pytest.approx(sum(numbers) / 4)


def test_micro_averages_pool_the_labels():
    target = MultiLabelTarget(names=NAMES[:4])
    logits, labels = multi_label()
    known = labels >= 0
    scores, truth = logits[known], labels[known]
    expected = {
        AUROC(average="micro"): sk.roc_auc_score(truth, scores),
        AveragePrecision(average="micro"): sk.average_precision_score(truth, scores),
        F1(average="micro"): sk.f1_score(truth, scores > 0),
        Accuracy(): sk.accuracy_score(truth, scores > 0),
        NLL(): sk.log_loss(truth, scores.double().sigmoid()),
    }
    for metric, number in expected.items():
        assert value(metric, target, logits, labels) == pytest.approx(number, rel=1e-5), metric


NUMBER_TARGETS = [
    (NumberTarget(), (60,)),
    (VectorTarget(names=NAMES[:3]), (60, 3)),
    (RealMapTarget(channels=2), (12, 2, 5, 4)),
]


@pytest.mark.parametrize(("target", "shape"), NUMBER_TARGETS)
def test_metrics_of_numbers_are_those_of_scikit_learn_by_component(target, shape):
    generator = torch.Generator().manual_seed(5)
    labels = torch.randn(shape, generator=generator) * 3 + 20
    outputs = labels + torch.randn(shape, generator=generator)
    labels[torch.rand(shape, generator=generator) < 0.2] = math.nan
    pairs = [(labels, outputs)]
    if target.components:
        pairs = list(zip(labels.unbind(1), outputs.unbind(1), strict=True))
    pairs = [(k[~k.isnan()].double(), o[~k.isnan()].double()) for k, o in pairs]
    together = [torch.cat(side) for side in zip(*pairs, strict=True)]
    means = {
        MAE(): sk.mean_absolute_error(*together),
        RMSE(): sk.root_mean_squared_error(*together),
        R2(): sum(sk.r2_score(*pair) for pair in pairs) / len(pairs),
    }
    parts = {
        MAE(): [sk.mean_absolute_error(*pair) for pair in pairs],
        RMSE(): [sk.root_mean_squared_error(*pair) for pair in pairs],
        R2(): [sk.r2_score(*pair) for pair in pairs],
    }
    for metric, number in means.items():
        assert value(metric, target, outputs, labels) == pytest.approx(number, rel=1e-6), metric
        state = metric.build(target)
        state.update(outputs, labels)
        expected = parts[metric] if target.components else []
        assert list(state.parts().values()) == pytest.approx(expected, rel=1e-6)


def test_the_concordance_is_that_of_lin():
    generator = torch.Generator().manual_seed(6)
    labels = torch.randn(60, 2, generator=generator)
    outputs = 0.5 * labels + torch.randn(60, 2, generator=generator) + 0.3
    target = VectorTarget(names=("valence", "arousal"))
    expected = []
    for one, other in zip(outputs.double().numpy().T, labels.double().numpy().T, strict=True):
        covariance = np.cov(one, other, bias=True)
        shift = (one.mean() - other.mean()) ** 2
        expected.append(2 * covariance[0, 1] / (covariance.trace() + shift))
    state = CCC().build(target)
    state.update(outputs, labels)
    assert list(state.parts().values()) == pytest.approx(expected)
    assert value(CCC(), target, outputs, labels) == pytest.approx(np.mean(expected))
