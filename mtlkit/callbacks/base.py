"""Base classes of callbacks."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

import attrs
from torch import Tensor, nn

from mtlkit.component import Component, Problem
from mtlkit.features.inputs import Batch
from mtlkit.model import MultiTaskModel
from mtlkit.task import Task


@attrs.frozen(eq=False, kw_only=True)
class TrainingRun:
    """The training that callbacks act on.

    `batches` yields inputs and targets (N, ...) of each task of the whole training split, on
    the device and in a fixed order. `mean_gradient` returns the gradient of the sum of all terms'
    mean losses on the samples of an update, in the parameters that this update trains. It is the
    sum over all micro-batches and processes, with the random numbers of the update, and leaves
    `.grad`, random numbers and buffers as they are. Its tensors may share memory, so do not change
    them in place. All processes call it together, in an `around_backward`.
    """

    model: MultiTaskModel
    tasks: Mapping[str, Task]
    steps: int  # planned updates
    steps_per_epoch: int
    batches: Callable[[], Iterator[tuple[Batch, Mapping[str, Tensor]]]]
    mean_gradient: Callable[[int], Mapping[nn.Parameter, Tensor]]


class CallbackState(nn.Module):
    """A callback in a run; every method is called on all ranks, with equal values.

    A checkpoint holds its parameters and buffers, from which a resumed run continues exactly. Keep
    every value that changes in them, and references to the model in `run`, which is not saved.
    """

    def __init__(self, run: TrainingRun) -> None:
        super().__init__()
        self.run = run

    @property
    def stops(self) -> bool:
        """True once training shall end, before its planned number of updates."""
        return False

    @property
    def rate_factor(self) -> float:
        """Factor of all learning rates, in addition to that of the schedule."""
        return 1.0

    def before_update(self, step: int) -> None:
        """React before the update `step`, counted from 0."""

    def frozen(self, step: int) -> Iterable[nn.Parameter]:
        """Return the parameters that this callback excludes from the update `step`."""
        return ()

    def around_backward(self, step: int) -> AbstractContextManager[None]:
        """Return the context of the losses and gradients of the update `step`.

        It begins after `before_update` of all callbacks, and ends before `after_backward` of any,
        or with an error.
        """
        return nullcontext()

    def after_backward(self, step: int) -> None:
        """React to the gradients of the update `step`, before they are clipped."""

    def after_update(self, step: int) -> None:
        """React to `step` completed updates."""

    def evaluated_model(self) -> MultiTaskModel | None:
        """Return the model to validate in place of the trained one, or None."""
        return None

    def after_evaluation(
        self, step: int, model: MultiTaskModel, metrics: Mapping[str, float]
    ) -> None:
        """React to metrics of the validation split by name, such as ``pose/accuracy``.

        `model` is the one that was validated.
        """

    def log_values(self) -> Mapping[str, float]:
        """Return values for the log by name, and start to collect anew."""
        return {}

    def finish(self) -> str | None:
        """Change the model after the last update; return a line about it, or None."""
        return None


@attrs.frozen(kw_only=True)
class Callback(Component):
    """Options of a callback, which acts on training between updates."""

    needs_validation: ClassVar[bool] = False
    """True if it depends on metrics of the validation split."""

    sets_weights: ClassVar[bool] = False
    """True if it sets the weights of the model at the end of training."""

    validates_its_weights: ClassVar[bool] = False
    """True if validation measures the weights that it sets at the end."""

    reads_parameters: ClassVar[bool] = True
    """True if it reads or changes parameters of the model or their gradients."""

    sets_rates: ClassVar[bool] = False
    """True if it changes the learning rates (`CallbackState.rate_factor`)."""

    reads_gradients: ClassVar[bool] = False
    """True if it reads the gradient of the whole model."""

    moves_parameters: ClassVar[bool] = False
    """True if gradients are computed at other parameters than those that are updated."""

    def problems(self, tasks: Mapping[str, Task]) -> Iterable[Problem]:
        """Yield the reasons why this callback does not fit the tasks, with paths in its options."""
        return ()

    @abstractmethod
    def build(self, run: TrainingRun) -> CallbackState:
        """Return the callback in `run`, before the optimizer is built.

        Raises `AssemblyError` if it does not fit the model.
        """
