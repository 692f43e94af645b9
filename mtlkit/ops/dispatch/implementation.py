"""What an op is: one written definition, and implementations that are measured against it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from mtlkit.errors import ImplementationError, did_you_mean
from mtlkit.ops.dispatch.names import IMPLEMENTATIONS
from mtlkit.ops.dispatch.plugin_ops import implementation_of


class Request(NamedTuple):
    """What is known of a call before it runs: shapes, types and which options are in use.

    `rows` N, `features` D, `classes` C; `parts` is the number of heads or groups. `options` names
    the optional arguments that are given, such as ``label_smoothing``.
    """

    rows: int
    features: int
    classes: int
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    gradient: bool = True
    reduction: str = "mean"
    parts: int = 1
    options: tuple[str, ...] = ()

    @property
    def logits(self) -> int:
        """How many logits there are."""
        return self.rows * self.classes

    @property
    def size(self) -> int:
        """Bytes of one number of the inputs."""
        return self.dtype.itemsize


class Cost(NamedTuple):
    """What a call costs: work, traffic, and memory beyond its inputs, result and gradients.

    `moved` are the bytes that do not stay in a cache, `buffers` how many buffers of `buffer` bytes
    are allocated, and `calls` the kernels or operators started.
    """

    flops: float
    moved: float
    calls: float
    peak: float
    buffers: float = 0.0
    buffer: float = 0.0


class Implementation(NamedTuple):
    """One way to compute an op.

    `refuses` says why it cannot serve a request, or nothing; `cost` is an estimate of that request.
    One that is not `automatic` runs only where it is asked for: torch.compile takes seconds before
    the first call, and again for other shapes, which a cost model of one call cannot weigh.
    """

    name: str
    summary: str
    run: Callable[..., Any]
    refuses: Callable[[Request], str]
    cost: Callable[[Request], Cost]
    automatic: bool = True


class Op:
    """A name and its own implementations, the first of which is the definition.

    Plugins may bring more. The implementations of another op that is called `like` this one serve
    it too.
    """

    def __init__(
        self, name: str, summary: str, *implementations: Implementation, like: str = ""
    ) -> None:
        found = tuple(each.name for each in implementations)
        if not found or (name in IMPLEMENTATIONS and found != IMPLEMENTATIONS[name]):
            expected = IMPLEMENTATIONS.get(name, "at least the definition")
            raise ValueError(f"{name}: expected {expected}, found {found}")
        self.name = name
        self.summary = summary
        self.like = like
        self.implementations = {each.name: each for each in implementations}
        self.at_hand = dict(self.implementations)  # and those of plugins that were chosen

    @property
    def definition(self) -> Implementation:
        """The implementation that says what the op is."""
        return next(iter(self.implementations.values()))

    def __getitem__(self, name: str) -> Implementation:
        """The implementation called `name`; `ImplementationError` where there is none.

        What has a namespace is a plugin's, imported on first use.
        """
        if "/" in name and name not in self.implementations:
            return implementation_of(self, name)
        if name not in self.implementations:
            raise ImplementationError(
                f"{self.name} has no implementation named {name!r}"
                f"{did_you_mean(name, self.implementations)}; "
                f"it has {', '.join(self.implementations)}"
            )
        return self.implementations[name]


def serves_all(request: Request) -> str:
    """The answer of an implementation that refuses nothing."""
    return ""
