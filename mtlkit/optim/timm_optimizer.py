"""The optimizers of timm, by name."""

from collections.abc import Mapping
from typing import Any

import attrs
import torch

from mtlkit.component import above
from mtlkit.errors import AssemblyError, did_you_mean
from mtlkit.optim.base import Optimizer, ParameterGroups

OptionValue = bool | int | float | str | tuple[float, ...]


@attrs.frozen(kw_only=True)
class TimmOptimizer(Optimizer):
    """An optimizer of timm by its name, such as ``lion``, ``lamb``, ``adan`` or ``muon``.

    `options` are its keyword arguments, such as ``{betas: [0.95, 0.98]}``. Its own learning rate
    and weight decay are those of this component. A resumed run ends with the same bits, except with
    ``kron``, whose state timm does not keep completely.
    """

    name: str = "lion"
    lr: float = attrs.field(default=1e-4, validator=above(0))
    options: Mapping[str, OptionValue] = attrs.field(factory=dict)

    def build(self, groups: ParameterGroups) -> "torch.optim.Optimizer":
        from timm.optim._optim_factory import create_optimizer_v2, list_optimizers

        known = [str(name) for name in list_optimizers()]
        if self.name not in known:
            hint = did_you_mean(self.name, known) or f"; timm has {', '.join(known)}"
            raise AssemblyError(f"optimizer.name: timm has no optimizer {self.name!r}{hint}")
        options: Mapping[str, Any] = self.options
        try:
            optimizer: torch.optim.Optimizer = create_optimizer_v2(
                list(groups), opt=self.name, lr=self.lr, weight_decay=0.0, **options
            )
        except (TypeError, ValueError, AssertionError, ImportError, RuntimeError) as cause:
            raise AssemblyError(
                f"optimizer: timm cannot build {self.name!r} with {dict(self.options)!r}: {cause}; "
                f"correct `options`, or choose another name"
            ) from cause
        if getattr(optimizer, "is_second_order", False):
            raise AssemblyError(
                f"optimizer.name: got {self.name!r}, which needs second derivatives, expected an "
                f"optimizer that reads gradients only, such as 'lion' or 'adan'"
            )
        return optimizer
