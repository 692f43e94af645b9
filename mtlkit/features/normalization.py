"""The normalization of raw inputs, a part of the network."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtlkit.features.inputs import Batch, InputSpec, InputSpecs

FLAT = 1e-3
"""Smallest standard deviation by which a sample is divided."""


class InputNormalization(nn.Module):
    """Maps raw inputs to (input - mean) / std, and standardizes them, by the spec of each input.

    A sample with a standard deviation below 0.001 after (input - mean) / std, an eighth of a gray
    level in 8-bit images, is divided by 0.001. Ids, masks and other inputs without a mean stay as
    they are. Images are returned in channels-last memory, in which convolutions are faster.

    >>> spec = InputSpec(shape=(2,), mean=(1.0, 2.0), std=(1.0, 4.0))
    >>> InputNormalization(spec)(torch.tensor([[1.0, 4.0]]))
    tensor([[0.0000, 0.5000]])
    """

    def __init__(self, inputs: InputSpecs) -> None:
        super().__init__()
        self.specs = inputs if isinstance(inputs, Mapping) else {"": inputs}
        for name, spec in self.specs.items():
            self.register_buffer(f"mean_{name}", _per_channel(spec.mean, spec), persistent=False)
            self.register_buffer(f"std_{name}", _per_channel(spec.std, spec), persistent=False)

    def forward(self, inputs: Batch) -> Batch:
        if isinstance(inputs, Tensor):
            return self._normalized("", inputs)
        return {name: self._normalized(name, inputs[name]) for name in self.specs}

    def _normalized(self, name: str, values: Tensor) -> Tensor:
        if not self.specs[name].mean:
            return values
        mean, std = self.get_buffer(f"mean_{name}"), self.get_buffer(f"std_{name}")
        normalized = (values.float() - mean) / std
        if self.specs[name].standardize:
            normalized = _standardized(normalized)
        if normalized.dim() == 4:
            normalized = normalized.contiguous(memory_format=torch.channels_last)
        return normalized


def _standardized(values: Tensor) -> Tensor:
    """Return samples (N, ...) with mean 0 and standard deviation 1 each."""
    axes = tuple(range(1, values.dim()))
    centered = values - values.mean(dim=axes, keepdim=True)
    variance = centered.square().mean(dim=axes, keepdim=True)
    # clamped before the root, whose gradient at 0 is infinite
    return centered / variance.clamp(min=FLAT**2).sqrt()


def _per_channel(values: tuple[float, ...], spec: InputSpec) -> Tensor:
    """Return `values` in a shape that is broadcast over batches of inputs."""
    if len(values) <= 1:
        return torch.tensor(values[0] if values else 0.0)
    return torch.tensor(values).reshape(-1, *[1] * (len(spec.shape) - 1))
