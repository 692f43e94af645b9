"""The description of inputs, and functions of inputs that are one tensor or several by name."""

from collections.abc import Callable, Mapping

import attrs
from torch import Tensor

from mtlkit.component import at_least, each, optional
from mtlkit.errors import AssemblyError, DataError

Batch = Tensor | Mapping[str, Tensor]
"""The inputs of a batch: a tensor (N, ...), or several by name."""


@attrs.frozen(kw_only=True)
class InputSpec:
    """Shape and type of an input of one sample, and its normalization.

    `shape` is that of a sample, without the batch dimension; if samples have different sizes, it
    holds the largest. Inputs are normalized to (input - `mean`) / `std`, with one number or one
    for each channel, the first dimension of `shape`. With `standardize`, each sample is then
    shifted and scaled to mean 0 and standard deviation 1 over all its values. Inputs without a
    `mean`, such as a mask, and ids below `vocabulary` are not normalized.

    >>> InputSpec(shape=(3, 8, 8), mean=(127.5,), std=(128.0,)).is_image
    True
    """

    shape: tuple[int, ...] = attrs.field(validator=each(at_least(0)))
    dtype: str = "float32"  # the name in torch
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = (1.0,)
    standardize: bool = False
    vocabulary: int | None = attrs.field(default=None, validator=optional(at_least(1)))

    def __attrs_post_init__(self) -> None:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) > 1 and (not self.shape or len(values) != self.shape[0]):
                raise DataError(
                    f"inputs: got {len(values)} values of `{name}` for samples of shape "
                    f"{self.shape}, expected one, or one for each channel"
                )
        if self.mean and self.vocabulary is not None:
            raise DataError("inputs: got a `mean` of ids of a vocabulary; remove it")
        if self.standardize and not self.mean:
            raise DataError("inputs: got `standardize` without a `mean`; state a mean, such as 0")
        if self.standardize and not self.shape:
            raise DataError("inputs: got `standardize` of samples of one number; leave it out")
        if not all(value > 0 for value in self.std):
            raise DataError(f"inputs: got std {self.std}, expected numbers above 0")

    @property
    def is_image(self) -> bool:
        """Return True if a sample has the dimensions (C, H, W)."""
        return len(self.shape) == 3


InputSpecs = InputSpec | Mapping[str, InputSpec]
"""The spec of inputs: of the tensor, or of each tensor by name."""


def single_input(inputs: Batch) -> Tensor:
    """Return the inputs (N, ...) of a batch; raise `DataError` if they are several by name."""
    if isinstance(inputs, Tensor):
        return inputs
    raise DataError(f"got the inputs {', '.join(inputs)}, expected one tensor for each sample")


def map_batch(function: Callable[[Tensor], Tensor], inputs: Batch) -> Batch:
    """Return `inputs` with `function` applied to the tensor, or to each one."""
    if isinstance(inputs, Tensor):
        return function(inputs)
    return {name: function(values) for name, values in inputs.items()}


def one_input(inputs: InputSpecs, backbone: str) -> InputSpec:
    """Return the spec of inputs that are one tensor; `AssemblyError` names the `backbone`."""
    if isinstance(inputs, InputSpec):
        return inputs
    raise AssemblyError(
        f"{backbone}: got inputs of several tensors ({', '.join(inputs)}), expected one tensor; "
        f"use a backbone that reads them by name"
    )


def image_input(inputs: InputSpecs, backbone: str, smallest: int = 1) -> InputSpec:
    """Return the spec of images with sides of at least `smallest` pixels, else `AssemblyError`."""
    spec = one_input(inputs, backbone)
    if not spec.is_image or min(spec.shape[1:]) < smallest:
        size = f" of at least {smallest} pixels a side" if smallest > 1 else ""
        raise AssemblyError(
            f"{backbone} expects images (C, H, W){size}, got samples of shape {spec.shape}"
        )
    return spec


def described_inputs(inputs: InputSpecs) -> str:
    """Return the shape, type and normalization of each input in words."""
    specs = {"": inputs} if isinstance(inputs, InputSpec) else inputs
    return ", ".join(
        f"{name} of shape {spec.shape} in {spec.dtype}".strip()
        + (f", normalized by {_values(spec.mean)}, {_values(spec.std)}" if spec.mean else "")
        + (", each sample standardized" if spec.standardize else "")
        + (f", of {spec.vocabulary} ids" if spec.vocabulary is not None else "")
        for name, spec in specs.items()
    )


def _values(values: tuple[float, ...]) -> str:
    return str(values[0]) if len(values) == 1 else str(values)
