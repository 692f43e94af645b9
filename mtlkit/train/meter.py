"""The means, since the last logged step, of losses and weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtlkit.train.ranks import Ranks
from mtlkit.train.step import StepResult
from mtlkit.vocabulary import LossTerm


class Meter:
    """Sums on the device, read only when something is logged, so that no step waits for them."""

    def __init__(self, terms: Sequence[LossTerm], device: torch.device, ranks: Ranks) -> None:
        self.names = [term.name for term in terms]
        self.ranks = ranks
        # rows: sums of losses, sums of weights, counts of targets present
        self.own = torch.zeros(2, len(terms), device=device)
        self.counts = torch.zeros(len(terms), device=device)
        self.updates = 0

    def add(self, result: StepResult, share: float) -> None:
        """Take the losses and weights of a micro-batch that is `share` of its update."""
        self.own[0] += result.per_sample.sum(dim=1)
        self.own[1].add_(result.weights, alpha=share)

    def finish_update(self, counts: Tensor) -> None:
        """Take the `counts` (T,) of targets present in an update."""
        self.counts += counts
        self.updates += 1

    def read(self) -> tuple[dict[str, float], dict[str, float]]:
        """Mean losses over the targets present, and mean weights over updates; start afresh.

        A term without any target since the last reading has no loss to name.
        """
        losses, weights = self.ranks.sum(self.own)
        counts = self.counts.tolist()
        means = (losses / self.counts.clamp(min=1)).tolist()
        weights = (weights / max(self.updates, 1)).tolist()
        self.own.zero_()
        self.counts.zero_()
        self.updates = 0
        return (
            {name: m for name, m, n in zip(self.names, means, counts, strict=True) if n > 0},
            dict(zip(self.names, weights, strict=True)),
        )

    def state(self) -> dict[str, Any]:
        """The sums of all ranks, as JSON; they are exact, a float32 being a JSON number too."""
        own = self.ranks.sum(self.own).tolist()
        return {"own": own, "counts": self.counts.tolist(), "updates": self.updates}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`, which the first rank then holds for all."""
        if self.ranks.first:
            self.own.copy_(torch.tensor(state["own"]))
        self.counts.copy_(torch.tensor(state["counts"]))
        self.updates = state["updates"]
