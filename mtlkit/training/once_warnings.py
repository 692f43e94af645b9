"""Warnings about weights and metrics of a run, each printed once."""

import math
from collections.abc import Mapping

from mtlkit.training.progress import Progress
from mtlkit.training.weight_range import large_weights, weight_warning


class OnceWarnings:
    """Writes each warning to `progress` at its first occasion; training continues."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._written: set[str] = set()  # metrics and weights

    def large_weights(self, weights: Mapping[str, float], step: int) -> None:
        """Warn of the mean weights, by loss, that are large at `step`."""
        large = large_weights(weights)
        new = {name: large[name] for name in large if f"the weight of {name}" not in self._written}
        self._written.update(f"the weight of {name}" for name in new)
        if new:
            self._progress.write(weight_warning(new, step))

    def not_finite(self, metrics: Mapping[str, float], step: int) -> None:
        """Warn of the validation metrics that are not finite after `step`."""
        for name, value in metrics.items():
            if not math.isfinite(value):
                self._write(
                    name,
                    f"warning: {name} on the validation split is {value} after step {step}; the "
                    f"log and the report leave a gap. Training continues, its losses are finite",
                )

    def _write(self, key: str, line: str) -> None:
        if key not in self._written:
            self._written.add(key)
            self._progress.write(line)
