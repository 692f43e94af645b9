"""Differentiate the parts of an update, and check the result."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from mtlkit.errors import NotFiniteError
from mtlkit.task_types import LossTerm
from mtlkit.training.balancing.parts import LoopUpdate
from mtlkit.training.devices.ranks import Ranks, unreduced
from mtlkit.training.finite_checks import negative_losses
from mtlkit.training.gradients.loss_scale import scaled
from mtlkit.training.gradients.step import StepResult, TaskWeights, WeightingStep
from mtlkit.training.once_warnings import weight_warning
from mtlkit.weightings.kinds import WeightingModule

Backward = Callable[[Tensor], object]
"""Differentiate a scalar, such as `accelerator.backward`."""


def differentiate(
    step: WeightingStep,
    update: LoopUpdate,
    decision: TaskWeights | None,
    scale: Tensor | None,
    model: nn.Module | None,
    backward: Backward | None,
) -> list[StepResult]:
    """Add the gradients of all parts to `.grad`, times the loss `scale` of fp16 training.

    `backward`, if there is one, differentiates a scalar and applies the scale. With a `scale`, an
    update that is not finite leaves the buffers of the weighting unchanged, since the scaler skips
    it.
    """
    results = []
    buffers = [] if scale is None else list(step.weighting.buffers())
    kept = [buffer.clone() for buffer in buffers]
    with _averaged(step.weighting, step.ranks):
        for part in update.parts:
            last = part is update.parts[-1]
            with nullcontext() if last else unreduced(model):
                result = step(part, update.info, decision)
                if backward is not None:
                    backward(result.differentiated)
                else:
                    torch.autograd.backward(scaled(result.differentiated, scale))
            results.append(result.detached())
    if scale is not None and not all(result.total.isfinite() for result in results):
        for buffer, before in zip(buffers, kept, strict=True):
            buffer.copy_(before)
    return results


@contextmanager
def _averaged(weighting: WeightingModule, ranks: Ranks) -> Iterator[None]:
    """Average the gradients of learned weights over ranks, as DDP averages those of the model."""
    learned = [p for p in weighting.parameters() if p.requires_grad] if ranks.world > 1 else []
    earlier = [p.grad for p in learned]
    for p in learned:
        p.grad = None
    yield
    for p, before in zip(learned, earlier, strict=True):
        gradient = ranks.sum(torch.zeros_like(p) if p.grad is None else p.grad) / ranks.world
        p.grad = gradient if before is None else before + gradient


def mean_weights(
    number: int, terms: Sequence[LossTerm], results: Sequence[StepResult], warned: set[str]
) -> Tensor:
    """Return the mean weights (T,) over the parts of this rank; warn of large ones.

    Tasks in `warned` were warned of already; those that are now are added.
    """
    weights = results[0].weights
    if len(results) > 1:
        weights = torch.stack([result.weights for result in results]).mean(dim=0)
    named = dict(zip((term.name for term in terms), weights.tolist(), strict=True))
    text = weight_warning(named, number, warned)
    if text is not None:  # names the line of the loop
        warnings.warn(text.removeprefix("warning: "), stacklevel=4)
    return weights


def require_finite(
    number: int,
    terms: Sequence[LossTerm],
    results: Sequence[StepResult],
    weighting: WeightingModule,
    ranks: Ranks,
) -> None:
    """Raise `NotFiniteError` on every rank if a loss or a weight of an update is not finite."""
    totals = [result.total for result in results]
    if ranks.world == len(totals) == 1:  # the common case, in fewer operations
        finite = math.isfinite(totals[0].item())
    else:
        wrong = ~torch.stack(totals).isfinite().all()
        finite = not ranks.max(wrong.float()).item()
    if finite:
        return
    losses = torch.cat([result.per_sample for result in results], dim=1)
    broken = [t.name for t, row in zip(terms, losses, strict=True) if not row.isfinite().all()]
    negative = negative_losses(number, terms, losses, weighting)
    if negative is not None and not broken:
        raise negative
    elsewhere = "a weight, or a loss on another rank,"
    subject = f"the loss of {', '.join(broken)}" if broken else elsewhere
    raise NotFiniteError(
        f"update {number}: {subject} is not finite. No parameter was updated, but gradients were "
        f"added; call optimizer.zero_grad(), check the batch, or use a lower learning rate",
        step=number,
        tasks=broken,
    )
