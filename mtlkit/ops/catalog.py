"""All ops, by name."""

from mtlkit.ops.dispatch.implementation import Op
from mtlkit.ops.gating import GATE
from mtlkit.ops.grouped import GROUPED_LINEAR_CROSS_ENTROPY
from mtlkit.ops.linear import LINEAR_CROSS_ENTROPY
from mtlkit.ops.margin import MARGIN_CROSS_ENTROPY
from mtlkit.ops.matching import MATCH_SCORES, MATCH_TEMPLATE
from mtlkit.ops.multi_head import MULTI_HEAD_CROSS_ENTROPY
from mtlkit.ops.sampled import SAMPLED_MARGIN_CROSS_ENTROPY

OPS: dict[str, Op] = {
    op.name: op
    for op in (
        LINEAR_CROSS_ENTROPY,
        MULTI_HEAD_CROSS_ENTROPY,
        GATE,
        GROUPED_LINEAR_CROSS_ENTROPY,
        MARGIN_CROSS_ENTROPY,
        SAMPLED_MARGIN_CROSS_ENTROPY,
        MATCH_TEMPLATE,
        MATCH_SCORES,
    )
}
