"""A warning for weights that train a loss far faster than the learning rate states."""

from collections.abc import Mapping

LARGEST_WEIGHT = 100.0
"""Largest size of a weight without a warning: the loss trains at 100 times the learning rate."""


def large_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the mean `weights`, by loss, whose size is above `LARGEST_WEIGHT`.

    >>> large_weights({"age": 30.0, "pose": -400.0})
    {'pose': -400.0}
    """
    return {name: value for name, value in weights.items() if abs(value) > LARGEST_WEIGHT}


def weight_warning(name: str, weight: float, step: int) -> str:
    """Return the warning for the loss `name`, whose mean `weight` was logged at `step`."""
    return (
        f"warning: step {step}: the mean weight of {name} is {weight:.4g}, expected -100 to 100; "
        f"its loss trains at that multiple of the learning rate. Lower the learning rate, bound "
        f"the weights by an option of the weighting (such as `largest_mean` of `nash-mtl`), or "
        f"choose another weighting"
    )
