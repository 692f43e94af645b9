"""Predictions over whole splits: order, repeatability and what must not influence them."""

import gc
import weakref

import attrs
import pytest
import torch

from mtlkit.assembly import assembly_of
from mtlkit.backbones import MLP, CasiaNet
from mtlkit.data import Categorical, Data, Numeric, Split
from mtlkit.errors import DataError
from mtlkit.evaluators import Pictures, TaskMetrics
from mtlkit.evaluators.trained_model import TrainedModel, _bytes
from mtlkit.heads import Regression
from mtlkit.model import assemble
from mtlkit.routers import BlockBranch, BranchSelection, Grouped, LinearBranch, Shared
from mtlkit.task import Task
from mtlkit.task_types import Role
from mtlkit.testing.small_data import small_map_recipe, small_model

TASKS = {
    "who": Task(role=Role.MAIN),
    "side": Task(),
    "age": Task(head=Regression()),
}
ROUTERS = {
    "shared": Shared(),
    **{
        f"{branch.__class__.__name__}-{choice.value}": Grouped(
            task="who", by="side", groups={"l": ("left",), "r": ("right",)}, branch=branch,
            test=choice,
        )
        for branch in (LinearBranch(), BlockBranch())
        for choice in BranchSelection
    },
}  # fmt: skip


def some_split(samples: int, people: tuple[str, ...] = ("ann", "bob", "cid")) -> Split:
    who = [people[i % len(people)] for i in range(samples)]
    side = ["left" if i % 2 else "right" for i in range(samples)]
    age = torch.arange(samples).float()
    age[::5] = torch.nan
    return Split(
        inputs=torch.randint(0, 256, (samples, 1, 16, 16), dtype=torch.uint8),
        columns={
            "who": Categorical.of(who, people),
            "side": Categorical.of(side, ("left", "right")),
            "age": Numeric(age),
        },
        ids=[str(i) for i in range(samples)],
    )


def some_data() -> Data:
    return Data(
        train=some_split(12), validation=some_split(9), test=some_split(11),
        open_labels=frozenset({"who"}),
    )  # fmt: skip


def trained(router: str = "shared", batch: int = 4, data: Data | None = None) -> TrainedModel:
    torch.manual_seed(1)
    data = data or some_data()
    backbone = MLP(hidden=(8,)) if "Block" not in router else CasiaNet(width=0.1)
    model = assemble(backbone, ROUTERS[router], TASKS, assembly_of(data, TASKS))
    return TrainedModel(model, data, TASKS, torch.device("cpu"), batch)


@pytest.mark.parametrize("router", ROUTERS)
def test_batched_predictions_are_those_of_one_forward_pass(router):
    one = trained(router, batch=4)
    split = one.data.test
    said = one.predict(split)
    with torch.no_grad():
        expected = one.model(split.inputs, one.targets(split))
    torch.testing.assert_close(said.features, expected.features)
    for task in TASKS:
        torch.testing.assert_close(said.outputs[task], expected.outputs[task])
    assert set(said.branches) == set(expected.branches)
    for task, branches in expected.branches.items():
        for name in ("logits", "probability", "weights"):
            torch.testing.assert_close(getattr(said.branches[task], name), getattr(branches, name))


def test_losses_are_zero_where_the_label_is_missing_and_nowhere_else():
    one = trained()
    split = one.data.validation
    missing = one.targets(split)["age"].isnan()
    losses = one.predict(split).losses["age"]
    assert missing.any()
    assert (losses[missing] == 0).all()
    assert (losses[~missing] > 0).all()


def test_a_split_is_computed_once_and_kept():
    one = trained()
    split = one.data.test
    first = one.predict(split)
    assert one.predict(split) is first
    with torch.no_grad():
        one.model.router.backbone.layers[1].weight.zero_()
    assert one.predict(split) is first
    assert not torch.equal(one.predict(one.data.train).features, first.features[:1])


def test_predictions_do_not_depend_on_the_mode_nor_on_autocast():
    data = some_data()
    plain = trained(data=data).predict(data.test)
    other = trained(data=data)
    other.model.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        said = other.predict(data.test)
    assert torch.equal(said.features, plain.features)
    assert said.features.dtype == torch.float32


def test_predictions_carry_no_graph():
    said = trained().predict(some_split(3))
    assert not said.features.requires_grad


def test_strangers_are_missing_in_test_and_refused_in_validation():
    test = some_split(6, people=("dan", "eve"))
    one = trained(data=attrs.evolve(some_data(), test=test))
    assert one.targets(test)["who"].tolist() == [-1] * 6
    bad = trained(data=attrs.evolve(some_data(), validation=test))
    with pytest.raises(DataError, match="'dan', which no training sample has"):
        bad.predict(test)


def test_routing_by_label_needs_all_labels():
    test = some_split(6)
    side = Categorical(torch.tensor([0, 1, 0, 1, 0, -1]), ("left", "right"))
    test = attrs.evolve(test, columns={**test.columns, "side": side})
    one = trained("LinearBranch-label", data=attrs.evolve(some_data(), test=test))
    with pytest.raises(DataError, match="1 samples have no label of 'side'"):
        one.predict(test)


@pytest.mark.parametrize("evaluator", [TaskMetrics(), Pictures()], ids=["tasks", "pictures"])
def test_evaluation_keeps_no_batch_in_memory(evaluator):
    """When a batch is predicted, the maps of all batches before are released."""
    recipe = small_map_recipe()
    model, data = small_model(recipe)
    trained = Watched(model, data, recipe.tasks, torch.device("cpu"), batch=4)
    result = evaluator.evaluate(trained)
    assert result.sections
    assert trained.batches_alive
    assert max(trained.batches_alive) == 0


@pytest.mark.parametrize(("limit", "kept"), [(2**28, 2), (0, 0), (-1, 1)])
def test_predictions_are_kept_up_to_a_size(limit, kept, monkeypatch):
    one = trained()
    train = one.predict(one.data.train)
    limit = _bytes(train) if limit < 0 else limit  # only the larger of two splits fits
    monkeypatch.setattr("mtlkit.evaluators.trained_model.CACHED_BYTES", limit)
    again = trained()
    first = [again.predict(split) for split in (again.data.validation, again.data.train)]
    assert len(again._predictions) == kept
    second = [again.predict(split) for split in (again.data.validation, again.data.train)]
    for one, two in zip(first, second, strict=True):
        assert torch.equal(one.outputs["who"], two.outputs["who"])
    assert sum(map(_bytes, again._predictions.values())) <= limit


class Watched(TrainedModel):
    """Counts the batches whose maps exist when another one is predicted."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.batches_alive, self._outputs = [], []

    def _one_batch(self, split, targets, index):
        gc.collect()
        self.batches_alive.append(sum(output() is not None for output in self._outputs))
        predictions, labels = super()._one_batch(split, targets, index)
        self._outputs.append(weakref.ref(predictions.outputs["side"]))
        return predictions, labels
