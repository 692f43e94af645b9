"""The families of ops and of their implementations, and the built-in ops.

A plugin may bring another implementation of any op, or an op of its own. What is installed must not
change what a run computes: a plugin's implementation runs where it is asked for, and nowhere else.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from mtlkit.component import Component, Rule, Validator
from mtlkit.errors import MtlkitError, did_you_mean
from mtlkit.ops.dispatch.names import AUTO, OF_HEADS
from mtlkit.ops.dispatch.plugin_ops import implementation_class, known_op, op_called

if TYPE_CHECKING:
    import torch

    from mtlkit.ops.dispatch.implementation import Implementation, Op
    from mtlkit.ops.trials import Trial


@attrs.frozen(kw_only=True)
class HeadOp(Component):
    """What heads compute: a written definition, and implementations of it.

    The op has the name under which it is registered.
    """

    @abstractmethod
    def build(self) -> "Op":
        """The op; its first implementation is the definition."""

    @abstractmethod
    def trials(self, rows: int, generator: "torch.Generator") -> "Mapping[str, Trial]":
        """Calls with `rows` samples that try every option, drawn from `generator`, by name."""


@attrs.frozen(kw_only=True)
class OpImplementation(Component):
    """One more way to compute an op that exists, called by the name it is registered under.

    Its options are the defaults: it is chosen by its name alone.
    """

    op: ClassVar[str]
    """The name of the op."""

    @abstractmethod
    def build(self) -> "Implementation":
        """How it is run, what it refuses, and what it costs."""


def implementation_for(op: str, *names: str) -> Validator:
    """``auto``, one of mtlkit's own implementations `names` of `op`, or that of a plugin.

    >>> from mtlkit.heads.classification import Classification
    >>> Classification(implementation="stord")
    Traceback (most recent call last):
    ValueError: implementation: expected one of auto, eager, compiled, native, stored, classes, \
triton-logits, triton, or a plugin's such as 'acme/fast'; found 'stord'; did you mean 'stored'?
    """

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        _check_choice(field.name, op, names, value)

    return Rule(check, _choice_schema(names))


def choices_of_ops() -> Validator:
    """A mapping of ops to implementations for heads, as `use` takes it; either may be a plugin's.

    >>> from mtlkit.recipe import Train
    >>> Train(ops={"gate": "joint"})
    Traceback (most recent call last):
    ValueError: ops: gate: expected one of auto, eager, joined, or a plugin's such as 'acme/fast'; \
found 'joint'; did you mean 'joined'?
    """

    def check(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
        for op, name in value.items():
            try:
                known_op(op)
                names = OF_HEADS[op] if op in OF_HEADS else _names_of_a_plugins(op)
            except MtlkitError as cause:
                raise ValueError(f"{field.name}: {cause}") from cause
            _check_choice(f"{field.name}: {op}", op, names, name)

    ops = {op: _choice_schema(names) for op, names in OF_HEADS.items()}
    named = {"anyOf": [{"enum": list(OF_HEADS)}, {"pattern": "/"}]}
    return Rule(check, {"properties": ops, "propertyNames": named})


def _names_of_a_plugins(op: str) -> tuple[str, ...]:
    return tuple(op_called(op).implementations)


def _check_choice(place: str, op: str, names: tuple[str, ...], value: Any) -> None:
    """`ValueError` unless `value` is ``auto``, one of `names`, or a plugin's implementation."""
    if value in (AUTO, *names):
        return
    if not isinstance(value, str) or "/" not in value:
        near = did_you_mean(value, names) if isinstance(value, str) else ""
        raise ValueError(
            f"{place}: expected one of {AUTO}, {', '.join(names)}, or a plugin's such as "
            f"'acme/fast'; found {value!r}{near}"
        )
    try:
        implementation_class(op, value)
    except MtlkitError as cause:
        raise ValueError(f"{place}: {cause}") from cause


def _choice_schema(names: tuple[str, ...]) -> Mapping[str, Any]:
    return {"anyOf": [{"enum": [AUTO, *names]}, {"pattern": "/"}]}


@attrs.frozen(kw_only=True)
class LinearCrossEntropy(HeadOp):
    """The cross-entropy of a linear map, for each row or reduced."""

    def build(self) -> "Op":
        from mtlkit.ops.linear import LINEAR_CROSS_ENTROPY

        return LINEAR_CROSS_ENTROPY

    def trials(self, rows: int, generator: "torch.Generator") -> "Mapping[str, Trial]":
        from mtlkit.ops import trials

        return trials.linear_cross_entropy(rows, generator)


@attrs.frozen(kw_only=True)
class MultiHeadCrossEntropy(HeadOp):
    """The losses of several heads, and a gate."""

    def build(self) -> "Op":
        from mtlkit.ops.multi_head import MULTI_HEAD_CROSS_ENTROPY

        return MULTI_HEAD_CROSS_ENTROPY

    def trials(self, rows: int, generator: "torch.Generator") -> "Mapping[str, Trial]":
        from mtlkit.ops import trials

        return trials.multi_head_cross_entropy(rows, generator)


@attrs.frozen(kw_only=True)
class Gate(HeadOp):
    """The dynamic weights of Yin & Liu (TIP 2018, eq. 7)."""

    def build(self) -> "Op":
        from mtlkit.ops.gating import GATE

        return GATE

    def trials(self, rows: int, generator: "torch.Generator") -> "Mapping[str, Trial]":
        from mtlkit.ops import trials

        return trials.gate(rows, generator)


@attrs.frozen(kw_only=True)
class GroupedLinearCrossEntropy(HeadOp):
    """The cross-entropy of each row by the head of its group."""

    def build(self) -> "Op":
        from mtlkit.ops.grouped import GROUPED_LINEAR_CROSS_ENTROPY

        return GROUPED_LINEAR_CROSS_ENTROPY

    def trials(self, rows: int, generator: "torch.Generator") -> "Mapping[str, Trial]":
        from mtlkit.ops import trials

        return trials.grouped_linear_cross_entropy(rows, generator)


@attrs.frozen(kw_only=True)
class MarginCrossEntropy(HeadOp):
    """ArcFace, CosFace, both, AdaFace: a margin for the target's cosine."""

    def build(self) -> "Op":
        from mtlkit.ops.margin import MARGIN_CROSS_ENTROPY

        return MARGIN_CROSS_ENTROPY

    def trials(self, rows: int, generator: "torch.Generator") -> "Mapping[str, Trial]":
        from mtlkit.ops import trials

        return trials.margin_cross_entropy(rows, generator)


@attrs.frozen(kw_only=True)
class SampledMarginCrossEntropy(HeadOp):
    """A margin against a sample of the classes: Partial FC (An et al. 2022)."""

    def build(self) -> "Op":
        from mtlkit.ops.sampled import SAMPLED_MARGIN_CROSS_ENTROPY

        return SAMPLED_MARGIN_CROSS_ENTROPY

    def trials(self, rows: int, generator: "torch.Generator") -> "Mapping[str, Trial]":
        from mtlkit.ops import trials

        return trials.sampled_margin_cross_entropy(rows, generator)


@attrs.frozen(kw_only=True)
class MatchTemplate(HeadOp):
    """The template of a face (Yin & Liu, TIP 2018, eq. 12)."""

    def build(self) -> "Op":
        from mtlkit.ops.matching import MATCH_TEMPLATE

        return MATCH_TEMPLATE

    def trials(self, rows: int, generator: "torch.Generator") -> "Mapping[str, Trial]":
        from mtlkit.ops import trials

        return trials.match_template(rows, generator)


@attrs.frozen(kw_only=True)
class MatchScores(HeadOp):
    """The best of a gallery, by the dot products of templates."""

    def build(self) -> "Op":
        from mtlkit.ops.matching import MATCH_SCORES

        return MATCH_SCORES

    def trials(self, rows: int, generator: "torch.Generator") -> "Mapping[str, Trial]":
        from mtlkit.ops import trials

        return trials.match_scores(rows, generator)
