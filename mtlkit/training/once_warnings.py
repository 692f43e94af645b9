"""Warnings about weights and metrics of a run, each printed once."""

import math
from collections.abc import Mapping, MutableSet

from mtlkit.training.progress import Progress

LARGEST_WEIGHT = 100.0
"""Largest size of a weight without a warning: the loss trains at 100 times the learning rate."""


def weight_warning(weights: Mapping[str, float], step: int, warned: MutableSet[str]) -> str | None:
    """Return one warning for the mean `weights`, by loss, that are large at `step`; None for none.

    It names the largest. Losses in `warned` were warned of already; those that are now are added.

    >>> weight_warning({"age": 300.0, "size": 30.0, "pose": -400.0}, 7, warned=set())[:65]
    'warning: step 7: the mean weight of pose is -400 (and 1 more loss'
    """
    new = [n for n, value in weights.items() if abs(value) > LARGEST_WEIGHT and n not in warned]
    if not new:
        return None
    warned |= set(new)
    name = max(new, key=lambda name: abs(weights[name]))
    others = len(new) - 1
    more = f" (and {others} more {'loss' if others == 1 else 'losses'})" if others else ""
    return (
        f"warning: step {step}: the mean weight of {name} is {weights[name]:.4g}{more}, expected "
        f"-100 to 100; its loss trains at that multiple of the learning rate. Lower the learning "
        f"rate, bound the weights by an option of the weighting (such as `largest_mean` of "
        f"`nash-mtl`), or choose another weighting"
    )


class OnceWarnings:
    """Writes each warning to `progress` at its first occasion; training continues."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._losses: set[str] = set()  # with a warning of their weight
        self._metrics: set[str] = set()

    def large_weights(self, weights: Mapping[str, float], step: int) -> None:
        """Warn of the mean weights, by loss, that are large at `step`."""
        line = weight_warning(weights, step, self._losses)
        if line is not None:
            self._progress.write(line)

    def not_finite(self, metrics: Mapping[str, float], step: int) -> None:
        """Warn of the validation metrics that are not finite after `step`."""
        for name, value in metrics.items():
            if not math.isfinite(value) and name not in self._metrics:
                self._metrics.add(name)
                self._progress.write(
                    f"warning: {name} on the validation split is {value} after step {step}; the "
                    f"log and the report leave a gap. Training continues, its losses are finite"
                )
