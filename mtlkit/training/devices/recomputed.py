"""Activation checkpointing: recompute the backbone's activations instead of keeping them.

Paper: Tianqi Chen, Bing Xu, Chiyuan Zhang and Carlos Guestrin, "Training Deep Nets with Sublinear
Memory Cost", arXiv:1604.06174, 2016.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mtlkit.backbones.base import BackboneModule
from mtlkit.errors import AssemblyError
from mtlkit.model import MultiTaskModel

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def recompute_activations(model: MultiTaskModel) -> None:
    """Recompute the activations of each block of the backbones of `model` in the backward pass.

    Only the inputs of blocks are kept. Random numbers and statistics of batch norm are those of one
    forward pass; timm's `set_grad_checkpointing` updates the statistics twice. A block is a member
    of a list or a sequence that has two layers with weights or more; a sequence of single layers is
    divided into parts. A backbone without any is one block.
    """
    for backbone in [m for m in model.router.modules() if isinstance(m, BackboneModule)]:
        blocks = list(_blocks(backbone))
        sequences = list(_sequences(backbone, blocks))
        for sequence in sequences:
            _replace(sequence, _in_parts, sequence)
        for block in blocks if blocks or sequences else [backbone]:
            _replace(block, _recomputed, block, block.forward)


def _replace(module: nn.Module, forward: Callable[..., Any], *arguments: Any) -> None:
    if "forward" not in vars(module):  # else it is recomputed already
        module.forward = partial(forward, *arguments)  # copied with the module by deepcopy


def _recomputed(module: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return `forward(*args, **kwargs)`; the backward pass computes its activations again."""
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
    versions = [value._version for value in tensors]
    result = checkpoint(
        forward,
        *args,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), RestoredBuffers(module)),
        **kwargs,
    )
    if versions != [value._version for value in tensors]:
        raise AssemblyError(
            f"train.checkpoint_activations: {type(module).__name__} changes its input in place, "
            f"from which it could not be recomputed; use `checkpoint_activations: false`"
        )
    return result


def _in_parts(sequence: nn.Sequential, inputs: Tensor) -> Any:
    """Apply a sequence in about as many parts as each has layers with weights."""
    layers = list(sequence)
    # only a layer with weights starts a part: others may change their input in place
    starts = [number for number, layer in enumerate(layers) if _weights(layer)]
    starts = starts[:: math.isqrt(len(starts) - 1) + 1]
    for layer in layers[: starts[0]]:
        inputs = layer(inputs)
    for start, end in zip(starts, [*starts[1:], len(layers)], strict=True):
        part = nn.Sequential(*layers[start:end])
        inputs = _recomputed(part, part.forward, inputs)
    return inputs


def _weights(module: nn.Module) -> int:
    """Return the number of layers with a weight in `module`."""
    return sum(
        any(p.dim() > 1 for p in layer.parameters(recurse=False)) for layer in module.modules()
    )


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the innermost members of containers that have several layers with weights."""
    for child in module.children():
        inner = list(_blocks(child))
        if inner:
            yield from inner
        elif isinstance(module, CONTAINERS) and _weights(child) > 1:
            yield child


def _sequences(module: nn.Module, blocks: Sequence[nn.Module]) -> Iterator[nn.Sequential]:
    """Yield the sequences outside of `blocks` whose members are single layers."""
    for child in module.children():
        if any(child is block for block in blocks):
            continue
        inner = list(_sequences(child, blocks))
        single = isinstance(child, nn.Sequential) and not any(_weights(m) > 1 for m in child)
        if single and _weights(child) > 1:
            yield child  # type: ignore[misc]
        else:
            yield from inner


class RestoredBuffers:
    """A context in which buffers of modules are copies; the originals are restored on exit.

    They are replaced, not written to, since a graph that is alive may hold the originals. It may be
    entered again.
    """

    def __init__(self, *modules: nn.Module) -> None:
        self.modules = list(dict.fromkeys(part for m in modules for part in m.modules()))
        self.kept: list[list[dict[str, Tensor]]] = []

    def __enter__(self) -> None:
        self.kept.append([dict(part.named_buffers(recurse=False)) for part in self.modules])
        for part, buffers in zip(self.modules, self.kept[-1], strict=True):
            for name, buffer in buffers.items():
                setattr(part, name, buffer.clone())

    def __exit__(self, *_: object) -> None:
        for part, buffers in zip(self.modules, self.kept.pop(), strict=True):
            for name, buffer in buffers.items():
                setattr(part, name, buffer)
