"""The main task first (PCD, arXiv 2606.29521), by TorchJD."""

from collections.abc import Iterable, Sequence

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor
from torchjd.aggregation import PCDWeighting

from mtlkit.plugins import LossTerm, Problem, Role, at_least_number, below, between
from mtlkit.weightings import GradientWeighting, GramianWeighting, UpdateStats, WeightingModule


@attrs.frozen(kw_only=True)
class PCD(GradientWeighting):
    """The direction nearest to the main gradient that leaves side tasks a share (PCD; 2026).

    `share` (the paper's tau) is the progress that each side task is guaranteed, relative to its
    own gradient. Gradients are compared in units of their running norms: each update keeps `decay`
    (beta) of their squares, and `floor` (epsilon) is added to those. The main gradient is the sum
    over all losses of main tasks. Source: arXiv 2606.29521.
    """

    share: float = attrs.field(default=0.02, validator=between(0, 1))
    decay: float = attrs.field(default=0.999, validator=below(1))
    floor: float = attrs.field(default=1e-8, validator=at_least_number(0))

    @property
    def scale_free(self) -> bool:
        return True

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        names = ", ".join(term.name for term in terms)
        if all(term.role is not Role.MAIN for term in terms):
            yield Problem(
                ("weighting",),
                f"PCD needs a main task, and {names} are all side tasks; give one task "
                f"`role: main`",
            )
        if all(term.role is Role.MAIN for term in terms):
            yield Problem(
                ("weighting",),
                f"PCD needs a side task, and {names} are all main tasks; give one task "
                f"`role: side`, or use `equal`",
            )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> WeightingModule:
        return PCDWeights(self, terms)


class PCDWeights(GramianWeighting):
    """Weights of the direction nearest to the main gradient that gives each side task its share.

    The direction is as long as the main gradient; all main losses have equal weights. If side
    gradients are opposite, their shares are infeasible, and the direction is the main gradient. A
    side gradient of zero constrains nothing. Shared parameters do not move if the main gradient is
    zero or no main task has a label in the update.

    The state holds running norms of O objectives, the main gradient first. A side task without a
    label in an update keeps its norm; its first label initializes it. If all tasks are in all
    updates, the norms are TorchJD's. The program is solved on the CPU.
    """

    norms: Tensor
    updates: Tensor
    objectives: Tensor

    def __init__(self, config: PCD, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.config = config
        sides = iter(range(1, len(terms) + 1))
        objectives = [0 if term.role is Role.MAIN else next(sides) for term in terms]
        self.register_buffer("objectives", torch.tensor(objectives), persistent=False)
        self.register_buffer("norms", torch.zeros(max(objectives) + 1))
        self.register_buffer("updates", torch.zeros(max(objectives) + 1))

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        objectives = self.objectives[stats.indices]
        present, rows = torch.unique(objectives, return_inverse=True)
        if present[0] != 0:
            return gramian.new_zeros(len(gramian))
        sums = F.one_hot(rows, len(present)).T.to(gramian)  # (objectives present, K)
        products = sums @ gramian @ sums.T
        solver, count = self._solver(products, present)
        weights: Tensor = solver(products)
        squares = solver.state_dict()["_sq_norm_ema"] / (1 - self.config.decay ** (count + 1))
        self.norms[present] = squares.sqrt().to(self.norms)
        self.updates[present] += 1
        return weights @ sums

    def _solver(self, products: Tensor, present: Tensor) -> tuple[PCDWeighting, int]:
        """Return TorchJD's weighting with our running norms, and its number of updates.

        TorchJD's weighting loads a state only after a call of the same size, and has one count of
        updates: that of the main task.
        """
        config = self.config
        solver = PCDWeighting(config.share, config.decay, config.floor)
        solver(torch.zeros(len(present), len(present)))  # gradients of zero skip the program
        count = int(self.updates[0])
        squares = self.norms[present].to(products).square()
        squares = torch.where(self.updates[present] > 0, squares, products.diagonal())
        biased = squares * (1 - config.decay**count)
        state = {"_sq_norm_ema": biased.cpu(), "_n_steps": torch.tensor(count)}
        solver.load_state_dict(state)
        return solver, count
