"""Loss scaling: differentiate losses times a factor, so that gradients in float16 do not vanish."""

from collections.abc import Sequence

from torch import Tensor


def scaled(values: Tensor, scale: Tensor | None) -> Tensor:
    """Return `values` times the loss scale, if there is one."""
    return values if scale is None else values * scale


def unscaled(gradients: Sequence[Tensor | None], scale: Tensor | None) -> Sequence[Tensor | None]:
    """Return gradients of scaled losses in float32, divided by the scale, if there is one."""
    if scale is None:
        return gradients
    return [None if gradient is None else gradient.float() / scale for gradient in gradients]
