"""A run that is resumed in the middle ends with the same bits, for labels of every type."""

import attrs
import pytest
import torch

from mtlkit import evaluate, fit, load_catalog, resume
from mtlkit.backbones import Pool, Transformer, VectorFeatures
from mtlkit.data import ClassTarget, Data, DataSource, InputSpec, Labels, Mirror, NamedInputs, Split
from mtlkit.errors import InterruptedRunError
from mtlkit.plugins.families import Registrar
from mtlkit.plugins.registry import Origin
from mtlkit.recipe import Recipe, Train, Transforms
from mtlkit.targets.tokens import TokenTarget
from mtlkit.task import Task
from mtlkit.testing.labels import EXAMPLES, TOKENS, draw_labels, without_some
from mtlkit.testing.small_features import SmallFeatures
from mtlkit.training.update import Updater
from mtlkit.weightings import CAGrad

CATALOG = load_catalog("none")
COUNT, SIDE = 24, 16


@attrs.frozen(kw_only=True)
class Drawn(DataSource):
    """Random images, or ids of tokens, with the labels `value` of the example `number`."""

    number: int

    def load(self, loading):
        target = EXAMPLES[self.number]
        inputs, specs = self._inputs(isinstance(target, TokenTarget))
        labels = without_some(target, draw_labels(target, COUNT, frame=(SIDE, SIDE)))
        kind = ClassTarget(names=("a", "b"))
        columns = {
            "value": Labels(target, labels),
            "kind": Labels(kind, torch.arange(COUNT) % 2),
        }
        whole = Split(inputs=inputs, columns=columns, ids=list(map(str, range(COUNT))))
        train, test = torch.arange(COUNT).split([20, 4])
        return Data(train=whole.subset(train), validation=whole.subset(test), inputs=specs)

    def _inputs(self, tokens):
        generator = torch.Generator().manual_seed(3)
        if not tokens:
            shape = (COUNT, 1, SIDE, SIDE)
            return torch.randint(256, shape, generator=generator, dtype=torch.uint8), None
        ids = torch.randint(9, (COUNT, TOKENS), generator=generator)
        mask = torch.arange(TOKENS) < torch.arange(COUNT).unsqueeze(1) % TOKENS + 1
        specs = {
            "ids": InputSpec(shape=(TOKENS,), dtype="int64", vocabulary=9),
            "mask": InputSpec(shape=(TOKENS,), dtype="bool"),
        }
        return NamedInputs({"ids": ids, "mask": mask}), specs


@pytest.fixture(scope="module")
def catalog():
    catalog = load_catalog("none")
    registrar = Registrar(catalog, "", Origin("mtlkit", "testing", __file__))
    registrar.data.add("drawn", Drawn, "random labels")
    registrar.backbones.add("small-features", SmallFeatures, "a layer of patches")
    registrar.commit()
    return catalog


def recipe_of(number):
    target = EXAMPLES[number]
    head = CATALOG.heads.get(target.default_head)()
    tokens = isinstance(target, TokenTarget)
    reads = head.reads[0]
    backbone = (
        Transformer(width=8, layers=1, heads=2, feedforward=8, max_length=TOKENS)
        if tokens
        else SmallFeatures(kind=reads.kind)
    )
    return Recipe(
        data=Drawn(number=number),
        backbone=backbone,
        tasks={
            "value": Task(head=head),
            "kind": Task(adapter=None if reads is VectorFeatures else Pool()),
        },
        transforms=Transforms() if tokens else Transforms(train=(Mirror(),)),
        weighting=CAGrad(),
        train=Train(
            epochs=2, batch=6, accumulate=2, checkpoint_every=2, log_every=1, threads=1,
            device="cpu",
        ),
    )  # fmt: skip


def test_every_type_of_labels_has_an_example():
    assert {type(target) for target in EXAMPLES} == {
        CATALOG.targets.get(name) for name in CATALOG.targets.names()
    }


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=lambda n: type(EXAMPLES[n]).__name__)
def test_a_resumed_run_has_the_same_bits(number, catalog, tmp_path, monkeypatch):
    recipe = recipe_of(number)
    whole = fit(recipe, tmp_path / "whole", catalog=catalog, quiet=True, report=False)
    plain = Updater.update

    def stopped(self, step, stop_request):
        if step == 3:  # one after a checkpoint, in the middle of the first epoch
            raise KeyboardInterrupt
        return plain(self, step, stop_request)

    with monkeypatch.context() as patch:
        patch.setattr(Updater, "update", stopped)
        with pytest.raises(InterruptedRunError):
            fit(recipe, tmp_path / "part", catalog=catalog, quiet=True, report=False)
    part = resume(tmp_path / "part", catalog=catalog, quiet=True, report=False)
    assert part.model.read_bytes() == whole.model.read_bytes()
    assert part.metrics == whole.metrics
    assert (part.path / "log.jsonl").read_bytes() == (whole.path / "log.jsonl").read_bytes()
    assert evaluate(part.path, catalog=catalog).metrics == whole.metrics
