"""Dynamic weights from the shared features (Yin & Liu, TIP 2018)."""

import math

import torch
from torch import Tensor, nn

from mtlkit.vocabulary import LossTerm, Role
from mtlkit.weighting.configs import Dynamic
from mtlkit.weighting.module import LossWeighting, StepLosses, Weighted


class DynamicWeights(LossWeighting):
    """Side weights total * softmax(W^T x + e), learned jointly with the network (eq. 7-8).

    With `gate_main` the main terms share `main_total` by a second gate of the same form
    (eq. 10-11); without it each has weight 1. With `normalise` the weight of a gated term with C
    classes is divided by ln C, the loss of a guess. Nothing in a gate's gradient sees the main
    loss, so descent moves weight to the term with the lowest loss: a gate favours the easy task.
    """

    guess: Tensor

    def __init__(self, config: Dynamic, terms: tuple[LossTerm, ...], features: int) -> None:
        super().__init__()
        self.per_sample = config.form == "mean-of-products"
        self.totals = {Role.SIDE: config.total, Role.MAIN: config.main_total}
        self.places = {
            role: [place for place, term in enumerate(terms) if term.role is role] for role in Role
        }
        self.gates = nn.ModuleDict()
        guesses = [math.log(term.classes) if term.classes > 1 else 1.0 for term in terms]
        self.register_buffer("guess", torch.tensor(guesses if config.normalise else [1.0]))
        for role, gated in ((Role.SIDE, True), (Role.MAIN, config.gate_main)):
            if gated:
                gate = nn.Linear(features, len(self.places[role]))
                nn.init.zeros_(gate.weight)  # every gate starts from equal weights
                nn.init.zeros_(gate.bias)
                self.gates[role.value] = gate
                # a buffer is on the device already; a tensor made in every step must be sent there
                place = torch.tensor(self.places[role])
                self.register_buffer(f"{role.value}_places", place, persistent=False)

    def forward(self, losses: StepLosses) -> Weighted:
        weights = self.sample_weights(losses.features)
        if self.per_sample:
            weighed = (weights * losses.per_sample).sum(dim=1) / losses.counts.clamp(min=1)
        else:
            weighed = weights.mean(dim=1) * losses.mean
        return Weighted(weighed.sum(), weights.detach().mean(dim=1))

    def sample_weights(self, features: Tensor) -> Tensor:
        """The weights of each term for each sample (T, N), from shared features (N, D)."""
        terms = sum(map(len, self.places.values()))
        weights = features.new_ones(terms, len(features), dtype=torch.float32)
        for role in Role:
            if role.value in self.gates:
                share = self.gates[role.value](features).float().softmax(dim=1).T
                place = self.get_buffer(f"{role.value}_places")
                guess = self.guess.expand(terms)[place].unsqueeze(1)
                weights = weights.index_copy(0, place, self.totals[role] * share / guess)
        return weights
