"""The built-in ops, one line each: where an op is declared, and its summary.

Nothing here imports torch: `mtlkit list` shows the ops by this table alone.
"""

BUILTIN_OPS: dict[str, tuple[str, str]] = {
    "linear_cross_entropy": (
        "mtlkit.ops.linear:LINEAR_CROSS_ENTROPY",
        "the cross-entropy of a linear map",
    ),
    "multi_head_cross_entropy": (
        "mtlkit.ops.multi_head:MULTI_HEAD_CROSS_ENTROPY",
        "the cross-entropies of several heads, their gradients, and a gate",
    ),
    "gate": ("mtlkit.ops.gating:GATE", "task weights by a softmax over the features"),
    "grouped_linear_cross_entropy": (
        "mtlkit.ops.grouped:GROUPED_LINEAR_CROSS_ENTROPY",
        "the cross-entropy of each row by the linear head of its group",
    ),
    "margin_cross_entropy": (
        "mtlkit.ops.margin:MARGIN_CROSS_ENTROPY",
        "the cross-entropy of cosines with a margin for the target",
    ),
    "sampled_margin_cross_entropy": (
        "mtlkit.ops.sampled:SAMPLED_MARGIN_CROSS_ENTROPY",
        "the margin cross-entropy against sampled classes (Partial FC)",
    ),
    "cosine_negatives": (
        "mtlkit.ops.cosine:COSINE_NEGATIVES",
        "the target's logit and the log-sum-exp of its negatives, for classes on several processes",
    ),
    "match_template": (
        "mtlkit.ops.matching:MATCH_TEMPLATE",
        "templates whose dot products are the scores of Yin & Liu, eq. 12",
    ),
    "match_scores": (
        "mtlkit.ops.matching:MATCH_SCORES",
        "the best gallery templates of every probe",
    ),
}
