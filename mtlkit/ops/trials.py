"""Small calls of each op that try its options: by them implementations are held to the definition.

Numbers are drawn in float64, so that the definition can be asked for the truth.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtlkit.ops import gating, grouped, linear, margin, matching, multi_head, sampled

FEATURES, CLASSES = 6, 11


class Trial(NamedTuple):
    """One way to call an op.

    `call` takes the name of an implementation and the `inputs`, floating tensors that may be
    differentiated, and gives one floating tensor. `missing` (N,) says which rows of the first input
    are without a label, and so must count for nothing.
    """

    inputs: tuple[Tensor, ...]
    call: Callable[..., Tensor]
    missing: Tensor | None = None


class Draw:
    """Random inputs and labels from one generator."""

    def __init__(self, rows: int, generator: torch.Generator) -> None:
        self.rows, self.generator = rows, generator

    def numbers(self, *size: int) -> Tensor:
        """Normal numbers in float64."""
        return torch.randn(*size, generator=self.generator, dtype=torch.float64)

    def labels(self, classes: int, missing: int = -100) -> Tensor:
        """Labels (N,) below `classes`, of which every third is missing."""
        found = torch.randint(classes, (self.rows,), generator=self.generator)
        found[1::3] = missing
        return found


def linear_cross_entropy(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """Each reduction, with and without bias, class weights, smoothing and scale."""
    draw = Draw(rows, generator)
    x, weight, bias = draw.numbers(rows, FEATURES), *_map(draw, CLASSES)
    target, class_weight = draw.labels(CLASSES), draw.numbers(CLASSES).abs() + 0.1
    found = {}
    for name, inputs, options in (
        ("none", (x, weight, bias), {"reduction": "none"}),
        ("sum", (x, weight, bias), {"reduction": "sum"}),
        ("mean", (x, weight, bias), {"empty": "zero"}),
        ("without bias", (x, weight), {"reduction": "none"}),
        ("scaled", (x, weight, bias), {"reduction": "none", "logit_scale": 2.5}),
        ("smooth", (x, weight, bias), {"reduction": "none", "label_smoothing": 0.2}),
        ("smooth mean", (x, weight, bias), {"label_smoothing": 0.2, "empty": "zero"}),
        ("weighted", (x, weight, bias), {"class_weight": class_weight, "empty": "zero"}),
    ):
        call = partial(_linear, target, options)
        found[name] = Trial(inputs, call, target == -100)
    return found


def _linear(
    target: Tensor, options: Mapping[str, Any], name: str, x: Tensor, weight: Tensor, *bias: Tensor
) -> Tensor:
    return linear.linear_cross_entropy(x, weight, target, *bias, implementation=name, **options)


def multi_head_cross_entropy(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """Three heads of different sizes and a gate; losses and shares in one vector."""
    draw = Draw(rows, generator)
    heads = [each for size in (2, 7, CLASSES) for each in _map(draw, size)]
    targets = [draw.labels(size) for size in (2, 7, CLASSES)]
    inputs = (draw.numbers(rows, FEATURES), *heads, *_map(draw, 4))

    def call(options: Mapping[str, Any], name: str, x: Tensor, *parts: Tensor) -> Tensor:
        found = multi_head.multi_head_cross_entropy(
            x, parts[0:6:2], targets, parts[1:6:2], gate=(parts[6], parts[7]), implementation=name,
            **options,
        )  # fmt: skip
        assert found.gate is not None
        return torch.cat([found.losses.flatten(), found.gate.flatten()])

    return {
        "none": Trial(inputs, partial(call, {"reduction": "none"})),
        "sum": Trial(inputs, partial(call, {"reduction": "sum"})),
        "smooth": Trial(inputs, partial(call, {"reduction": "none", "label_smoothing": 0.2})),
    }


def gate(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """The shares of each row, and their sum."""
    draw = Draw(rows, generator)
    inputs = (draw.numbers(rows, FEATURES), *_map(draw, 4))

    def call(reduction: str, name: str, *inputs: Tensor) -> Tensor:
        return gating.gate(*inputs, reduction=reduction, implementation=name)

    return {
        "none": Trial(inputs, partial(call, "none")),
        "sum": Trial(inputs, partial(call, "sum")),
        "without bias": Trial(inputs[:2], partial(call, "none")),
    }


def grouped_linear_cross_entropy(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """Three groups, of which the last has no row, with as many classes each and with different."""
    draw = Draw(rows, generator)
    x, target = draw.numbers(rows, FEATURES), draw.labels(3)
    group = torch.randint(-1, 2, (rows,), generator=generator)

    def call(options: Mapping[str, Any], name: str, x: Tensor, *parts: Tensor) -> Tensor:
        return grouped.grouped_linear_cross_entropy(
            x, parts[::2], target, group, parts[1::2], implementation=name, **options
        )

    equal = (x, *(each for _ in range(3) for each in _map(draw, 8)))
    ragged = (x, *(each for size in (3, 5, 9) for each in _map(draw, size)))
    missing = (target == -100) | (group == -1)
    return {
        "none": Trial(equal, partial(call, {"reduction": "none"}), missing),
        "mean": Trial(equal, partial(call, {}), missing),
        "mean of groups": Trial(equal, partial(call, {"mean_of_groups": True}), missing),
        "ragged": Trial(ragged, partial(call, {"label_smoothing": 0.1}), missing),
    }


def margin_cross_entropy(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """The margins of ArcFace, CosFace and both, with each reduction."""
    return _margins(rows, generator, margin.margin_cross_entropy)


def sampled_margin_cross_entropy(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """As `margin_cross_entropy`, against a sample of all classes: the only one without chance."""

    def sampled_loss(x: Tensor, weight: Tensor, target: Tensor, **options: Any) -> Tensor:
        return sampled.sampled_margin_cross_entropy(x, weight, target, len(weight), **options).loss

    return _margins(rows, generator, sampled_loss)


def _margins(
    rows: int, generator: torch.Generator, function: Callable[..., Tensor]
) -> Mapping[str, Trial]:
    draw, classes = Draw(rows, generator), CLASSES + rows
    inputs, target = (draw.numbers(rows, FEATURES), draw.numbers(classes, FEATURES)), draw.labels(3)

    def call(options: Mapping[str, Any], name: str, x: Tensor, weight: Tensor) -> Tensor:
        return function(x, weight, target, scale=8.0, implementation=name, **options)

    kinds: Mapping[str, Mapping[str, Any]] = {
        "none": {"reduction": "none"},
        "sum": {"reduction": "sum"},
        "additive": {"reduction": "none", "angle": 0.0, "additive": 0.35},
        "easy": {"reduction": "none", "easy_margin": True},
        "multiplied": {"reduction": "none", "multiplier": 1.2},
    }
    return {
        name: Trial(inputs, partial(call, options), target == -100)
        for name, options in kinds.items()
    }


def match_template(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """Two branches, weighted."""
    draw = Draw(rows, generator)
    inputs = (
        draw.numbers(rows, CLASSES), draw.numbers(rows, 2, CLASSES), draw.numbers(rows, 2).abs(),
    )  # fmt: skip

    def call(name: str, *inputs: Tensor) -> Tensor:
        return matching.match_template(*inputs, implementation=name)

    return {"templates": Trial(inputs, call)}


def match_scores(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """The best of a gallery, one and several; nothing flows back through a choice of places."""
    draw = Draw(rows, generator)
    inputs = (draw.numbers(rows, FEATURES), draw.numbers(2 * CLASSES, FEATURES))

    def call(most: int, name: str, probes: Tensor, gallery: Tensor) -> Tensor:
        return matching.best_matches(probes, gallery, most, implementation=name).scores

    return {f"best {most}": Trial(inputs, partial(call, most)) for most in (1, 5)}


def _map(draw: Draw, classes: int) -> Iterator[Tensor]:
    """The weight and the bias of a linear map."""
    yield draw.numbers(classes, FEATURES)
    yield draw.numbers(classes)
