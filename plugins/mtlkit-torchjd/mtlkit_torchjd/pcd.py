"""The main task first (PCD, arXiv 2606.29521), by TorchJD."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchjd.aggregation import PCDWeighting

from mtlkit.plugins import LossTerm, Role
from mtlkit.weightings import GramianWeighting, UpdateStats
from mtlkit_torchjd.configs import Pcd


class PcdWeights(GramianWeighting):
    """Weights of the direction nearest to the main gradient that gives each side task its share.

    The direction is as long as the main gradient; the weights of all main losses are equal. Where
    side gradients are opposite their shares cannot be given, and the main gradient is followed. A
    side gradient of zero asks for nothing. By definition a main gradient of zero is where training
    ends; an update without a label of a main task moves nothing that is shared either.

    Running norms are kept for O objectives, the main gradient being the first: of a side task
    without a label in an update the norm stays, and the first one seen counts whole. Where all
    tasks are in all updates they are TorchJD's. The program is solved on the CPU.
    """

    norms: Tensor
    updates: Tensor
    objectives: Tensor

    def __init__(self, config: Pcd, terms: tuple[LossTerm, ...]) -> None:
        super().__init__()
        self.config = config
        sides = iter(range(1, len(terms) + 1))
        place = [0 if term.role is Role.MAIN else next(sides) for term in terms]
        self.register_buffer("objectives", torch.tensor(place), persistent=False)
        self.register_buffer("norms", torch.zeros(max(place) + 1))
        self.register_buffer("updates", torch.zeros(max(place) + 1))

    def forward(self, gramian: Tensor, stats: UpdateStats) -> Tensor:
        own = self.objectives[stats.indices]
        present, rows = torch.unique(own, return_inverse=True)
        if present[0] != 0:
            return gramian.new_zeros(len(gramian))
        sums = F.one_hot(rows, len(present)).T.to(gramian)  # (objectives present, K)
        products = sums @ gramian @ sums.T
        solver, count = self._solver(products, present)
        weights: Tensor = solver(products)
        means = solver.state_dict()["_sq_norm_ema"] / (1 - self.config.decay ** (count + 1))
        self.norms[present] = means.sqrt().to(self.norms)
        self.updates[present] += 1
        return weights @ sums

    def _solver(self, products: Tensor, present: Tensor) -> tuple[PCDWeighting, int]:
        """TorchJD's weighting as it is after `count` updates with our running norms.

        It can load a state only once it has one of the same size, and keeps one count of updates:
        that of the main task.
        """
        config = self.config
        solver = PCDWeighting(config.share, config.decay, config.floor)
        solver(torch.zeros(len(present), len(present)))  # gradients of zero: nothing to solve
        count = int(self.updates[0])
        squares = self.norms[present].to(products).square()
        squares = torch.where(self.updates[present] > 0, squares, products.diagonal())
        uncorrected = squares * (1 - config.decay**count)  # without the correction of its bias
        state = {"_sq_norm_ema": uncorrected.cpu(), "_n_steps": torch.tensor(count)}
        solver.load_state_dict(state)
        return solver, count
