"""Declarations: an op, the implementations of it, and the requests they serve."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import torch

if TYPE_CHECKING:
    from mtlkit.ops.dispatch.timing import Sizes, Timing
    from mtlkit.ops.dispatch.trial import Trial


class Request(NamedTuple):
    """Everything the choice of an implementation depends on: sizes, types and options in use.

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
        """Number of logits."""
        return self.rows * self.classes

    @property
    def size(self) -> int:
        """Bytes of one number of the inputs."""
        return self.dtype.itemsize


class Cost(NamedTuple):
    """Cost of a call: work, traffic, and memory beyond its inputs, result and gradients.

    `moved` are the bytes that do not stay in a cache, `buffers` the number of allocated buffers of
    `buffer` bytes, and `calls` the number of kernels or operators started.
    """

    flops: float
    moved: float
    calls: float
    peak: float
    buffers: float = 0.0
    buffer: float = 0.0


@attrs.frozen(eq=False)
class Implementation:
    """One way to compute an op.

    `run` is called like the op's reference. `refuses` returns the reason why a request cannot be
    served, or an empty string; `cost` estimates a request. If `automatic` is false, it runs only
    when chosen by name: torch.compile, for example, takes seconds before the first call, which a
    cost model of one call cannot weigh. If `per_row` is false, it returns reduced losses only, so
    heads cannot use it. `op` is the name of the op, for an implementation that is declared outside
    the op's own file, such as a plugin's.
    """

    name: str
    summary: str
    run: Callable[..., Any]
    refuses: Callable[[Request], str]
    cost: Callable[[Request], Cost]
    automatic: bool = True
    per_row: bool = True
    op: str = ""


class Op:
    """One computation, declared once: a function, its implementations, and calls that try them.

    `function` is the public function, which chooses an implementation by `choose`. The first
    implementation is the reference, to which all others are compared. `trials` returns small calls
    with a number of samples that try every option, drawn from a generator, by name. `timings`
    yields the calls that ``mtlkit ops tune`` measures; an op without them is not tuned. An
    implementation of the op named `like` serves this op too.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        *implementations: Implementation,
        trials: "Callable[[int, torch.Generator], Mapping[str, Trial]]",
        timings: "Callable[[Sizes], Iterator[Timing]] | None" = None,
        like: str = "",
    ) -> None:
        self.name = name
        self.implementations = {impl.name: impl for impl in implementations}
        if not implementations or len(self.implementations) < len(implementations):
            names = ", ".join(impl.name for impl in implementations) or "no implementation"
            raise ValueError(f"{name}: got {names}, expected one or more with distinct names")
        self.__doc__ = function.__doc__
        self.trials = trials
        self.timings = timings
        self.like = like
        self.chosen = dict(self.implementations)  # with the plugins' that were chosen so far

    @property
    def reference(self) -> Implementation:
        """Implementation that defines the op."""
        return next(iter(self.implementations.values()))

    def names_for_heads(self) -> tuple[str, ...]:
        """Return the implementations that compute a loss for each row, as heads need."""
        return tuple(name for name, impl in self.implementations.items() if impl.per_row)


def serves_all(request: Request) -> str:
    """Return no reason: the `refuses` of an implementation that serves every request."""
    return ""
