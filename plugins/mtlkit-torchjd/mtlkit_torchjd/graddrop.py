"""Gradient sign dropout (GradDrop; Chen et al., NeurIPS 2020), by TorchJD."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor
from torchjd import aggregation

from mtlkit.plugins import LossTerm, Problem, at_least_number, between, each
from mtlkit.weightings import Direction, JacobianWeighting, StepInfo, UpdateStats, WeightingModule
from mtlkit_torchjd.direction_weighting import DirectionWeighting, progress
from mtlkit_torchjd.options_by_loss import tensor_by_loss, unknown_losses


@attrs.frozen(kw_only=True)
class GradDrop(DirectionWeighting):
    """One sign for each coordinate; parts of the other sign are dropped (Chen et al., 2020).

    Each update draws the sign anew, positive with probability 1/2 + `steepness` (P - 1/2). P is
    the sum of the positive parts over that of all absolute ones (algorithm 1, lines 10 to 15).
    A steepness of 1 gives the purity P itself, 0 a fair coin, and a large number the sign of the
    sum. `leak` is the part of a gradient that is always kept, by the name of the loss; the default
    is 0.
    """

    steepness: float = attrs.field(default=1.0, validator=at_least_number(0))
    leak: Mapping[str, float] = attrs.field(factory=dict, validator=each(between(0, 1)))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from super().problems(terms)
        yield from unknown_losses("leak", self.leak, terms)

    def build(self, terms: tuple[LossTerm, ...], features: int) -> WeightingModule:
        return GradDropDirection(self, terms)


@contextmanager
def seeded(step: StepInfo, device: torch.device) -> Iterator[None]:
    """Seed torch's default generators by `step` within the context, and restore them after it.

    On the CPU the numbers are those of ``step.generator()``. A GPU's generator gets the same seed,
    so ranks on GPUs agree with each other, but not with ranks on CPUs.

    >>> with seeded(StepInfo(seed=7), torch.device("cpu")):
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

    Of opposite gradients one remains in each coordinate, dependent ones are summed, and a gradient
    of zero changes nothing. A long gradient outvotes short ones.
    """

    leak: Tensor

    def __init__(self, config: GradDrop, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.steepness = config.steepness
        self.aggregator = aggregation.GradDrop(self.probability)
        self.register_buffer("leak", tensor_by_loss(config.leak, terms, 0.0), persistent=False)

    def probability(self, purity: Tensor) -> Tensor:
        """Return the probability (P,) of a positive sign; below 0 or above 1 it is certain."""
        return 0.5 + self.steepness * (purity - 0.5)

    def forward(self, jacobian: Tensor, stats: UpdateStats) -> Direction:
        self.aggregator.leak = self.leak[stats.indices].to(jacobian)
        with seeded(stats.step, jacobian.device):
            direction = self.aggregator(jacobian)
        return Direction(direction, progress(jacobian, direction))
