"""The callback `lookahead`."""

import copy

import attrs
import torch

from mtlkit.callbacks import Callback, CallbackState, TrainingRun
from mtlkit.plugins import at_least, between


@attrs.frozen(kw_only=True)
class Lookahead(Callback):
    """Pull the weights back to slow ones after every `every` updates (Zhang et al., NeurIPS 2019).

    The slow weights move by `fraction` of the way to the trained ones, which continue from there.
    """

    every: int = attrs.field(default=5, validator=at_least(1))
    fraction: float = attrs.field(default=0.5, validator=between(0, 1))

    def build(self, run: TrainingRun) -> CallbackState:
        return SlowWeights(self, run)


class SlowWeights(CallbackState):
    """The slow weights: a submodule, so that checkpoints hold them."""

    def __init__(self, options: Lookahead, run: TrainingRun) -> None:
        super().__init__(run)
        self.options = options
        self.slow = copy.deepcopy(run.model).requires_grad_(False)

    @torch.no_grad()
    def after_update(self, step: int) -> None:
        if step % self.options.every == 0:
            pairs = zip(self.slow.parameters(), self.run.model.parameters(), strict=True)
            for slow, fast in pairs:
                slow.lerp_(fast, self.options.fraction)
                fast.copy_(slow)
