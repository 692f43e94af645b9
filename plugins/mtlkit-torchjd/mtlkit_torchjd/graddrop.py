"""Gradient sign dropout (GradDrop; Chen et al., NeurIPS 2020), by TorchJD at the parameters."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor
from torchjd import aggregation

from mtlkit.plugins import LossTerm, Problem, at_least_number, between, each
from mtlkit.weightings import (
    Direction,
    GradientLocation,
    JacobianWeighting,
    ReadsFeatures,
    StepInfo,
    UpdateStats,
    WeightingModule,
)
from mtlkit_torchjd.direction_weighting import DirectionWeighting, progress
from mtlkit_torchjd.options_by_loss import tensor_by_loss, unknown_losses


@attrs.frozen(kw_only=True)
class GradDrop(DirectionWeighting):
    """One sign for each feature; gradients of the other sign are dropped (Chen et al., 2020).

    Each update draws the signs anew, positive with probability 1/2 + `steepness` (P - 1/2). P is
    the sum of the positive parts over that of all absolute ones (algorithm 1). At the features, a
    gradient is multiplied by the sign of the feature and summed over the batch, so that all samples
    have the same sign for a feature; at the parameters, each has its own.
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
        if self.at is GradientLocation.FEATURES:
            return FeatureGradDropDirection(self, terms, features)
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


class FeatureGradDropDirection(GradDropDirection, ReadsFeatures):
    """The sum of the gradients of each feature that have the sign drawn for it (algorithm 1).

    A gradient's sign is that of its product with the sign of the feature, summed over the batch;
    it is kept or dropped in all samples. Without `UpdateStats.features` each coordinate has its
    own sign, as at the parameters. TorchJD does not contain this form.
    """

    def __init__(self, config: GradDrop, terms: tuple[LossTerm, ...], features: int) -> None:
        super().__init__(config, terms)
        self.features = features

    def forward(self, jacobian: Tensor, stats: UpdateStats) -> Direction:
        if stats.features is None:
            return super().forward(jacobian, stats)
        samples = jacobian.reshape(len(jacobian), -1, self.features)
        signs = stats.features.reshape(-1, self.features).sign()
        signed = (samples * signs).sum(dim=1)  # (K, D)
        size = signed.abs().sum(dim=0)
        purity = 0.5 + 0.5 * signed.sum(dim=0) / size.where(size > 0, 1.0)
        drawn = torch.rand(self.features, generator=stats.step.generator()).to(jacobian)
        positive = drawn < self.probability(purity)
        kept = torch.where(positive, signed > 0, signed < 0).to(jacobian)
        leak = self.leak[stats.indices].to(jacobian).unsqueeze(1)
        parts = (leak + (1 - leak) * kept).unsqueeze(1) * samples
        direction = parts.sum(dim=0).flatten()
        return Direction(direction, progress(jacobian, direction))
