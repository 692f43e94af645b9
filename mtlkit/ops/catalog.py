"""All ops, by name."""

from mtlkit.ops.implementation import Op
from mtlkit.ops.linear import LINEAR_CROSS_ENTROPY

OPS: dict[str, Op] = {op.name: op for op in (LINEAR_CROSS_ENTROPY,)}
