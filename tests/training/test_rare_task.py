"""Bargains at the features do not wreck a task with few labels."""

import attrs
import pytest
import torch

from mtlkit.backbones import MLP
from mtlkit.data import Data, DataSource, Loading, Numeric, Split
from mtlkit.heads import Regression
from mtlkit.optim import SGD
from mtlkit.recipe import Recipe, Train
from mtlkit.task import Task
from mtlkit.weightings import FairGrad, NashMTL

ROWS, RARE, NEW = 1000, 10, 500


def points_and_labels():
    """Inputs and both labels of the training rows, then of new rows."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(ROWS + NEW, 16, generator=generator)
    return inputs, inputs @ torch.randn(16, 2, generator=generator) / 4


@attrs.frozen(kw_only=True)
class RareLabels(DataSource):
    """1,000 rows with a label `a`, of which 10 have a label `b`."""

    def load(self, loading: Loading) -> Data:
        inputs, labels = (values[:ROWS] for values in points_and_labels())
        rare = labels[:, 1].clone()
        rare[RARE:] = torch.nan
        columns = {"a": Numeric(labels[:, 0]), "b": Numeric(rare)}
        ids = list(map(str, range(ROWS)))
        return Data(train=Split(inputs=inputs, columns=columns, ids=ids), mean=0.0, std=1.0)


def errors(points, weighting):
    """The RMSE of both tasks on new rows, in standard deviations of their labels."""
    recipe = Recipe(
        data=RareLabels(),
        backbone=MLP(hidden=(64, 64)),
        tasks={name: Task(head=Regression()) for name in "ab"},
        weighting=weighting,
        optimizer=SGD(lr=0.01),
        train=Train(batch=64, epochs=10, device="cpu", threads=1),
    )
    made = points.updater(recipe)
    for step in range(made.steps):
        made.update(step)
    inputs, labels = (values[ROWS:] for values in points_and_labels())
    with torch.no_grad():
        outputs = made.inner.model.eval()(inputs).outputs
    found = torch.stack([outputs[name].flatten() for name in "ab"], dim=1)
    return ((found - labels).square().mean(dim=0).sqrt() / labels.std(dim=0)).tolist()


@pytest.mark.parametrize("own", [NashMTL(), FairGrad()], ids=lambda w: type(w).__name__)
def test_the_default_learns_the_common_task_and_keeps_the_rare_one(points, own):
    common, rare = errors(points, own)
    assert common < 0.3
    assert rare < 1.2  # ten labels do not determine sixteen slopes; the mean has an error of 1


def test_without_the_bound_the_rare_task_is_wrecked(points):
    """Its gradients become short, and their weights long, while the features move fast."""
    _, rare = errors(points, NashMTL(largest_mean=None))
    assert rare > 2
