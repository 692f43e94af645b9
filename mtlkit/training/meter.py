"""Means of losses, weights and gradient statistics since the last logged step."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from mtlkit.task_types import LossTerm
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.gradients.step import StepResult
from mtlkit.weightings.solvers.gramian import cosines, inverse_norms
from mtlkit.weightings.solvers.gramian import norms as norms_of


class Meter:
    """Sums on the device, read only when a step is logged, to avoid a sync in every step."""

    def __init__(self, terms: Sequence[LossTerm], device: torch.device, ranks: Ranks) -> None:
        self.names = [term.name for term in terms]
        self.ranks = ranks
        # rows: sums of losses, sums of weights
        self.sums = torch.zeros(2, len(terms), device=device)
        self._losses, self._weights = self.sums.unbind()  # views
        self.counts = torch.zeros(len(terms), device=device)
        self.gramian = torch.zeros(len(terms), len(terms), dtype=torch.float64, device=device)
        self.updates = self.watched = 0
        self._watching = False

    def add(self, result: StepResult, fraction: float) -> None:
        """Add the losses and weights of a micro-batch that is `fraction` of its update."""
        self._losses += result.per_sample.sum(dim=1)
        self._weights.add_(result.weights, alpha=fraction)
        if result.gramian is not None:
            self.gramian += result.gramian
            self._watching = True

    def finish_update(self, counts: Tensor) -> None:
        """Add the `counts` (T,) of an update, the sums of its samples' weights."""
        self.counts += counts
        self.updates += 1
        self.watched += self._watching
        self._watching = False

    def gradients(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return the norms of the tasks' gradients and their cosines, from the mean Gramian.

        Both are empty if no Gramian was added since the last `read`. Call it before `read`.
        """
        if not self.watched:
            return {}, {}
        gramian = self.ranks.sum(self.gramian) / self.watched
        norms = norms_of(gramian).tolist()
        angles = cosines(gramian, inverse_norms(gramian)).tolist()
        pairs = combinations(enumerate(self.names), 2)
        return (
            dict(zip(self.names, norms, strict=True)),
            {f"{a}, {b}": angles[i][j] for (i, a), (j, b) in pairs if norms[i] and norms[j]},
        )

    def read(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return mean losses over targets present and mean weights over updates; reset the sums.

        The losses omit a term without any target since the last call.
        """
        losses, weights = self.ranks.sum(self.sums)
        counts = self.counts.tolist()
        means = (losses / self.counts.clamp(min=1)).tolist()
        weights = (weights / max(self.updates, 1)).tolist()
        self.sums.zero_()
        self.counts.zero_()
        self.gramian.zero_()
        self.updates = self.watched = 0
        return (
            {name: m for name, m, n in zip(self.names, means, counts, strict=True) if n > 0},
            dict(zip(self.names, weights, strict=True)),
        )

    def state(self) -> dict[str, Any]:
        """Return the sums of each rank as JSON values; a float32 is stored exactly."""
        return {
            "sums": self.ranks.gather(self.sums).tolist(),
            "counts": self.counts.tolist(),
            "updates": self.updates,
            "gramian": self.ranks.gather(self.gramian).tolist(),
            "watched": self.watched,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore `state`; for another number of ranks, the first one gets the sums of all."""
        for name, sums in (("sums", self.sums), ("gramian", self.gramian)):
            by_rank = torch.tensor(state[name], dtype=sums.dtype)
            if len(by_rank) == self.ranks.world:
                sums.copy_(by_rank[self.ranks.rank])
            elif self.ranks.first:
                sums.copy_(by_rank.sum(0))
        self.counts.copy_(torch.tensor(state["counts"]))
        self.updates, self.watched = state["updates"], state["watched"]
