"""Runs on several inputs by name, on ragged ones, and with a mean of each channel."""

import attrs
import onnxruntime
import pytest
import torch

from mtlkit import evaluate, fit, load_model
from mtlkit.backbones import MLP, Backbone, BackboneModule, Gather, NodeFeatures, Pool, Transformer
from mtlkit.data import (
    Categorical,
    Data,
    DataSource,
    InputSpec,
    Labels,
    NamedInputs,
    Numeric,
    Split,
    TokenTarget,
)
from mtlkit.errors import AssemblyError, DataError
from mtlkit.evaluators import TaskMetrics
from mtlkit.features.normalization import InputNormalization
from mtlkit.heads import Regression, TokenClassification
from mtlkit.plugins.catalog import load_catalog
from mtlkit.plugins.families import Registrar
from mtlkit.plugins.registry import Origin
from mtlkit.recipe import Recipe, Train
from mtlkit.routers import MMoE
from mtlkit.runs import export_model
from mtlkit.runs.prediction.export import PredictionNetwork
from mtlkit.task import Task
from mtlkit.weightings import CAGrad, GradientLocation

COUNT, LENGTH = 24, 7


def columns(generator):
    kind = torch.randint(3, (COUNT,), generator=generator)
    return {"kind": Categorical(kind, ("a", "b", "c")), "size": Numeric(kind * 2.0)}


def divided(inputs, labels, specs):
    whole = Split(inputs=inputs, columns=labels, ids=[f"sample {n}" for n in range(COUNT)])
    train, validation, test = torch.arange(COUNT).split([12, 6, 6])
    return Data(
        train=whole.subset(train),
        validation=whole.subset(validation),
        test=whole.subset(test),
        inputs=specs,
    )


@attrs.frozen(kw_only=True)
class Sentences(DataSource):
    """Random token ids with a mask; with `tags`, also a class of each token."""

    tags: bool = False

    def load(self, loading):
        generator = torch.Generator().manual_seed(0)
        ids = torch.randint(20, (COUNT, LENGTH), generator=generator)
        lengths = torch.randint(1, LENGTH + 1, (COUNT, 1), generator=generator)
        inputs = NamedInputs({"ids": ids, "mask": torch.arange(LENGTH) < lengths})
        specs = {
            "ids": InputSpec(shape=(LENGTH,), dtype="int64", vocabulary=20),
            "mask": InputSpec(shape=(LENGTH,), dtype="bool"),
        }
        labels = columns(generator)
        if self.tags:
            codes = torch.where(inputs.tensors["mask"], ids % 2, -1)
            labels["tags"] = Labels(TokenTarget(names=("even", "odd")), codes)
        return divided(inputs, labels, specs)


class Graphs:
    """Nodes of graphs of different sizes, collated when they are read."""

    def __init__(self, generator):
        self.sizes = torch.randint(1, 5, (COUNT,), generator=generator)
        nodes = torch.randn(int(self.sizes.sum()), 3, generator=generator) * 4 + 1
        self.nodes = nodes.split(self.sizes.tolist())

    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        sizes = self.sizes[index]
        return {
            "nodes": torch.cat([self.nodes[n] for n in index.tolist()]),
            "graph": torch.repeat_interleave(torch.arange(len(index)), sizes),
            "sizes": sizes,
        }


@attrs.frozen(kw_only=True)
class Molecules(DataSource):
    """Random graphs."""

    def load(self, loading):
        generator = torch.Generator().manual_seed(0)
        specs = {
            "nodes": InputSpec(shape=(3,), mean=(1.0, 0.0, 1.0), std=(4.0, 1.0, 4.0)),
            "graph": InputSpec(shape=(), dtype="int64"),
            "sizes": InputSpec(shape=(), dtype="int64"),
        }
        return divided(Graphs(generator), columns(generator), specs)


@attrs.frozen(kw_only=True)
class EachNode(Backbone):
    """A layer of each node."""

    gives = NodeFeatures

    def build(self, inputs):
        return EachNodeModule(inputs["nodes"].shape[0])


class EachNodeModule(BackboneModule):
    def __init__(self, width):
        super().__init__()
        self.layer = torch.nn.Linear(width, 8)
        self.features = NodeFeatures(width=8)

    def forward(self, inputs):
        return self.layer(inputs["nodes"]).relu()

    def context(self, inputs):
        return {"graph": inputs["graph"], "sizes": inputs["sizes"]}


@pytest.fixture(scope="module")
def catalog():
    catalog = load_catalog("none")
    registrar = Registrar(catalog, "", Origin("mtlkit", "testing", __file__))
    registrar.data.add("sentences", Sentences, "random sentences")
    registrar.data.add("molecules", Molecules, "random graphs")
    registrar.backbones.add("each-node", EachNode, "a layer of each node")
    registrar.commit()
    return catalog


def recipe(data, backbone, adapter, weighting=None):
    tasks = {
        "kind": Task(adapter=adapter),
        "size": Task(head=Regression(), adapter=Pool()),
    }
    train = Train(epochs=2, batch=6, accumulate=2, threads=1, device="cpu")
    whole = Recipe(
        data=data,
        backbone=backbone,
        tasks=tasks,
        router=MMoE(),
        train=train,
        evaluators=(TaskMetrics(),),
    )
    return whole if weighting is None else attrs.evolve(whole, weighting=weighting)


SMALL = Transformer(width=8, layers=1, heads=2, feedforward=8, max_length=LENGTH)


@pytest.mark.parametrize(
    "case",
    [
        recipe(Sentences(), SMALL, Gather()),
        recipe(Sentences(), SMALL, Pool(), CAGrad()),
        recipe(Molecules(), EachNode(), Pool()),
        recipe(Molecules(), EachNode(), Pool(), CAGrad(at=GradientLocation.FEATURES)),
    ],
    ids=["tokens", "tokens of cagrad", "graphs", "graphs of cagrad"],
)
def test_a_run_trains_and_is_evaluated_again(case, catalog, tmp_path):
    run = fit(case, tmp_path / "run", catalog=catalog, quiet=True)
    assert run.metrics["test/kind/loss"] > 0
    again = evaluate(run.path, catalog=catalog)
    assert again.metrics == run.metrics
    model = load_model(run.path, catalog).network
    data = case.data.load(None)
    assert model.assembly.inputs == data.input_specs
    outputs = model(data.test.inputs[torch.tensor([3, 1])]).outputs
    alone = model(data.test.inputs[torch.tensor([1])]).outputs
    torch.testing.assert_close(outputs["kind"][1:], alone["kind"])


@pytest.fixture(scope="module")
def trained(catalog, tmp_path_factory):
    """Trains the recipe of a data source, and returns its model."""

    def train(case):
        run = fit(case, tmp_path_factory.mktemp("run") / "run", catalog=catalog, quiet=True)
        return load_model(run.path, catalog)

    return train


def test_a_network_of_tokens_is_exported(trained, tmp_path):
    case = recipe(Sentences(), SMALL, Pool())
    tasks = {**case.tasks, "tags": Task(head=TokenClassification())}
    model = trained(attrs.evolve(case, data=Sentences(tags=True), tasks=tasks))
    split = Sentences().load(None).test
    inputs = split.inputs[torch.arange(6)]
    with torch.no_grad():
        expected = PredictionNetwork(model.network)(inputs)
    exported = export_model(model, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    feeds = {name: values.numpy() for name, values in inputs.items()}
    outputs = session.run(None, feeds)
    exported = export_model(model, tmp_path / "m.pt2")
    program = torch.export.load(exported.path).module()
    for result in (map(torch.from_numpy, outputs), program(inputs)):
        for one, other in zip(result, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("suffix", ["onnx", "pt2"])
def test_a_network_of_nodes_is_exported_as_weights_alone(suffix, trained, tmp_path):
    model = trained(recipe(Molecules(), EachNode(), Pool()))
    with pytest.raises(DataError) as caught:
        export_model(model, tmp_path / f"m.{suffix}")
    assert str(caught.value) == (
        f"{tmp_path}/m.{suffix}: not written: got features of nodes, which have no dimension of "
        f"samples, expected a network of padded inputs; write its weights to a file .safetensors"
    )
    assert not list(tmp_path.iterdir())
    export_model(model, tmp_path / "m.safetensors")


def test_each_channel_is_normalized_by_its_mean():
    images = torch.rand(COUNT, 3, 2, 2)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    labels = columns(torch.Generator().manual_seed(0))
    data = attrs.evolve(divided(images, labels, None), mean=mean, std=std)
    assert data.input_specs == InputSpec(shape=(3, 2, 2), mean=mean, std=std)
    normalized = InputNormalization(data.input_specs)(images)
    for channel in range(3):
        expected = (images[:, channel] - mean[channel]) / std[channel]
        torch.testing.assert_close(normalized[:, channel], expected)


@pytest.mark.parametrize(
    ("inputs", "specs", "message"),
    [
        (
            NamedInputs({"ids": torch.zeros(COUNT, 2)}),
            None,
            "inputs: got inputs named ids, expected one tensor, which `Data.inputs` describes; "
            "describe each input by its name",
        ),
        (
            torch.zeros(COUNT, 2),
            InputSpec(shape=(2,), dtype="int64", vocabulary=3),
            "inputs: got float32, expected int64; correct the spec",
        ),
        (
            torch.full((COUNT, 2), 3),
            InputSpec(shape=(2,), dtype="int64", vocabulary=3),
            "inputs: got ids from 3 to 3, expected 0 to 2",
        ),
        (
            torch.zeros(COUNT, 5),
            InputSpec(shape=(4,)),
            "inputs: got a sample of shape (5,), expected at most (4,); state the largest shape",
        ),
    ],
)
def test_inputs_that_differ_from_their_spec_are_refused(inputs, specs, message):
    data = divided(inputs, columns(torch.Generator().manual_seed(0)), specs)
    with pytest.raises(DataError) as caught:
        _ = data.input_specs
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "inputs: got none, expected one tensor or more by name"),
        (
            {"a": torch.zeros(2), "b": torch.zeros(3)},
            "inputs: got different numbers of samples: {'a': 2, 'b': 3}",
        ),
    ],
)
def test_named_inputs_have_one_length(tensors, message):
    with pytest.raises(DataError) as caught:
        NamedInputs(tensors)
    assert str(caught.value) == message


def test_a_table_backbone_refuses_several_inputs():
    with pytest.raises(AssemblyError, match="mlp: got inputs of several tensors"):
        MLP().build(Sentences().load(None).input_specs)
