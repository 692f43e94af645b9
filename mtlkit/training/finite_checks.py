"""What to say when a loss or a weight is NaN or infinite."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtlkit.errors import NotFiniteError
from mtlkit.task_types import LossTerm
from mtlkit.training.gradients.step import StepResult
from mtlkit.weightings.kinds import RequiresPositiveLosses, WeightingModule

SHOWN = 10
"""How many sample ids a message shows; the error carries them all."""


def not_finite(
    step: int,
    terms: Sequence[LossTerm],
    ids: Sequence[str],
    micro_batches: Sequence[Tensor],
    results: Sequence[StepResult],
    parameters: Mapping[str, Tensor],
    weighting: WeightingModule,
) -> NotFiniteError:
    """The error of the update `step` (from 1): which tasks' losses, of which samples.

    `ids` are those of the training split, at which `micro_batches` point. Where the `parameters`
    were broken before, by the update `step` - 1, neither the tasks nor the samples are to blame.
    """
    broken = names_of_broken(parameters)
    if broken:
        return broken_state(step - 1, broken)
    losses = torch.cat([result.per_sample for result in results], dim=1).cpu()
    index = torch.cat(list(micro_batches))
    bad = ~losses.isfinite()
    if not bad.any():
        return _by_weights(step, terms, losses, results, weighting)
    tasks = [term.name for term, row in zip(terms, bad, strict=True) if row.any()]
    found = [ids[place] for place in index[bad.any(dim=0)].tolist()]
    shown = ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" * (len(found) > SHOWN))
    return NotFiniteError(
        f"step {step}: the loss of {', '.join(tasks)} is not finite for the samples {shown}; "
        f"expected a finite number. Nothing was updated and the last checkpoint is kept; look at "
        f"these samples, or use a lower learning rate, warm-up or `train.clip_norm`",
        step=step,
        tasks=tasks,
        ids=found,
    )


def _by_weights(
    step: int,
    terms: Sequence[LossTerm],
    losses: Tensor,
    results: Sequence[StepResult],
    weighting: WeightingModule,
) -> NotFiniteError:
    """The error where the losses (T, N) seen here are finite: a weight, or another process."""
    negative = [t.name for t, row in zip(terms, losses.sum(dim=1), strict=True) if row < 0]
    divides = [m for m in weighting.modules() if isinstance(m, RequiresPositiveLosses)]
    if negative and divides:
        return _negative(step, type(divides[0]).__name__, negative)
    weights = torch.stack([result.weights for result in results]).isfinite().all(dim=0)
    unweighed = [t.name for t, ok in zip(terms, weights.tolist(), strict=True) if not ok]
    if unweighed:
        return _unweighed(step, type(weighting).__name__, unweighed)
    return NotFiniteError(
        f"step {step}: the loss is not finite on another process; nothing was updated",
        step=step,
        tasks=(),
        ids=(),
    )


def _negative(step: int, name: str, tasks: Sequence[str]) -> NotFiniteError:
    """The error of a weighting that divides by losses, where some are below zero."""
    return NotFiniteError(
        f"step {step}: {name} divides by losses or takes their logarithm, and the loss of "
        f"{', '.join(tasks)} is below zero. Nothing was updated; use a head whose loss is never "
        f"negative for {'it' if len(tasks) == 1 else 'them'}, or a weighting that takes any loss, "
        f"such as `equal` or `mgda`",
        step=step,
        tasks=tasks,
        ids=(),
    )


def _unweighed(step: int, name: str, tasks: Sequence[str]) -> NotFiniteError:
    """The error of a weighting that found no weights for losses that are finite."""
    return NotFiniteError(
        f"step {step}: {name} gave {', '.join(tasks)} weights that are not finite, though the "
        f"losses seen here are. Nothing was updated and the last checkpoint is kept; look in the "
        f"log at how the losses and gradients of these tasks developed, or use another weighting",
        step=step,
        tasks=tasks,
        ids=(),
    )


def names_of_broken(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of the `tensors` that hold a NaN or an infinity."""
    return [name for name, value in tensors.items() if not value.isfinite().all()]


def broken_state(step: int, names: Sequence[str]) -> NotFiniteError:
    """The error of the update `step` (from 1) that broke what `names` name; 0 is the beginning."""
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" * (len(names) > SHOWN))
    if step == 0:
        text = (
            f"step 1: the weights {shown} were not finite before the first update; look at the "
            f"pretrained weights of the backbone"
        )
    else:
        text = (
            f"step {step}: the update of step {step} broke the weights {shown}: they are not "
            f"finite, though the losses were. The last checkpoint is kept; use a lower learning "
            f"rate, warm-up or `train.clip_norm`"
        )
    return NotFiniteError(text, step=step, tasks=(), ids=())
