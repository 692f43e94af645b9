"""Probes are ridge regressions by any independent solver, and are tested on unseen subjects."""

import numpy as np
import pytest
import torch
from mtlkit_face.energy.probes import Ridge, probe_accuracy, probe_samples, probed_labels

from mtlkit.data import Categorical, Numeric, Split
from mtlkit.plugins import DataError


def test_a_probe_solves_the_normal_equations():
    features, codes = torch.randn(60, 5) + 3, torch.arange(60) % 3
    probe = Ridge(features, codes, 3).probe(0.01)
    x = features.double().numpy()
    x = x - x.mean(axis=0)
    wanted = np.eye(3)[codes]
    penalty = 0.01 * (x**2).sum(axis=0).mean()
    stacked = np.vstack([x, np.sqrt(penalty) * np.eye(5)])  # ridge as least squares of more rows
    solved = np.linalg.lstsq(stacked, np.vstack([wanted - wanted.mean(axis=0), np.zeros((5, 3))]))
    np.testing.assert_allclose(probe.weight.numpy(), solved[0], atol=1e-10)
    np.testing.assert_allclose(probe.offset.numpy(), wanted.mean(axis=0))


def labeled(samples, seed):
    """Features in which the code can be read off two of six dimensions, of many subjects."""
    random = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 3, (samples,), generator=random)
    features = torch.randn(samples, 6, generator=random)
    features[:, 0] += 5 * (codes == 0)
    features[:, 1] += 5 * (codes == 1)
    return features, codes, torch.arange(samples) // 5


def test_what_is_there_is_read_and_what_is_not_is_not():
    known, unseen = labeled(400, 0), labeled(200, 1)
    found = probe_accuracy(*known, *unseen)
    assert found.accuracy > 0.93
    assert 0 < found.error < 0.05
    nothing = probe_accuracy(known[0][:, 2:], *known[1:], unseen[0][:, 2:], *unseen[1:])
    assert nothing.accuracy == pytest.approx(1 / 3, abs=0.1)


def test_a_linear_map_can_lose_and_never_add():
    known, unseen = labeled(400, 0), labeled(200, 1)
    blind = torch.diag(torch.tensor([0.0, 0.0, 1, 1, 1, 1]))
    found = probe_accuracy(known[0] @ blind, *known[1:], unseen[0] @ blind, *unseen[1:])
    assert found.accuracy < 0.5
    again = probe_accuracy(known[0] @ (2 * torch.eye(6)), *known[1:], unseen[0] * 2, *unseen[1:])
    assert again.accuracy == probe_accuracy(*known, *unseen).accuracy  # no unit, no difference


def test_one_subject_and_constant_features_are_no_accident():
    features, codes = torch.ones(8, 3), torch.arange(8) % 2
    same = torch.zeros(8, dtype=torch.int64)
    assert probe_accuracy(features, codes, same, features, codes, same).accuracy == 0.5


def split(**columns):
    count = len(next(iter(columns.values())))
    return Split(inputs=torch.zeros(count, 1), columns=columns, ids=[str(i) for i in range(count)])


def people(count):
    return Categorical.of([str(number) for number in range(count)])


def test_labels_are_matched_by_name_not_by_code():
    train = split(light=Categorical.of(["b", "a", None, "a"]), subject=people(4))
    test = split(light=Categorical.of(["b", None, "zz"], ["b", "zz"]), subject=people(3))
    found = probe_samples("light", train, test, "subject")
    assert found.names == ("a", "b")
    assert (found.train.tolist(), found.train_codes.tolist()) == ([0, 1, 3], [1, 0, 0])
    assert (found.test.tolist(), found.test_codes.tolist()) == ([0], [1])
    assert found.unknown == 1


def test_without_a_wish_the_labels_are_those_that_can_be_probed():
    columns = {
        "subject": people(3),
        "yaw": Categorical.of(["0", "15", "0"]),
        "light": Categorical.of(["1", "1", "1"]),  # one class: nothing to tell apart
        "expression": Numeric(torch.zeros(3)),
    }
    both = split(**columns)
    assert probed_labels(None, both, both, "subject", {}) == ("yaw",)


NUMBER = Numeric(torch.ones(2))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("color", "the data has no label 'color'"),
        (
            "light",
            "energy: got 1 classes of 'light' and 2 test samples of them, expected two classes or "
            "more and a sample; remove 'light' from `probes`",
        ),
        (
            "yaw",
            "energy: 1 samples have a class of 'yaw' that no training sample has, so no probe can "
            "predict it; remove 'yaw' from `probes`",
        ),
        ("age", "the label 'age' is a number (N,); expected a class"),
    ],
)
def test_a_label_that_cannot_be_probed_is_an_error_where_it_was_asked_for(label, message):
    same = {"light": Categorical.of(["1", "1"]), "age": NUMBER, "subject": people(2)}
    train = split(yaw=Categorical.of(["0", "15"]), **same)
    test = split(yaw=Categorical.of(["0", "90"]), **same)
    with pytest.raises(DataError) as caught:
        probed_labels((label,), train, test, "subject", {})
    assert str(caught.value).startswith(message)
