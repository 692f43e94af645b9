"""Task affinity: its definition, and the groups against every division."""

import json

import attrs
import pytest
import torch

from mtlkit.backbones import MLP
from mtlkit.cli import main
from mtlkit.data import Categorical, Data, DataSource, Loading, Split
from mtlkit.errors import RecipeError
from mtlkit.optim import SGD
from mtlkit.recipe import Recipe, Train
from mtlkit.report.affinity import draw_affinity
from mtlkit.runs.affinity import TaskAffinity, recipe_of_group, task_affinity
from mtlkit.runs.untrained import untrained_updater
from mtlkit.task import Task
from mtlkit.training.gradients.shared_parameters import shared_parameters
from mtlkit.weightings import MGDA, Equal


@attrs.frozen(kw_only=True)
class Pairs(DataSource):
    """Two pairs of tasks: each pair has one label, some of them missing."""

    def load(self, loading: Loading) -> Data:
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(256, 8, generator=generator)
        labels = {"a": inputs[:, 0] > 0, "b": inputs[:, 0] > 0,
                  "c": inputs[:, 1] > 0, "d": inputs[:, 1] > 0}  # fmt: skip
        missing = {name: torch.rand(256, generator=generator) < 0.1 for name in labels}
        columns = {
            name: Categorical(torch.where(missing[name], -1, values.long()), ("no", "yes"))
            for name, values in labels.items()
        }
        ids = list(map(str, range(256)))
        return Data(train=Split(inputs=inputs, columns=columns, ids=ids), mean=0.0, std=1.0)


RECIPE = Recipe(
    data=Pairs(),
    backbone=MLP(hidden=(8,)),
    tasks={name: Task() for name in "abcd"},
    weighting=MGDA(),
    optimizer=SGD(lr=0.1),
    train=Train(epochs=4, batch=32, device="cpu", threads=1, loggers=()),
)


def test_the_affinity_is_its_definition():
    measured = task_affinity(RECIPE, every=1000)  # in the first update only
    updater = untrained_updater(RECIPE, Loading())
    model, index = updater.inner.model, updater.batches.update(0).whole
    inputs = updater.context.data.train.inputs[index]
    targets = {name: rows[index] for name, rows in updater.context.targets["train"].items()}

    def losses():
        return model.losses(inputs, targets, model.counts(targets)).mean

    before, shared = losses(), shared_parameters(model.router)
    for number, loss in enumerate(before):
        gradients = torch.autograd.grad(loss, shared, retain_graph=True)
        with torch.no_grad():
            for parameter, gradient in zip(shared, gradients, strict=True):
                parameter -= 0.1 * gradient
            expected = 1 - losses() / before
            for parameter, gradient in zip(shared, gradients, strict=True):
                parameter += 0.1 * gradient
        torch.testing.assert_close(
            torch.tensor(measured.values[number]), expected.detach(), rtol=1e-3, atol=1e-5
        )


def test_measuring_does_not_change_the_training():
    rare, often = (task_affinity(RECIPE, every=every) for every in (16, 1))
    assert (rare.updates, often.updates) == (2, 32)
    first_and_17th = task_affinity(RECIPE, every=16)
    assert rare == first_and_17th


def test_tasks_that_help_each_other_are_grouped():
    assert task_affinity(RECIPE).groups(2) == (("a", "b"), ("c", "d"))


def test_parts_of_an_update_have_the_affinity_of_the_whole():
    divided = attrs.evolve(RECIPE, train=attrs.evolve(RECIPE.train, accumulate=2))
    whole, parts = (task_affinity(recipe, every=1000).values for recipe in (RECIPE, divided))
    torch.testing.assert_close(torch.tensor(parts), torch.tensor(whole), rtol=1e-4, atol=1e-6)


def divisions(tasks):
    """Every division of `tasks` into groups."""
    if not tasks:
        yield []
        return
    first, *rest = tasks
    for division in divisions(rest):
        yield [(first,), *division]
        for number, group in enumerate(division):
            yield [*division[:number], (first, *group), *division[number + 1 :]]


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_the_groups_are_the_best_of_all_divisions(count):
    for seed in range(5):
        values = torch.randn(6, 6, generator=torch.Generator().manual_seed(seed)).tolist()
        affinity = TaskAffinity(tasks=tuple("abcdef"), values=values, updates=1)

        def total(groups, affinity=affinity):
            numbers = [[affinity.tasks.index(task) for task in group] for group in groups]
            return sum(map(affinity.affinity, numbers))

        allowed = [one for one in divisions(tuple("abcdef")) if len(one) <= count]
        groups = affinity.groups(count)
        assert sorted(task for group in groups for task in group) == list("abcdef")
        assert len(groups) <= count
        assert total(groups) == pytest.approx(max(map(total, allowed)))


def test_many_tasks_are_merged_into_their_blocks():
    names = tuple(f"t{number}" for number in range(24))
    values = [[0.1 if i % 3 == j % 3 else -0.1 for j in range(24)] for i in range(24)]
    groups = TaskAffinity(tasks=names, values=values, updates=1).groups(5)
    assert groups == tuple(names[start::3] for start in range(3))


def test_one_task_is_refused():
    with pytest.raises(RecipeError, match="got 1, expected at least 2"):
        task_affinity(attrs.evolve(RECIPE, tasks={"a": Task()}, weighting=Equal()))


def test_the_recipe_of_a_group_has_its_tasks():
    pair = recipe_of_group(RECIPE, ("c", "d"))
    assert (list(pair.tasks), pair.weighting) == (["c", "d"], MGDA())
    assert recipe_of_group(RECIPE, ("a",)).weighting == Equal()


def test_the_picture_shows_every_task_and_value():
    svg = draw_affinity(("left", "right"), ((0.5, 0.02), (-0.01, 0.5)))
    assert svg.count("<!-- left -->") == 2  # both axes
    assert "<!-- -1 -->" in svg
    assert "<!-- 50 -->" not in svg  # the diagonal


def test_the_command_prints_and_writes_groups(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MTLKIT_PLUGINS", "none")
    rows = ["x,y,z,p,q,r"]
    for number in range(120):
        x, y, z = (number * 7919 % 101 - 50), (number * 104729 % 97 - 48), number % 5
        rows.append(f"{x},{y},{z},{int(x > 0)},{int(x > 0)},{int(y > 0)}")
    (tmp_path / "rows.csv").write_text("\n".join(rows))
    (tmp_path / "r.yaml").write_text(
        "data: {type: table, file: rows.csv, labels: [p, q, r], split: {test: 0.2}}\n"
        "backbone: {type: mlp, hidden: [8]}\n"
        "tasks: {p: {}, q: {}, r: {}}\n"
        "train: {epochs: 20, batch: 32, threads: 1, device: cpu}\n"
    )
    with pytest.raises(SystemExit) as ended:
        main(["affinity", "r.yaml", "--every", "2", "--out", "groups"])
    printed = capsys.readouterr().out
    assert ended.value.code == 0, printed
    assert "group 1: p, q\ngroup 2: r\n" in printed
    facts = json.loads((tmp_path / "groups/affinity.json").read_text())
    assert facts["groups"] == [["p", "q"], ["r"]]
    assert (tmp_path / "groups/affinity.svg").read_text().startswith("<?xml")
    with pytest.raises(SystemExit):
        main(["affinity", "r.yaml", "--every", "9", "--out", "groups", "--groups", "1"])
    assert [path.name for path in (tmp_path / "groups").glob("*.yaml")] == ["group-1.yaml"]
    with pytest.raises(SystemExit) as ended:
        main(["train", "groups/group-1.yaml", "--quiet", "--out", "alone"])
    assert ended.value.code == 0
