"""All ops, by name."""

from mtlkit.ops.gating import GATE
from mtlkit.ops.implementation import Op
from mtlkit.ops.linear import LINEAR_CROSS_ENTROPY
from mtlkit.ops.multi_head import MULTI_HEAD_CROSS_ENTROPY

OPS: dict[str, Op] = {op.name: op for op in (LINEAR_CROSS_ENTROPY, MULTI_HEAD_CROSS_ENTROPY, GATE)}
