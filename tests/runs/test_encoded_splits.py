"""Splits that disagree are found before training, with the task, the label and the sample."""

import pytest
import torch

import mtlkit
from mtlkit import Task
from mtlkit.assembly import assembly_of
from mtlkit.backbones import MLP
from mtlkit.data import (
    Categorical,
    ClassMapTarget,
    Data,
    Labels,
    MultiLabelTarget,
    Numeric,
    Split,
    Table,
    TokenTarget,
    VectorTarget,
)
from mtlkit.errors import DataError
from mtlkit.heads import (
    Classification,
    MultiLabel,
    Regression,
    Segmentation,
    TokenClassification,
    VectorRegression,
)
from mtlkit.optim import Cosine
from mtlkit.runs.encoded_splits import encoded_splits


class Maps:
    """Maps on access, of which the third has another size or code."""

    def __init__(self, code=1, size=2):
        self.maps = [torch.zeros(2, 2, dtype=torch.int64) for _ in range(4)]
        self.maps[2] = torch.full((size, 2), code)

    def __len__(self):
        return len(self.maps)

    def __getitem__(self, index):
        return torch.stack([self.maps[i] for i in index.tolist()])


def split(column, count=4):
    return Split(
        inputs=torch.zeros(count, 3), columns={"y": column}, ids=[f"s{i}" for i in range(count)]
    )


def classes(*values):
    return Categorical.of([*values, *"abab"][:4])


def checked(task, train, note=None, **others):
    data = Data(train=split(train), **others)
    return encoded_splits(data, {"y": task}, assembly_of(data, {"y": task}), note)


GROUND = ClassMapTarget(names=("sky", "road"))
XY = VectorTarget(names=("x", "y"))


@pytest.mark.parametrize("name", ["validation", "test"])
@pytest.mark.parametrize(
    ("task", "train", "other", "message"),
    [
        (
            Task(),
            classes("a", "b"),
            classes("a", "c"),
            "tasks.y: s1: the label 'y' is 'c', ",
        ),
        (Task(), classes("a", "b"), Numeric(torch.ones(4)), r"'y' is a number \(N,\) in one split"),
        (
            Task(head=Regression()),
            Numeric(torch.ones(4)),
            classes("a"),
            r"'y' is a class \(N,\) in one split and a number \(N,\) in training",
        ),
        (
            Task(head=VectorRegression()),
            Labels(XY, torch.ones(4, 2)),
            Labels(VectorTarget(names=("x", "z")), torch.ones(4, 2)),
            "or has other names",
        ),
        (
            Task(head=Segmentation()),
            Labels(GROUND, Maps()),
            Labels(GROUND, Maps(code=7)),
            "tasks.y: the label 'y' of s2: expected codes from 0 to 1, or -1 .* got 7",
        ),
        (
            Task(head=Segmentation()),
            Labels(GROUND, Maps()),
            Labels(GROUND, Maps(size=3)),
            r"the label 'y' of s2: got the shape \(3, 2\), expected \(2, 2\), that of s0; resize",
        ),
    ],
    ids=["class", "number", "type", "names", "code", "size"],
)
def test_a_later_split_that_disagrees_is_named(name, task, train, other, message):
    assert checked(task, train, **{name: split(train)}).keys() == {"train", name}
    with pytest.raises(DataError, match=message):
        checked(task, train, **{name: split(other)})


@pytest.mark.parametrize("name", ["validation", "test"])
@pytest.mark.parametrize(
    ("head", "train", "later"),
    [
        (
            Classification(),
            Categorical(torch.tensor([0, 0, -1, 0]), ("dog", "cat")),
            Categorical(torch.tensor([0, 1, -1, 0]), ("dog", "cat")),
        ),
        (
            MultiLabel(),
            Labels(MultiLabelTarget(names=("dog", "cat")), torch.tensor([[1, 0]] * 4)),
            Labels(MultiLabelTarget(names=("dog", "cat")), torch.tensor([[1, 0]] * 3 + [[0, 1]])),
        ),
        (
            TokenClassification(),
            Labels(TokenTarget(names=("dog", "cat")), torch.tensor([[0, -1]] * 4)),
            Labels(TokenTarget(names=("dog", "cat")), torch.tensor([[0, -1]] * 3 + [[1, -1]])),
        ),
        (
            Segmentation(),
            Labels(ClassMapTarget(names=("dog", "cat")), Maps(code=0)),
            Labels(ClassMapTarget(names=("dog", "cat")), Maps(code=1)),
        ),
    ],
    ids=["class", "multi-label", "tokens", "maps on access"],
)
def test_a_stated_class_that_only_a_later_split_has_is_noted(name, head, train, later):
    notes = []
    checked(Task(head=head), train, note=notes.append, **{name: split(later)})
    assert notes == [
        f"tasks.y: the {name} split has classes of the label 'y' that no training sample has, so "
        f"they cannot be learned: cat"
    ]
    notes.clear()
    checked(Task(head=head), later, note=notes.append, **{name: split(train)})
    assert notes == []  # training may have more


def test_a_run_prints_the_note_before_training(tmp_path, capsys):
    rows = [f"{i / 10},{'cat' if i > 27 else 'dog'},{part}" for i, part in
            enumerate(["train"] * 20 + ["validation"] * 4 + ["test"] * 6)]  # fmt: skip
    (tmp_path / "rows.csv").write_text("\n".join(["x,kind,split", *rows]) + "\n")
    recipe = mtlkit.Recipe(
        data=Table(
            file=tmp_path / "rows.csv", labels=("kind",), vocabulary={"kind": ("dog", "cat")}
        ),
        backbone=MLP(hidden=(4,)),
        tasks={"kind": Task()},
        schedule=Cosine(warmup_steps=4),
        train=mtlkit.Train(epochs=1, batch=8, threads=1),
    )
    mtlkit.fit(recipe, tmp_path / "run", report=False)
    printed = capsys.readouterr().err
    assert "note: schedule.warmup_steps: got 4, but the run has 3 updates, so the" in printed
    assert "note: tasks.kind: the test split has classes of the label 'kind' that no " in printed


@pytest.mark.parametrize("name", ["validation", "test"])
def test_a_later_split_without_a_label_is_noted(name):
    notes = []
    names, codes = ("a", "b"), torch.tensor([0, 1, 0, 1])
    train, missing = Categorical(codes, names), Categorical(torch.full((4,), -1), names)
    checked(Task(), train, note=notes.append, **{name: split(missing)})
    assert notes == [
        f"tasks.y: no sample of the {name} split has the label 'y', so this task has no metrics "
        f"there"
    ]
    notes.clear()
    others = {"test": split(classes("c", "d")), "open_labels": frozenset({"y"})}
    checked(Task(), classes("a", "b"), note=notes.append, **others)
    assert notes == []  # identities of a test are others


def test_a_class_that_only_an_open_test_has_counts_as_missing():
    others = {"test": split(classes("c")), "open_labels": frozenset({"y"})}
    assert checked(Task(), classes("a", "b"), **others)["test"]["y"].tolist() == [-1, 0, 1, 0]


@pytest.mark.parametrize(
    ("column", "head", "message"),
    [
        (
            Labels(XY, torch.ones(4, 2)),
            Regression(),
            r"the label 'y' is several numbers \(N, K\), the head Regression predicts a number "
            r"\(N,\); use `head: \{type: vector-regression\}`",
        ),
        (
            Labels(MultiLabelTarget(names=("a", "b")), torch.ones(4, 2, dtype=torch.int64)),
            Segmentation(),
            r"'y' is several labels \(N, K\), the head Segmentation predicts a class of each pixel "
            r"\(N, H, W\); use `head: \{type: multi-label\}`",
        ),
        (classes("a"), MultiLabel(), r"use `head: \{type: classification\}`"),
        (
            Labels(GROUND, torch.full((4, 2, 2), -1)),
            Segmentation(),
            r"tasks.y: every element of the label 'y' is missing in training, a class of each "
            r"pixel \(N, H, W\); correct the codes",
        ),
    ],
    ids=["vector", "multi-label", "class", "no pixel"],
)
def test_a_head_of_another_target_is_refused_with_the_one_that_fits(column, head, message):
    with pytest.raises(DataError, match=message):
        checked(Task(head=head), column)


@pytest.mark.parametrize(
    ("target", "labels", "message"),
    [
        (
            MultiLabelTarget(names=("a", "b")),
            torch.tensor([[0, 1], [1, 2], [0, 0], [2, 2]]),
            "the label 'y': s1: expected codes from 0 to 1, or -1 .* got 2",
        ),
        (XY, torch.ones(4, 3), r"the label 'y': expected 2 columns \(x, y\), got 3"),
        (XY, torch.ones(4), r"the label 'y': expected labels of shape \(N, K\), got \(4,\)"),
    ],
)
def test_labels_in_memory_are_checked_when_the_split_is_made(target, labels, message):
    with pytest.raises(DataError, match=message):
        split(Labels(target, labels))
