"""Which implementations each op has, by name: what a recipe may choose, without importing torch."""

AUTO = "auto"
"""Let the cost model decide."""

IMPLEMENTATIONS: dict[str, tuple[str, ...]] = {
    "linear_cross_entropy": (
        "eager", "compiled", "native", "rows", "stored", "classes", "triton-logits", "triton",
    ),
    "multi_head_cross_entropy": ("eager", "joined", "triton"),
    "gate": ("eager", "joined"),
    "grouped_linear_cross_entropy": ("eager", "sorted", "joined", "grouped_mm"),
    "margin_cross_entropy": (
        "eager", "compiled", "stored", "classes", "triton-logits", "triton",
    ),
    "sampled_margin_cross_entropy": (
        "eager", "compiled", "stored", "classes", "triton-logits", "triton",
    ),
    "match_template": ("eager", "lengths"),
    "match_scores": ("eager", "tiled"),
}  # fmt: skip
"""The implementations of each op; the first is its definition."""

PER_SAMPLE = tuple(name for name in IMPLEMENTATIONS["linear_cross_entropy"] if name != "rows")
"""Those of the linear cross-entropy that give a loss for each sample, which heads must."""

OF_MARGINS = IMPLEMENTATIONS["margin_cross_entropy"]
"""Those of the margin cross-entropy, which all do."""

OF_HEADS: dict[str, tuple[str, ...]] = {**IMPLEMENTATIONS, "linear_cross_entropy": PER_SAMPLE}
"""The implementations of each op that heads may use."""


def left_open(choice: str) -> str | None:
    """The choice of a recipe as an argument: nothing for ``auto``.

    What a recipe leaves open, the context and the environment may still choose; as an argument,
    ``auto`` would keep them from it.

    >>> left_open("auto"), left_open("eager")
    (None, 'eager')
    """
    return None if choice == AUTO else choice
