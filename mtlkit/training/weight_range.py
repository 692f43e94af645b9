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


def weight_warning(weights: Mapping[str, float], step: int) -> str:
    """Return one warning for the large mean `weights`, by loss, that were logged at `step`.

    It names the largest.

    >>> weight_warning({"age": 300.0, "pose": -400.0}, 7)[:65]
    'warning: step 7: the mean weight of pose is -400 (and 1 more loss'
    """
    name = max(weights, key=lambda name: abs(weights[name]))
    others = len(weights) - 1
    more = f" (and {others} more {'loss' if others == 1 else 'losses'})" if others else ""
    return (
        f"warning: step {step}: the mean weight of {name} is {weights[name]:.4g}{more}, expected "
        f"-100 to 100; its loss trains at that multiple of the learning rate. Lower the learning "
        f"rate, bound the weights by an option of the weighting (such as `largest_mean` of "
        f"`nash-mtl`), or choose another weighting"
    )
