"""A function that computes its own derivative: one node of a traced graph, and fast outside of it.

A graph needs an operator of torch's library, with a schema and fake results. Called eagerly such an
operator costs about 0.1 ms more than the wrapped function, which at small sizes is more than the
work. Outside of graphs the functions are therefore called directly.
"""

import inspect
from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = frozenset({Tensor, nn.Parameter})

Save = Callable[[Any, tuple[Any, ...], Any], None]
Backward = Callable[..., tuple[Any, ...]]


class CustomOp:
    """A function of tensors, of lists of tensors and of numbers, as an operator.

    `function` is the wrapped function, and `op` the operator in torch's library, ``mtlkit::name``.
    It is pure except for the arguments that it `changes`.
    """

    def __init__(self, name: str, function: Callable[..., Any], changes: Sequence[str]) -> None:
        self.function = function
        self.op = torch.library.custom_op(f"mtlkit::{name}", function, mutates_args=changes)
        self._direct: type[torch.autograd.Function] | None = None
        self.__doc__ = function.__doc__

    def register_fake(self, fake: Callable[..., Any]) -> Callable[..., Any]:
        """Register a function that returns fake results; a decorator."""
        self.op.register_fake(fake)
        return fake

    def register_autograd(self, save: Save, backward: Backward) -> None:
        """Register the derivative, which can be computed once.

        `save` saves the tensors that `backward` needs, as torch's `setup_context` does. Neither may
        read `ctx.needs_input_grad`, whose shape differs if arguments are lists. The results of
        `backward` must not be differentiable in part: a node without a derivative computes them, or
        the inputs are `differentiable_once`.
        """
        self.op.register_autograd(backward, setup_context=save)
        self._direct = _function_of(self.function, save, backward)

    def __call__(self, *inputs: Any) -> Any:
        if torch.compiler.is_compiling():
            return self.op(*inputs)
        flat, sizes = _flattened(inputs)
        if not _plain(flat):
            return self.op(*inputs)
        needs_gradient = any(isinstance(value, Tensor) and value.requires_grad for value in flat)
        if not (needs_gradient and torch.is_grad_enabled()):
            return self.function(*inputs)
        if self._direct is None:
            return self.op(*inputs)  # its results are marked as not differentiable
        result: Any = self._direct.apply(sizes, *flat)
        return result


def custom_op(
    name: str, *, changes: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], CustomOp]:
    """Return a decorator that wraps a function in a `CustomOp`."""
    return lambda function: CustomOp(name, function, changes)


def _plain(flat: Sequence[Any]) -> bool:
    """Return whether no mode or subclass intercepts the tensors, which needs an operator."""
    return (
        torch._C._len_torch_dispatch_stack() == 0
        and not torch._C._are_functorch_transforms_active()
        and all(
            type(value) in PLAIN and not value.is_meta
            for value in flat
            if isinstance(value, Tensor)
        )
    )


Sizes = tuple[int | None, ...]
"""Length of each argument that is a list; None for any other argument."""


def _flattened(arguments: Sequence[Any]) -> tuple[list[Any], Sizes]:
    """Return the arguments with lists expanded: autograd ignores tensors in a list."""
    sizes = tuple(len(value) if isinstance(value, list) else None for value in arguments)
    lists = (value if isinstance(value, list) else [value] for value in arguments)
    return [*chain.from_iterable(lists)], sizes


def _nested(flat: Sequence[Any], sizes: Sizes) -> tuple[Any, ...]:
    """Restore the arguments from the flattened ones and their sizes."""
    rest = iter(flat)
    return tuple(next(rest) if size is None else list(islice(rest, size)) for size in sizes)


def _function_of(
    function: Callable[..., Any], save: Save, backward: Backward
) -> type[torch.autograd.Function]:
    """Return the autograd function that takes sizes, then the flattened arguments."""
    gives_list = inspect.signature(function).return_annotation == list[Tensor]

    # without `setup_context`, for which torch inspects the signature in every call
    def forward(ctx: Any, sizes: Sizes, *flat: Any) -> Any:
        inputs = _nested(flat, sizes)
        output = function(*inputs)
        ctx.sizes = sizes
        save(ctx, inputs, output)
        return tuple(output) if gives_list else output

    def backward_flat(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        input_gradients = (
            backward(ctx, list(gradients)) if gives_list else backward(ctx, *gradients)
        )
        flat: list[Any] = [None]  # the sizes have no gradient
        for gradient, size in zip(input_gradients, ctx.sizes, strict=True):
            if size is None:
                flat.append(gradient)
            else:
                flat.extend([None] * size if gradient is None else gradient)
        return tuple(flat)

    # profiles and errors of the backward pass show this name
    body = {"forward": staticmethod(forward), "backward": staticmethod(backward_flat)}
    return type(function.__name__, (torch.autograd.Function,), body)
