"""Assembly: what the data decides, how targets are encoded, and what a model is."""

import math

import attrs
import pytest
import torch

from mtlkit.assembly import assembly_of, encode_targets
from mtlkit.backbones import MLP
from mtlkit.data import Categorical, Data, InputSpec, Numeric, Split
from mtlkit.errors import AssemblyError, DataError
from mtlkit.heads import Classification, Regression
from mtlkit.model import assemble
from mtlkit.routers import Shared
from mtlkit.task import Task
from mtlkit.task_types import Role

TASKS = {
    "who": Task(target="subject", role=Role.MAIN),
    "pose": Task(),
    "age": Task(head=Regression()),
}


def split(subjects, poses=None, ages=None):
    count = len(subjects)
    return Split(
        inputs=torch.randn(count, 4),
        columns={
            "subject": Categorical.of(subjects),
            "pose": Categorical.of(["0"] * count if poses is None else poses),
            "age": Numeric(torch.tensor(ages or [30.0] * count)),
        },
        ids=[f"{place}.png" for place in range(count)],
    )


DATA = Data(
    train=split(["ann", "bob", "ann"], ["-90", "15", "0"], [20.0, math.nan, 40.0]),
    test=split(["cy", "ann"], ["0", "-90"]),
    open_labels=frozenset({"subject"}),
    mean=2.0,
    std=4.0,
)


def test_classes_come_from_the_training_data():
    assembly = assembly_of(DATA, TASKS)
    assert assembly.classes == {"who": ("ann", "bob"), "pose": ("-90", "0", "15")}
    assert assembly.inputs == InputSpec(shape=(4,), mean=(2.0,), std=(4.0,))


def test_targets_use_the_training_vocabulary():
    assembly = assembly_of(DATA, TASKS)
    train = encode_targets(DATA.train, TASKS, assembly)
    assert train["who"].tolist() == [0, 1, 0]
    assert train["pose"].tolist() == [0, 2, 1]
    assert train["age"].isnan().tolist() == [False, True, False]


def test_strangers_are_missing_where_the_protocol_has_them_and_an_error_elsewhere():
    assembly = assembly_of(DATA, TASKS)
    found = encode_targets(DATA.test, TASKS, assembly, DATA.open_labels)
    assert found["who"].tolist() == [-1, 0]
    with pytest.raises(DataError, match=r"tasks.who: 0.png: the label 'subject' is 'cy', which no"):
        encode_targets(DATA.test, TASKS, assembly)


def test_a_missing_label_stays_missing():
    data = attrs.evolve(DATA, train=split(["ann", None, "bob"]))
    targets = encode_targets(data.train, TASKS, assembly_of(data, TASKS))
    assert targets["who"].tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (Task(target="sbject"), "no label 'sbject'; it has: age, pose, subject"),
        (
            Task(target="age"),
            r"tasks.who: the label 'age' is a number \(N,\), the head Classification predicts a "
            r"class \(N,\); use `head: \{type: regression\}`",
        ),
        (
            Task(target="pose", head=Regression()),
            r"the label 'pose' is a class \(N,\), the head Regression predicts a number \(N,\); "
            r"list the label in `data.numeric` if it is a number, or use "
            r"`head: \{type: classification\}`",
        ),
    ],
)
def test_tasks_that_do_not_fit_the_data_are_refused(task, words):
    with pytest.raises(DataError, match=words):
        assembly_of(DATA, {"who": task})


def test_a_class_count_that_disagrees_is_refused():
    tasks = {"who": Task(target="subject", head=Classification(classes=7))}
    with pytest.raises(AssemblyError, match="states 7 classes, the training data has 2"):
        assemble(MLP(), Shared(), tasks, assembly_of(DATA, tasks))


@pytest.mark.parametrize("name", ["pose", "age"])
def test_a_label_that_nobody_has_is_refused(name):
    none = [None] * 3
    data = attrs.evolve(DATA, train=split(["ann", "bob", "cy"], none, [math.nan] * 3))
    with pytest.raises(DataError, match=f"tasks.{name}: no training sample has the label '{name}'"):
        assembly_of(data, {name: TASKS[name]})


@pytest.mark.parametrize("codes", [[0, 3], [-2, 0]])
def test_codes_that_name_no_class_are_refused(codes):
    with pytest.raises(DataError, match="names none of 3 classes"):
        Categorical(torch.tensor(codes), ("a", "b", "c"))


def test_codes_are_whole_numbers():
    with pytest.raises(DataError, match=r"codes of classes in int64, got torch\.float32"):
        Categorical(torch.tensor([0.0]), ("a",))


@pytest.mark.parametrize("name", ["type", "keys", "forward", "training", "features", "head"])
def test_a_task_may_have_any_name(name):
    tasks = {name: Task(target="pose")}
    model = assemble(MLP(hidden=(3,)), Shared(), tasks, assembly_of(DATA, tasks)).eval()
    assert model(torch.zeros(2, 4)).outputs[name].shape == (2, 3)


def test_inputs_are_normalised_inside_the_model():
    assembly = assembly_of(DATA, TASKS)
    model = assemble(MLP(hidden=(3,)), Shared(), TASKS, assembly).eval()
    raw = torch.full((1, 4), 6.0)  # (6 - 2) / 4 = 1
    assert torch.equal(model(raw).features, model.router.backbone(torch.ones(1, 4)))


def test_8_bit_inputs_are_taken_as_they_are():
    images = InputSpec(shape=(1, 2, 2), dtype="uint8", mean=(127.5,), std=(4.0,))
    assembly = attrs.evolve(assembly_of(DATA, TASKS), inputs=images)
    model = assemble(MLP(hidden=(3,)), Shared(), TASKS, assembly).eval()
    raw = torch.randint(0, 256, (5, 1, 2, 2), dtype=torch.uint8)
    assert torch.equal(model(raw).features, model(raw.float()).features)


def test_mean_losses_divide_by_the_labels_present():
    assembly = assembly_of(DATA, TASKS)
    model = assemble(MLP(hidden=(3,)), Shared(), TASKS, assembly)
    targets = encode_targets(DATA.train, TASKS, assembly)
    counts = model.counts(targets)
    assert counts.tolist() == [3.0, 3.0, 2.0]
    found = model.losses(torch.randn(3, 4), targets, counts)
    assert found.mean[2].item() == pytest.approx(found.per_sample[2].sum().item() / 2)


def test_a_batch_without_a_tasks_labels_gives_zero_loss_and_zero_gradients():
    assembly = assembly_of(DATA, TASKS)
    model = assemble(MLP(hidden=(3,)), Shared(), TASKS, assembly)
    targets = encode_targets(DATA.train, TASKS, assembly)
    targets["age"] = torch.full((3,), math.nan)
    found = model.losses(torch.randn(3, 4), targets, model.counts(targets))
    assert found.mean[2] == 0
    found.mean.sum().backward()
    head = model.head("age")
    assert all(p.grad is not None and (p.grad == 0).all() for p in head.parameters())
    assert all(p.grad.isfinite().all() for p in model.parameters())
