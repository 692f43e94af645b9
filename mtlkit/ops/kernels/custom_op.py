"""A function that computes its own derivative: one node of a traced graph, and quick outside of it.

A graph needs an operator of torch's library, with a schema and fake results. Called eagerly such an
operator costs about 0.1 ms more than the function it holds, which at small sizes is more than the
work. Outside of graphs the same functions are therefore called by themselves.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = frozenset({Tensor, nn.Parameter})

Save = Callable[[Any, tuple[Any, ...], Any], None]
Backward = Callable[..., tuple[Any, ...]]


class CustomOp:
    """A function of tensors, of lists of tensors and of numbers, as an operator.

    `function` is what it holds, and `op` the operator in torch's library, ``mtlkit::name``. It is
    pure, but for the arguments that it `changes`.
    """

    def __init__(self, name: str, function: Callable[..., Any], changes: Sequence[str]) -> None:
        self.function = function
        self.op = torch.library.custom_op(f"mtlkit::{name}", function, mutates_args=changes)
        self._direct: type[torch.autograd.Function] | None = None
        self.__doc__ = function.__doc__

    def register_fake(self, fake: Callable[..., Any]) -> Callable[..., Any]:
        """Say what the results look like; a decorator."""
        self.op.register_fake(fake)
        return fake

    def register_autograd(self, save: Save, backward: Backward) -> None:
        """Let it be differentiated, once.

        `save` keeps what `backward` needs, as torch's `setup_context` does. Neither may look at
        `ctx.needs_input_grad`, which has another shape where arguments are lists. What `backward`
        makes must not be differentiable in part: a node without a derivative makes it, or the
        inputs are `differentiable_once`.
        """
        self.op.register_autograd(backward, setup_context=save)
        self._direct = _function_of(self.function, save, backward)

    def __call__(self, *inputs: Any) -> Any:
        if torch.compiler.is_compiling():
            return self.op(*inputs)
        flat, sizes = _flattened(inputs)
        if not _plain(flat):
            return self.op(*inputs)
        wanted = any(isinstance(each, Tensor) and each.requires_grad for each in flat)
        if not (wanted and torch.is_grad_enabled()):
            return self.function(*inputs)
        if self._direct is None:
            return self.op(*inputs)  # whose results say that they have no derivative
        found: Any = self._direct.apply(sizes, *flat)
        return found


def custom_op(
    name: str, *, changes: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], CustomOp]:
    """Make a `CustomOp` of a function; a decorator."""

    def made(function: Callable[..., Any]) -> CustomOp:
        return CustomOp(name, function, changes)

    return made


def _plain(flat: Sequence[Any]) -> bool:
    """Whether nothing watches or stands for the tensors, which would want to see an operator."""
    return (
        torch._C._len_torch_dispatch_stack() == 0
        and not torch._C._are_functorch_transforms_active()
        and all(
            type(each) in PLAIN and not each.is_meta for each in flat if isinstance(each, Tensor)
        )
    )


Sizes = tuple[int | None, ...]
"""How long each argument that is a list is; None for one that is no list."""


def _flattened(arguments: Sequence[Any]) -> tuple[list[Any], Sizes]:
    """The arguments with those of lists in their place: autograd sees no tensor in a list."""
    flat: list[Any] = []
    for each in arguments:
        if isinstance(each, list):
            flat.extend(each)
        else:
            flat.append(each)
    return flat, tuple(len(each) if isinstance(each, list) else None for each in arguments)


def _nested(flat: Sequence[Any], sizes: Sizes) -> tuple[Any, ...]:
    """The arguments as they were."""
    found: list[Any] = []
    start = 0
    for size in sizes:
        found.append(flat[start] if size is None else list(flat[start : start + size]))
        start += 1 if size is None else size
    return tuple(found)


def _function_of(
    function: Callable[..., Any], save: Save, backward: Backward
) -> type[torch.autograd.Function]:
    """The function of autograd that takes the flattened arguments behind their sizes."""
    gives_list = inspect.signature(function).return_annotation == list[Tensor]

    # without `setup_context`, for which torch looks at the signature again in every call
    def forward(ctx: Any, sizes: Sizes, *flat: Any) -> Any:
        inputs = _nested(flat, sizes)
        found = function(*inputs)
        ctx.sizes = sizes
        save(ctx, inputs, found)
        return tuple(found) if gives_list else found

    def backward_flat(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        found = backward(ctx, list(gradients)) if gives_list else backward(ctx, *gradients)
        flat: list[Any] = [None]  # the sizes have none
        for each, size in zip(found, ctx.sizes, strict=True):
            if size is None:
                flat.append(each)
            else:
                flat.extend([None] * size if each is None else each)
        return tuple(flat)

    # the name is what a profile and an error of the backward pass show
    body = {"forward": staticmethod(forward), "backward": staticmethod(backward_flat)}
    return type(function.__name__, (torch.autograd.Function,), body)
