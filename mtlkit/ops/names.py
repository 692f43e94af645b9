"""Which implementations each op has, by name: what a recipe may choose, without importing torch."""

AUTO = "auto"
"""Let the cost model decide."""

IMPLEMENTATIONS: dict[str, tuple[str, ...]] = {
    "linear_cross_entropy": ("eager", "compiled", "native", "rows", "stored", "classes"),
}
"""The implementations of each op; the first is its definition."""
