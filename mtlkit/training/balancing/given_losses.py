"""Losses that a user's loop computed, in the form that weightings read."""

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.errors import AssemblyError, did_you_mean
from mtlkit.task_types import LossTerm
from mtlkit.weightings.kinds import StepLosses

Loss = Tensor | tuple[Tensor, Tensor]
"""A mean loss, the losses (N,) of samples, or these and a mask (N,) of samples with a label."""

Losses = Mapping[str, Loss]
"""The loss of each task by its name, without the tasks that have no label."""


@attrs.frozen(eq=False)
class GivenLosses:
    """Losses of one part of an update.

    `values` are those of the terms with a loss, by the index of the term: (N,) if the losses of
    samples are given, else (1,), a mean. `counts` are the targets of each term, as numbers where
    these follow without reading the device. `features` are the tensors that heads read.
    """

    terms: tuple[LossTerm, ...]
    values: Mapping[int, Tensor]
    counts: Sequence[float | Tensor]
    samples: int
    features: tuple[Tensor, ...]

    @property
    def means_only(self) -> bool:
        """True if every loss is a mean, which counts as one sample."""
        return self.samples == 0

    @property
    def first(self) -> Tensor:
        """One of the losses; all are on its device."""
        return next(iter(self.values.values()))

    def step_losses(self, counts: Tensor, fraction: float) -> StepLosses:
        """Return the losses for a weighting, given the `counts` (T,) of the whole update."""
        rows = [self.values.get(index) for index in range(len(self.terms))]
        per_sample = torch.stack([
            torch.zeros_like(self.first, dtype=torch.float32) if row is None else row.float()
            for row in rows
        ])  # fmt: skip
        if len(self.values) == len(rows):
            weights = torch.ones_like(per_sample)
        else:
            given = per_sample.new_tensor([float(row is not None) for row in rows])
            weights = given.unsqueeze(1).expand_as(per_sample)
        features = self.features[0] if self.features else per_sample.new_zeros(len(self.first), 0)
        return StepLosses(
            self.terms, per_sample, weights, counts, fraction, features.to(per_sample.dtype)
        )


def read_losses(
    losses: Losses, features: Sequence[Tensor], terms: tuple[LossTerm, ...]
) -> GivenLosses:
    """Return the `losses` of a part; `AssemblyError` for an unknown task or another shape.

    Losses of different numbers of samples, or means next to losses of samples, become means.
    """
    names = [term.name for term in terms]
    for name in losses:
        if name not in names:
            raise AssemblyError(
                f"losses: got the task {name!r}, expected one of {', '.join(names)}"
                f"{did_you_mean(name, names)}"
            )
    pairs = {names.index(name): _pair(name, loss) for name, loss in losses.items()}
    if not pairs:
        raise AssemblyError(
            "losses: got none; skip a batch in which no task has a label, or, in several "
            "processes, pass the losses of samples with masks that are all false"
        )
    sizes = {value.shape for value, _ in pairs.values()}
    of_samples = len(sizes) == 1 and torch.Size() not in sizes
    values: dict[int, Tensor] = {}
    counts: list[float | Tensor] = [0.0] * len(terms)
    for index, (value, mask) in sorted(pairs.items()):
        present = float(value.numel()) if mask is None else mask.sum().float()
        if of_samples:
            values[index], counts[index] = value, present
        elif mask is None:
            mean = value.mean() if value.dim() else value
            values[index], counts[index] = mean.reshape(1), 1.0
        else:
            values[index] = (value.sum() / mask.sum().clamp(min=1)).reshape(1)
            counts[index] = mask.any().float()
    samples = len(next(iter(values.values()))) if of_samples else 0
    return GivenLosses(terms, values, counts, samples, tuple(features))


def _pair(name: str, loss: Loss) -> tuple[Tensor, Tensor | None]:
    """Return a loss, 0 for samples without a label, and the mask of samples with one.

    A loss that is not finite stays in spite of the mask: its gradient would not be finite, either.
    """
    value, mask = loss if isinstance(loss, tuple) and len(loss) == 2 else (loss, None)
    if not isinstance(value, Tensor) or not value.is_floating_point():
        got = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise AssemblyError(
            f"losses.{name}: got {got}, expected a tensor of floating-point numbers; leave the "
            f"task out of `losses` if the batch has no label of it"
        )
    if value.dim() > 1:
        raise AssemblyError(
            f"losses.{name}: got the shape {tuple(value.shape)}, expected a mean () or the losses "
            f"of samples (N,); average over the other dimensions"
        )
    if mask is None:
        return value, None
    if not isinstance(mask, Tensor):
        raise AssemblyError(
            f"losses.{name}: got a mask of {type(mask).__name__}, expected a boolean tensor (N,)"
        )
    if mask.dtype is not torch.bool or mask.shape != value.shape or value.dim() == 0:
        raise AssemblyError(
            f"losses.{name}: got a mask {tuple(mask.shape)} of {mask.dtype} for losses "
            f"{tuple(value.shape)}; expected a boolean mask (N,) of the samples with a label"
        )
    return torch.where(mask | ~value.isfinite(), value, 0.0), mask
