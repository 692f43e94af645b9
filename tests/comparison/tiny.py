"""A tiny problem of two tasks, one of them a number, for tests in any process."""

import os
import signal
import time
from pathlib import Path

import attrs
import torch

from mtlkit.callbacks import Callback, CallbackState
from mtlkit.data import Categorical, Data, DataSource, Loading, Numeric, Split
from mtlkit.plugins.catalog import Catalog, Registrar, load_catalog
from mtlkit.plugins.registry import Origin
from mtlkit.weightings import Weighting

RECIPE = """
data: {type: tiny}
backbone: {type: mlp, hidden: [8]}
tasks: {sign: {role: main}, size: {head: {type: regression}}}
optimizer: {type: sgd, lr: 0.05}
train: {epochs: 1, batch: 32, threads: 1, device: cpu}
"""


@attrs.frozen(kw_only=True)
class Tiny(DataSource):
    """Points of a plane: on which side of a line they lie, and how far from the middle."""

    samples: int = 96
    undivided: bool = False  # without a validation split
    open: bool = False  # the test may have classes that training has not
    poisoned: bool = False  # nobody may read the test split

    def load(self, loading: Loading) -> Data:
        inputs = torch.randn(self.samples, 4, generator=torch.Generator().manual_seed(1))
        whole = Split(
            inputs=inputs,
            columns={
                "sign": Categorical((inputs.sum(dim=1) > 0).long(), ("below", "above")),
                "size": Numeric(inputs.norm(dim=1)),
            },
            ids=[f"point{number}" for number in range(self.samples)],
        )
        third = self.samples // 3
        parts = [torch.arange(third) + third * number for number in range(3)]
        train, validation, test = (whole.subset(part) for part in parts)
        found = Data(train=train, validation=validation, test=test, mean=0.0, std=1.0)
        if self.open:
            found = attrs.evolve(found, open_labels=frozenset({"sign"}))
        if self.poisoned:
            found = attrs.evolve(found, test=attrs.evolve(test, inputs=Poison(third)))
        return attrs.evolve(found, validation=None) if self.undivided else found


class Poison:
    """Samples that nobody may read."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return self.samples

    def __getitem__(self, index):
        raise RuntimeError("the test split was read")


@attrs.frozen(kw_only=True)
class Explosive(Weighting):
    """Equal weights, but the end of the worker, or an error, when they are made."""

    by: str = "error"  # or EXIT, or the name of a signal
    once: Path | None = None  # a file: only where it is not there yet

    def build(self, terms, features):
        from mtlkit.weightings import Equal

        if self.once is None or not self.once.exists():
            if self.once is not None:
                self.once.touch()
            if self.by == "EXIT":
                os._exit(3)
            if self.by != "error":
                os.kill(os.getpid(), getattr(signal, self.by))
            raise RuntimeError("it exploded")
        return Equal().build(terms, features)


@attrs.frozen(kw_only=True)
class Gate(Callback):
    """Waits before the update `step` until there is the file `until`."""

    step: int
    until: Path

    def build(self, run):
        return _Gate(self, run)


class _Gate(CallbackState):
    def __init__(self, options, run):
        super().__init__(run)
        self.options = options

    def before_update(self, step):
        while step == self.options.step and not self.options.until.exists():
            time.sleep(0.01)


def catalog() -> Catalog:
    """The built-in components and those of this file."""
    found = load_catalog("none")
    own = Registrar(found, "", Origin("tiny", "0", __file__))
    own.data.add("tiny", Tiny, "points of a plane")
    own.weightings.add("explosive", Explosive, "breaks")
    own.callbacks.add("gate", Gate, "waits")
    own.commit()
    return found
