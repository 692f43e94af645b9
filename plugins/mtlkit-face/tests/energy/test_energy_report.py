"""The energy evaluator on networks of every shape: what it measures, shows and refuses."""

import base64
import io
import json

import attrs
import numpy as np
import pytest
import torch
from mtlkit_face.energy.evaluator import Energy
from mtlkit_face.identification.evaluator import Identification
from PIL import Image

from mtlkit import Recipe, Role, Task
from mtlkit.assembly import assembly_of
from mtlkit.backbones import MLP
from mtlkit.data import Categorical, Data, Numeric, Split, Table
from mtlkit.evaluators import Chart, Gallery, TableBlock, Text
from mtlkit.evaluators.trained_model import TrainedModel
from mtlkit.heads import Regression
from mtlkit.model import assemble
from mtlkit.plugins import DataError, RecipeError
from mtlkit.routers import BranchSelection, Grouped, MMoE, Shared
from mtlkit.runs import Evaluation, evaluation_to_json

IDENTITY = {"identity": Task(role=Role.MAIN, target="subject")}
TASKS = {**IDENTITY, "pose": Task(target="yaw"), "mood": Task(target="expression")}
YAWS, EXPRESSIONS = ("-45", "0", "45"), ("neutral", "smile")


def faces(subjects, seed):
    random = np.random.default_rng(seed)
    rows = [(str(s), y, e) for s in subjects for y in YAWS for e in EXPRESSIONS]
    images = [
        np.random.default_rng(int(s)).integers(0, 150, (1, 6, 6))
        + random.integers(0, 60, (1, 6, 6))
        + 40 * (YAWS.index(y) == 1)
        for s, y, _ in rows
    ]
    subject, yaw, expression = (Categorical.of(column) for column in zip(*rows, strict=True))
    return Split(
        inputs=torch.tensor(np.stack(images), dtype=torch.uint8),
        columns={
            "subject": subject,
            "yaw": yaw,
            "expression": expression,
            "age": Numeric(torch.ones(len(rows))),
        },
        ids=["-".join(row) for row in rows],
    )


DATA = Data(
    train=faces(range(6), 0), test=faces(range(6, 12), 1), open_labels=frozenset({"subject"})
)
GROUPS = {"left": (-45,), "front": (0,), "right": (45,)}


def network(tasks=None, router=None):
    tasks = tasks or TASKS
    model = assemble(MLP(hidden=(12,)), router or Shared(), tasks, assembly_of(DATA, tasks))
    return TrainedModel(model, DATA, tasks, torch.device("cpu"))


@pytest.fixture(scope="module")
def m_cnn():
    torch.manual_seed(0)
    return network()


def blocks(found, kind):
    (section,) = found.sections
    return [block for block in section.blocks if isinstance(block, kind)]


def test_the_whole_of_y_is_identification_and_chance_is_a_share(m_cnn):
    found = Energy().evaluate(m_cnn).metrics
    rank1 = Identification().evaluate(m_cnn).metrics["face/rank1"]
    assert found["face/energy/rank1/y"] == pytest.approx(rank1)
    assert found["face/energy/rank1/x-best"] >= found["face/energy/rank1/x"]
    assert found["face/energy/probe/yaw/chance"] == pytest.approx(1 / 3)
    assert found["face/energy/probe/expression/chance"] == pytest.approx(1 / 2)
    assert found["face/energy/overlap/pose/6-by-chance"] == pytest.approx(3.0)
    assert {name.split("/")[3] for name in found if "/overlap/" in name} == {"pose", "mood"}


def test_a_single_task_has_probes_and_curves_and_no_overlap():
    found = Energy().evaluate(network(IDENTITY))
    assert not [name for name in found.metrics if "/overlap/" in name]
    assert "face/energy/probe/yaw/x-lower" in found.metrics
    (gallery,) = blocks(found, Gallery)
    assert len(gallery.rows) == 1


def test_the_generic_head_of_a_pose_directed_network_is_looked_at():
    router = Grouped(task="identity", by="pose", groups=GROUPS, test=BranchSelection.BEST)
    trained = network(router=router)
    found = Energy().evaluate(trained).metrics
    generic = Identification().evaluate(trained).metrics["face/generic/rank1"]
    assert found["face/energy/rank1/y"] == pytest.approx(generic)


def test_the_report_shows_sorted_curves_and_wide_pictures(m_cnn):
    found = Energy().evaluate(m_cnn)
    charts = {chart.title: chart for chart in blocks(found, Chart)}
    energies = charts["Energy of each dimension, sorted for each task"].series
    assert list(energies) == ["identity", "pose", "mood", "all tasks"]
    for curve in energies.values():
        assert list(curve.y) == sorted(curve.y, reverse=True)
        assert np.mean(curve.y) == pytest.approx(1)
    (gallery,) = blocks(found, Gallery)
    assert gallery.wide
    for (picture,) in gallery.rows:
        image = Image.open(io.BytesIO(base64.b64decode(picture.png)))
        assert image.width > 2 * 300
        assert len(image.convert("RGB").getcolors(1 << 24)) > 50  # weights, not an empty frame
    probes = charts["Accuracy of linear probes"]
    assert set(probes.series) == {"x", "x-upper", "x-lower", "y", "chance"}
    assert charts["Rank-1 by the number of dimensions"].comparable
    table = blocks(found, TableBlock)[1]
    assert [row[:2] for row in table.rows] == [(t, k) for t in ("pose", "mood") for k in (1, 3, 6)]


def head_weights(trained):
    return {task: trained.model.head(task).linear.weight.double() for task in trained.tasks}


def kept_energies(found, tasks):
    """The energies (D,) as they are read back from the JSON of a run, in the order kept."""
    text = evaluation_to_json(Evaluation(metrics=found.metrics, sections=found.sections))
    (table,) = [
        block
        for block in json.loads(text)["sections"][0]["blocks"]
        if block["block"] == "TableBlock" and block["header"][0] == "dimension of x"
    ]
    assert table["header"][1:] == tasks
    order = [row[0] for row in table["rows"]]
    return order, {task: [row[k + 1] for row in table["rows"]] for k, task in enumerate(tasks)}


def test_the_energies_are_kept_as_the_equation_has_them_for_each_task_and_for_all(m_cnn):
    weights = head_weights(m_cnn)
    found = Energy().evaluate(m_cnn)
    order, energies = kept_energies(found, [*weights, "all tasks"])
    assert sorted(order) == list(range(12))
    everything = torch.cat([*weights.values()])
    for task, weight in {**weights, "all tasks": everything}.items():
        by_hand = [sum(abs(w) for w in weight[:, i].tolist()) for i in order]
        assert energies[task] == pytest.approx(by_hand, rel=1e-12)
    assert energies["all tasks"] == sorted(energies["all tasks"], reverse=True)
    curves = {chart.title: chart for chart in blocks(found, Chart)}
    curves = curves["Energy of each dimension, sorted for each task"].series
    for task, values in energies.items():
        assert curves[task].y == pytest.approx(sorted(np.divide(values, np.mean(values)))[::-1])


def test_a_single_task_is_all_tasks():
    trained = network(IDENTITY)
    order, energies = kept_energies(Energy().evaluate(trained), ["identity"])
    (weight,) = head_weights(trained).values()
    assert energies["identity"] == pytest.approx(weight.abs().sum(0)[order].tolist(), rel=1e-12)
    assert energies["identity"] == sorted(energies["identity"], reverse=True)


def test_another_split_has_names_of_its_own():
    data = attrs.evolve(DATA, validation=faces(range(6), 3))
    model = network().model
    trained = TrainedModel(model, data, TASKS, torch.device("cpu"))
    found = Energy(split="validation").evaluate(trained)
    assert all(name.startswith("face/validation/energy/") for name in found.metrics)
    assert found.sections[0].title == "Energy of the weights (validation)"


def test_a_side_task_without_linear_weights_is_left_out_and_said_to_be():
    found = Energy().evaluate(network({**IDENTITY, "age": Task(head=Regression())}))
    (text,) = blocks(found, Text)
    assert "age is skipped: its head, RegressionHead, is not a linear classifier." in text.text


def test_features_of_a_task_of_its_own_are_refused():
    with pytest.raises(DataError) as caught:
        Energy().evaluate(network(router=MMoE(experts=2, width=4)))
    assert str(caught.value) == (
        "energy: the task 'identity' has no linear weights on the shared features: MMoERouter "
        "computes separate features for it; leave `face/energy` out of `evaluators`, or name "
        "another `task`"
    )


def test_a_wrong_task_is_a_mistake_of_the_recipe_and_a_wrong_label_of_the_data():
    asked = Energy(task="identty")
    source = Table(file="faces.csv", labels=("subject", "yaw", "expression"))
    recipe = Recipe(data=source, backbone=MLP(hidden=(4,)), tasks=TASKS, evaluators=(asked,))
    with pytest.raises(RecipeError, match=r"evaluators\.0\.task: no task named 'identty'"):
        recipe.check()
    with pytest.raises(DataError, match="the data has no label 'light'"):
        Energy(probes=("light",)).check(DATA)
    Energy().check(DATA)
