"""Identification as part of a recipe: mistakes come before training, names of metrics differ."""

import attrs
import pytest
import torch
from mtlkit_face.identification.evaluator import Identification

from mtlkit import Recipe, Role, Task, load_catalog
from mtlkit.assembly import assembly_of
from mtlkit.backbones import MLP
from mtlkit.data import Categorical, Data, DataSource, Loading, Numeric, Split
from mtlkit.evaluators.trained_model import TrainedModel
from mtlkit.heads import Regression
from mtlkit.model import assemble
from mtlkit.plugins import DataError, RecipeError
from mtlkit.recipe_io import parse_recipe
from mtlkit.routers import Grouped

TASKS = {
    "identity": Task(role=Role.MAIN, target="subject"),
    "pose": Task(target="yaw"),
    "age": Task(head=Regression()),
}


def faces(subjects: range) -> Split:
    """Noise, called three pictures of each subject."""
    rows = [(str(subject), yaw) for subject in subjects for yaw in ("-45", "0", "45")]
    subject, yaw = (Categorical.of(column) for column in zip(*rows, strict=True))
    return Split(
        inputs=torch.randint(0, 256, (len(rows), 1, 4, 4), dtype=torch.uint8),
        columns={"subject": subject, "yaw": yaw, "age": Numeric(torch.rand(len(rows)))},
        ids=["-".join(row) for row in rows],
    )


@attrs.frozen(kw_only=True)
class Faces(DataSource):
    """The test split has strangers."""

    def load(self, loading: Loading) -> Data:
        return Data(
            train=faces(range(4)),
            validation=faces(range(4)),
            test=faces(range(8, 12)),
            open_labels=frozenset({"subject"}),
        )


def recipe(*evaluators: Identification) -> Recipe:
    return Recipe(data=Faces(), backbone=MLP(hidden=(4,)), tasks=TASKS, evaluators=evaluators)


def asked(**options) -> Identification:
    return Identification(gallery={"yaw": 0}, **options)


@pytest.mark.parametrize(
    ("evaluators", "problem"),
    [
        (
            asked(task="identty"),
            "evaluators.0.task: no task named 'identty'; the tasks are identity, pose, age",
        ),
        (asked(task="age"), "evaluators.0.task: the task 'age' predicts no classes"),
    ],
)
def test_a_wrong_task_is_a_mistake_of_the_recipe(evaluators, problem):
    with pytest.raises(RecipeError) as caught:
        recipe(evaluators).check()
    assert caught.value.lines == (problem,)


def test_a_mistake_has_its_line():
    text = (
        "data: {type: images, folder: f, pattern: '{subject}_{yaw}.png', size: 32}\n"
        "backbone: casia-net\n"
        "tasks: {identity: {target: subject}}\n"
        "evaluators:\n"
        "  - tasks\n"
        "  - {type: face/identification, TEXT}\n"
    )
    for option, line in {
        "task: identty": "r.yaml:6:39: evaluators.1.task: no task named 'identty'; "
        "the tasks are identity",
        "split: tset": "r.yaml:6:40: evaluators.1.split: expected one of train, validation, test, "
        "got 'tset'; did you mean 'test'?",
    }.items():
        with pytest.raises(RecipeError) as caught:
            parse_recipe(text.replace("TEXT", option), "r.yaml", load_catalog("face"))
        assert caught.value.lines == (line,)


def test_two_that_give_the_same_names_are_refused():
    message = "evaluators.1: returns metrics of the same names as evaluators.0 (`face/...`); "
    with pytest.raises(RecipeError) as caught:
        recipe(asked(), asked(by="subject")).check()
    assert caught.value.lines == (message + "remove one",)
    recipe(asked(), asked(split="validation"), asked(split="train")).check()


def test_the_metrics_of_each_split_have_names_of_their_own():
    data = Faces().load(Loading())
    tasks = {"identity": TASKS["identity"], "pose": TASKS["pose"]}
    router = Grouped(
        task="identity", by="pose", groups={"left": (-45,), "front": (0,), "right": (45,)}
    )
    model = assemble(MLP(hidden=(4,)), router, tasks, assembly_of(data, tasks))
    trained = TrainedModel(model, data, tasks, torch.device("cpu"))
    found = {
        split: asked(split=split).evaluate(trained) for split in ("train", "validation", "test")
    }
    assert found["test"].sections[0].title == "Identification"
    assert found["validation"].sections[0].title == "Identification (validation)"
    assert "face/rank1" in found["test"].metrics
    expected = {name.replace("face/", "face/validation/") for name in found["test"].metrics}
    assert set(found["validation"].metrics) == expected
    names = [name for findings in found.values() for name in findings.metrics]
    assert len(names) == len(set(names))
    for findings in found.values():
        assert set(findings.headlines) <= set(findings.metrics)


@pytest.mark.parametrize(
    ("evaluators", "message"),
    [
        (Identification(), "the data has no label 'expression'; it has: age, subject, yaw"),
        (asked(subject="person"), "the data has no label 'person'"),
        (asked(by="light"), "the data has no label 'light'"),
        (asked(by="age"), r"the label 'age' is a number \(N,\); expected a class"),
        (asked(groups={"half": (30,)}), "groups: the label 'yaw' has no value '30'"),
        (Identification(gallery={"yaw": 7}), "the label 'yaw' has no value '7'"),
    ],
)
def test_what_the_data_lacks_is_found_by_a_look_at_it(evaluators, message):
    with pytest.raises(DataError, match=message):
        evaluators.check(Faces().load(Loading()))


def test_a_split_that_is_not_there_is_found_by_a_look_at_the_data():
    data = attrs.evolve(Faces().load(Loading()), validation=None)
    asked().check(data)
    with pytest.raises(DataError, match="no 'validation' split; it has: train, test"):
        asked(split="validation").check(data)
