"""What a built router is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import attrs
from torch import Tensor, nn


@attrs.frozen(eq=False)
class Features:
    """The features of a batch: shared (N, D), and the maps before the last block where kept."""

    shared: Tensor
    maps: Tensor | None = None
    own: Mapping[str, Tensor] = attrs.field(factory=dict)  # features that only one task sees

    def of(self, task: str) -> Tensor:
        """The features (N, D) that the head of `task` sees."""
        return self.own.get(task, self.shared)


@attrs.frozen(eq=False)
class BranchOutputs:
    """What the branches of a task say.

    `logits` (N, G, C) are those of every branch, `probability` (N, G) that of each group, and
    `weights` (N, G) how much each branch counts by the chosen way of routing.
    """

    groups: tuple[str, ...]
    logits: Tensor
    probability: Tensor
    weights: Tensor

    @property
    def posterior(self) -> Tensor:
        """The class probabilities (N, C) after routing."""
        return (self.logits.softmax(dim=-1) * self.weights.unsqueeze(-1)).sum(dim=1)


class RouterModule(nn.Module, ABC):
    """Owns the way from inputs to the features of each task, and the branches, if any.

    `features` is the width D of the shared features.
    """

    features: int

    @abstractmethod
    def forward(self, inputs: Tensor) -> Features:
        """The features of inputs (N, ...)."""

    @abstractmethod
    def branch_present(
        self, present: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Which samples (N,) have what each of the router's own terms needs, by its name.

        `present` says which targets of each task are there.
        """

    @abstractmethod
    def branch_losses(self, features: Features, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The losses (N,) of the router's own terms, by the name of the term."""

    @abstractmethod
    def branch_outputs(
        self,
        features: Features,
        logits: Mapping[str, Tensor],
        targets: Mapping[str, Tensor] | None,
    ) -> dict[str, BranchOutputs]:
        """What the branches say, by task; `targets` is needed where a label chooses the branch."""
