"""One sign for each coordinate (GradDrop; Chen et al., NeurIPS 2020), by TorchJD."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torchjd.aggregation import GradDrop as Aggregator

from mtlkit.plugins import LossTerm
from mtlkit.weightings import Direction, JacobianWeighting, StepInfo, UpdateStats
from mtlkit_torchjd.along import along
from mtlkit_torchjd.configs import GradDrop
from mtlkit_torchjd.dual_cone import by_place


@contextmanager
def chance_of(step: StepInfo, device: torch.device) -> Iterator[None]:
    """Torch's own generators give, for a while, what the `step` gives; then go on as before.

    On the CPU the numbers are those of ``step.generator()``; a GPU's generator has the same seed,
    so ranks on GPUs agree with each other, though not with ranks on CPUs.

    >>> with chance_of(StepInfo(seed=7), torch.device("cpu")):
    ...     drawn = torch.rand(3)
    >>> drawn.equal(torch.rand(3, generator=StepInfo(seed=7).generator()))
    True
    """
    gpu = device.type == "cuda"
    with torch.random.fork_rng([device] if gpu else []):
        seed = step.generator().initial_seed()
        torch.default_generator.manual_seed(seed)
        if gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


class GradDropDirection(JacobianWeighting):
    """The sum of the gradients' parts that have the sign drawn for their coordinate (algorithm 1).

    Opposite gradients leave one of them in each coordinate, dependent ones are summed, and a
    gradient of zero changes nothing. A long gradient outvotes short ones.
    """

    leak: Tensor

    def __init__(self, config: GradDrop, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.steepness = config.steepness
        self.aggregator = Aggregator(self.chance)
        self.register_buffer("leak", by_place(config.leak, terms, 0.0), persistent=False)

    def chance(self, purity: Tensor) -> Tensor:
        """The chance (P,) of a positive sign by the `purity` (P,); beyond 0 and 1 it is certain."""
        return 0.5 + self.steepness * (purity - 0.5)

    def forward(self, jacobian: Tensor, stats: UpdateStats) -> Direction:
        self.aggregator.leak = self.leak[stats.indices].to(jacobian)
        with chance_of(stats.step, jacobian.device):
            direction = self.aggregator(jacobian)
        return Direction(direction, along(jacobian, direction))
