"""Inputs of evaluators: the trained model, its data, and predictions by batch or for a split."""

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
    """Float32 predictions for M samples, in the order of the samples.

    `features` (M, D) are the shared ones. `outputs` are raw outputs of each task, logits (M, C) or
    values (M,). `losses` (M,) of each task are means over the present elements of each sample, 0 if
    there is none. `branches` are the branch outputs of tasks that have branches.
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
        """Return the predictions for all of `split`, one of the data's splits, on the CPU.

        They are all in memory, and may be kept for the next call; `batches` yields those of maps
        without it.
        """

    @abstractmethod
    def batches(self, split: Split) -> Iterator[tuple[Predictions, Mapping[str, Tensor]]]:
        """Yield predictions and targets of consecutive samples of `split`, without caching."""

    @abstractmethod
    def targets(self, split: Split) -> Mapping[str, Tensor]:
        """Return the targets (N, ...) of each task in `split`, with the class codes of training.

        All of them are read into memory; `batches` yields those of maps without it.
        """
