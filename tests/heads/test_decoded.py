"""The outputs of every head become cells of a table or maps, for every type of target."""

import pytest
import torch

from mtlkit.component import Component
from mtlkit.data import ClassMapTarget, ClassTarget, MultiLabelTarget, NumberTarget, TokenTarget
from mtlkit.plugins.catalog import load_catalog
from mtlkit.testing.check import Example
from mtlkit.testing.head_batches import head_batch, new_head
from mtlkit.testing.labels import example_of

CATALOG = load_catalog("none")
HEADS = CATALOG.heads.names()


@pytest.mark.parametrize("name", HEADS)
def test_each_sample_has_a_prediction(name):
    head: Component = CATALOG.heads.get(name)()
    target = example_of(head.targets[0])
    module = new_head(Example(value=head)).eval()
    features, _ = head_batch(Example(value=head), 5)
    with torch.no_grad():
        outputs = module(features)
    predictions = target.probabilities(outputs)
    if target.classes:
        total = predictions.sum(dim=target.class_dim)
        torch.testing.assert_close(total, torch.ones_like(total), rtol=1e-4, atol=1e-5)
    decoded = target.decode(predictions)
    assert (decoded.maps is None) == bool(decoded.columns)
    assert all(len(column) == 5 for column in decoded.columns.values())
    if decoded.maps is not None:
        assert len(decoded.maps) == 5
        if isinstance(target, ClassMapTarget):
            assert torch.equal(decoded.maps, outputs.argmax(dim=1))


def test_a_class_has_a_name_and_probabilities():
    target = ClassTarget(names=("left", "right"))
    probabilities = target.probabilities(torch.tensor([[0.0, 0.0], [-20.0, 20.0]]))
    assert target.decode(probabilities).columns == {
        "": ["left", "right"],
        "probability": [0.5, 1.0],
        "probability/left": pytest.approx([0.5, 0.0]),
        "probability/right": [0.5, 1.0],
    }


def test_many_classes_have_the_probability_of_the_best_alone():
    target = ClassTarget(names=tuple(f"c{number}" for number in range(101)))
    assert set(target.decode(torch.eye(101)).columns) == {"", "probability"}


def test_labels_are_true_above_one_half_and_tokens_of_padding_are_left_out():
    labels = MultiLabelTarget(names=("a", "b"))
    decoded = labels.decode(labels.probabilities(torch.tensor([[1.0, -1.0]])))
    assert (decoded.columns["a"], decoded.columns["b"]) == ([True], [False])
    tokens = TokenTarget(names=("N", "V"))
    probabilities = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])
    mask = torch.tensor([[True, True, False]])
    assert tokens.decode(probabilities, mask).columns == {
        "": [["N", "V"]],
        "probability": [[1.0, 1.0]],
    }


def test_a_number_has_its_unit():
    decoded = NumberTarget(unit="mm").decode(torch.tensor([1.5]))
    assert decoded.columns == {"": [1.5], "unit": ["mm"]}
