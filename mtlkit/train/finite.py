"""What to say when a loss is NaN or infinite."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlkit.errors import NotFiniteError
from mtlkit.train.step import StepResult
from mtlkit.vocabulary import LossTerm

SHOWN = 10
"""How many sample ids a message shows; the error carries them all."""


def not_finite(
    step: int,
    terms: Sequence[LossTerm],
    ids: Sequence[str],
    micro_batches: Sequence[Tensor],
    results: Sequence[StepResult],
) -> NotFiniteError:
    """The error of the update `step` (from 1): which tasks' losses, of which samples.

    `ids` are those of the training split, at which `micro_batches` point.
    """
    losses = torch.cat([result.per_sample for result in results], dim=1).cpu()
    index = torch.cat(list(micro_batches))
    bad = ~losses.isfinite()
    if not bad.any():  # the losses are fine, so a weight is not: every sample took part
        bad = ~torch.stack([result.weights for result in results]).isfinite().all(dim=0).cpu()
        bad = bad.unsqueeze(1).expand_as(losses)
    tasks = [term.name for term, row in zip(terms, bad, strict=True) if row.any()]
    found = [ids[place] for place in index[bad.any(dim=0)].tolist()]
    if not tasks:
        return NotFiniteError(
            f"step {step}: the loss is not finite on another process; nothing was updated",
            step=step,
            tasks=(),
            ids=(),
        )
    shown = ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" * (len(found) > SHOWN))
    return NotFiniteError(
        f"step {step}: the loss of {', '.join(tasks)} is not finite for the samples {shown}; "
        f"expected a finite number. Nothing was updated and the last checkpoint is kept; look at "
        f"these samples, or use a lower learning rate, warm-up or `train.clip_norm`",
        step=step,
        tasks=tasks,
        ids=found,
    )
