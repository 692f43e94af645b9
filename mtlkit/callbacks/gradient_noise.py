"""Norm and noise of the gradients.

Paper: Sam McCandlish, Jared Kaplan, Dario Amodei and the OpenAI Dota Team, "An Empirical Model of
Large-Batch Training", arXiv:1812.06162, 2018, appendix A.1.
"""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor, nn

from mtlkit.callbacks.base import Callback, CallbackState, TrainingRun
from mtlkit.component import at_least


@attrs.frozen(kw_only=True)
class GradientNoise(Callback):
    """Log the norm of the gradient, and its noise relative to its size (McCandlish et al. 2018).

    Over `window` updates, with gradients g and their mean m, tr(S) = window / (window - 1) (mean
    |g|^2 - |m|^2) estimates the variance of an update's gradient, and |G|^2 = |m|^2 - tr(S) /
    window the squared norm of the true one. The log holds ``gradient norm`` (mean of |g|) and
    ``gradient noise`` tr(S) / |G|^2. Well above 1, larger batches or a smaller learning rate give
    better directions; well below 1, smaller batches give nearly the same. The noise is omitted
    while the estimate of |G|^2 is not positive. Costs one copy of the gradients.
    """

    reads_gradients = True

    window: int = attrs.field(default=10, validator=at_least(2))

    def build(self, run: TrainingRun) -> CallbackState:
        return _GradientNoise(self, run)


class _GradientNoise(CallbackState):
    def __init__(self, options: GradientNoise, run: TrainingRun) -> None:
        super().__init__(run)
        self.window = options.window
        self.parameters_of_run = [p for p in run.model.parameters() if p.requires_grad]
        size = sum(parameter.numel() for parameter in self.parameters_of_run)
        device = self.parameters_of_run[0].device
        self.total: Tensor = nn.Buffer(torch.zeros(size, device=device))
        # sums of squared norms and of norms: in the window, and since the last log
        self.square: Tensor = nn.Buffer(torch.zeros((), dtype=torch.float64, device=device))
        self.norm: Tensor = nn.Buffer(torch.zeros((), dtype=torch.float64, device=device))
        self.noise = nn.Buffer(torch.full((), torch.nan, dtype=torch.float64, device=device))
        self.updates: Tensor = nn.Buffer(torch.zeros(2, dtype=torch.int64))  # window, log

    def after_backward(self, step: int) -> None:
        parameters = self.parameters_of_run
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        square = flat.double().square().sum()
        self.total += flat
        self.square += square
        self.norm += square.sqrt()
        self.updates += 1
        if int(self.updates[0]) == self.window:
            self._estimate()

    def _estimate(self) -> None:
        mean_square = self.square / self.window
        square_mean = (self.total.double() / self.window).square().sum()
        variance = (mean_square - square_mean) * self.window / (self.window - 1)
        signal = square_mean - variance / self.window
        self.noise.copy_(torch.where(signal > 0, variance / signal, torch.nan))
        self.total.zero_()
        self.square.zero_()
        self.updates[0] = 0

    def log_values(self) -> Mapping[str, float]:
        updates = int(self.updates[1])
        values = {"gradient norm": self.norm.item() / updates} if updates else {}
        noise = self.noise.item()
        if noise == noise:  # not NaN
            values["gradient noise"] = noise
        self.norm.zero_()
        self.updates[1] = 0
        return values
