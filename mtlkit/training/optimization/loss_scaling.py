"""The loss scale of fp16 training.

Paper: Paulius Micikevicius et al., "Mixed Precision Training", ICLR 2018, section 3.2.
"""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim import Optimizer

from mtlkit.errors import NotFiniteError

SMALLEST = 2.0**-14
"""The scale below which overflows do not come from the scale; the smallest normal float16."""


class LossScaling:
    """The scale of the losses: halved if gradients overflow, doubled after 2,000 updates.

    Wraps `torch.amp.GradScaler`, and counts the `skipped` updates.
    """

    def __init__(self, device: torch.device) -> None:
        self._scaler = torch.amp.GradScaler(device.type)
        self._one = torch.ones((), device=device)
        self.skipped = 0

    @property
    def scale(self) -> Tensor:
        """The factor of the losses in the next update, on the device."""
        scale: Tensor = self._scaler.scale(self._one)
        return scale

    def step(self, step: int, optimizer: Optimizer, take: Callable[[], None]) -> bool:
        """Divide the gradients by the scale and call `take` unless they overflow; adapt the scale.

        Returns whether `take` was called. Raises `NotFiniteError` in update `step` (from 1) if the
        gradients are not finite for any scale.
        """

        def taken() -> bool:
            take()
            return True

        # the scaler reads only the groups and the step of an optimizer, and returns its result
        wrapped = SimpleNamespace(param_groups=optimizer.param_groups, step=taken)
        success = bool(self._scaler.step(cast(Optimizer, wrapped)))
        self._scaler.update()
        if not success:
            self.skipped += 1
            if self._scaler.get_scale() < SMALLEST:
                raise NotFiniteError(
                    f"step {step}: the gradients are not finite in float16, though the losses "
                    f"are, even with a loss scale of {self._scaler.get_scale():.1e}. The last "
                    f"checkpoint is kept; use `precision: bf16` or `fp32`",
                    step=step,
                )
        return success

    def log_values(self) -> dict[str, float]:
        """Return the scale and the number of skipped updates so far, by name."""
        return {"loss scale": self._scaler.get_scale(), "skipped updates": float(self.skipped)}

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {"scaler": self._scaler.state_dict(), "skipped": self.skipped}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`."""
        self._scaler.load_state_dict(dict(state["scaler"]))
        self.skipped = state["skipped"]
