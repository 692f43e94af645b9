"""Errors for a loss or a weight that is NaN or infinite."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mtlkit.errors import NotFiniteError
from mtlkit.task_types import LossTerm
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.gradients.step import StepResult
from mtlkit.training.sharding.held_rows import Held, HeldRows
from mtlkit.training.tensor_files import pieces
from mtlkit.weightings.kinds import RequiresPositiveLosses, WeightingModule

SHOWN = 10
"""Number of sample ids in a message; the error stores all of them."""


def not_finite(
    step: int,
    terms: Sequence[LossTerm],
    ids: Sequence[str],
    micro_batches: Sequence[Tensor],
    results: Sequence[StepResult],
    parameters: Mapping[str, Tensor],
    weighting: WeightingModule,
) -> NotFiniteError:
    """Return the error of the update `step` (from 1): it names the tasks and the samples.

    `ids` are those of the training split, which `micro_batches` index. If the `parameters` are not
    finite, the cause is the update `step` - 1, and the error names the parameters instead.
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
    samples = [ids[i] for i in index[bad.any(dim=0)].tolist()]
    return NotFiniteError(
        f"step {step}: the loss of {', '.join(tasks)} is not finite for the samples "
        f"{_shortened(samples)}; expected a finite number. Nothing was updated and the last "
        f"checkpoint is kept; check these samples, or use a lower learning rate, warm-up or "
        f"`train.clip_norm`",
        step=step,
        tasks=tasks,
        ids=samples,
    )


def _by_weights(
    step: int,
    terms: Sequence[LossTerm],
    losses: Tensor,
    results: Sequence[StepResult],
    weighting: WeightingModule,
) -> NotFiniteError:
    """Return the error for finite losses (T, N) on this rank: a weight or another rank is not."""
    error = negative_losses(step, terms, losses, weighting)
    if error is not None:
        return error
    weights = torch.stack([result.weights for result in results]).isfinite().all(dim=0)
    broken = [t.name for t, ok in zip(terms, weights.tolist(), strict=True) if not ok]
    if broken:
        text = (
            f"{type(weighting).__name__} returned weights for {', '.join(broken)} that are not "
            f"finite, though the losses on this process are. Nothing was updated and the last "
            f"checkpoint is kept; check the losses and gradients of these tasks in the log, or use "
            f"another weighting"
        )
    else:
        text = "the loss is not finite on another process; nothing was updated"
    return NotFiniteError(f"step {step}: {text}", step=step, tasks=broken)


def negative_losses(
    step: int, terms: Sequence[LossTerm], losses: Tensor, weighting: WeightingModule
) -> NotFiniteError | None:
    """Return the error of a weighting that requires positive losses (T, N), if some are not."""
    negative = [t.name for t, row in zip(terms, losses.sum(dim=1), strict=True) if row < 0]
    divides = [m for m in weighting.modules() if isinstance(m, RequiresPositiveLosses)]
    if not (negative and divides):
        return None
    return NotFiniteError(
        f"step {step}: {type(divides[0]).__name__} divides by losses or takes their logarithm, and "
        f"the loss of {', '.join(negative)} is below zero. Nothing was updated; use a head whose "
        f"loss is never negative for {'it' if len(negative) == 1 else 'them'}, or a weighting that "
        f"takes any loss, such as `equal` or `mgda`",
        step=step,
        tasks=negative,
    )


def names_of_broken(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the `tensors` that contain a NaN or an infinity."""
    return [
        name
        for name, value in tensors.items()
        if not all(piece.isfinite().all() for piece in pieces(value))
    ]


def require_finite(
    step: int, state: Mapping[str, Held], ranks: Ranks, device: torch.device
) -> None:
    """Raise `NotFiniteError` on all processes if one of them holds a number that is not finite."""
    held = {k: v.rows if isinstance(v, HeldRows) else v for k, v in state.items()}
    broken = ranks.together(lambda: names_of_broken(held), device)
    names = dict.fromkeys(name for names in broken for name in names)
    if names:
        raise broken_state(step, list(names))


def broken_state(step: int, names: Sequence[str]) -> NotFiniteError:
    """Return the error of the update `step` (from 1; 0: the start) that broke the named tensors."""
    shown = _shortened(names)
    if step == 0:
        text = (
            f"step 1: the weights {shown} were not finite before the first update; check "
            f"the pretrained weights of the backbone"
        )
    else:
        text = (
            f"step {step}: the update of step {step} broke the weights {shown}: they are "
            f"not finite, though the losses were. The last checkpoint is kept; use a lower "
            f"learning rate, warm-up or `train.clip_norm`"
        )
    return NotFiniteError(text, step=step)


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
