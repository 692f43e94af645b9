"""The trained model and its data that evaluators read, as predictions by batches or whole."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import attrs
from torch import Tensor

from mtlkit.data.dataset import Data, Split
from mtlkit.model import MultiTaskModel
from mtlkit.routers.base import BranchOutputs
from mtlkit.task import Task


@attrs.frozen(eq=False, kw_only=True)
class Predictions:
    """The model's predictions for M samples in float32, in the order of the samples.

    `features` (M, D) are the shared ones; `outputs` are each task's raw outputs, (M, C) logits or
    (M,) values; `losses` each task's losses (M,), 0 where the target is missing; `branches` what
    the branches of a task say.
    """

    features: Tensor
    outputs: Mapping[str, Tensor]
    losses: Mapping[str, Tensor]
    branches: Mapping[str, BranchOutputs]


class EvaluationContext(ABC):
    """A trained model, its data and tasks, and its predictions by batches."""

    model: MultiTaskModel
    data: Data
    tasks: Mapping[str, Task]

    @abstractmethod
    def predict(self, split: Split) -> Predictions:
        """Return the predictions for all of `split` on the CPU, computed once and kept in memory.

        `split` is one of the data's splits.
        """

    @abstractmethod
    def batches(self, split: Split) -> Iterator[tuple[Predictions, Mapping[str, Tensor]]]:
        """Yield predictions and targets of consecutive samples of `split`, and keep none."""

    @abstractmethod
    def targets(self, split: Split) -> Mapping[str, Tensor]:
        """The targets (N,) of each task in `split`, encoded by the training vocabularies."""
