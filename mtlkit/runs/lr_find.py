"""A learning rate from a short training in which it grows from update to update.

Paper: Leslie N. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section
3.3.
"""

import math

import attrs

from mtlkit.component import above, at_least
from mtlkit.data.source import Loading
from mtlkit.errors import NotFiniteError, RunError
from mtlkit.ops.dispatch.choice import use
from mtlkit.optim.base import Schedule
from mtlkit.plugins.catalog import Catalog, load_catalog
from mtlkit.recipe import Recipe
from mtlkit.runs.untrained import untrained_updater
from mtlkit.training.devices.cores import refuse_too_many
from mtlkit.training.update import Updater

SMOOTHING = 0.9
"""Decay of the moving average of the loss."""

DIVERGED = 4.0
"""Multiple of the lowest smoothed loss at which the search ends."""


@attrs.frozen(kw_only=True)
class RateRange:
    """Learning rates from `low` to `high` in `steps` updates, with equal ratios between them."""

    low: float = attrs.field(default=1e-6, validator=above(0))
    high: float = attrs.field(default=1.0, validator=above(0))
    steps: int = attrs.field(default=100, validator=at_least(10))

    def __attrs_post_init__(self) -> None:
        if self.high <= self.low:
            raise RunError(
                f"lr-find: got rates from {self.low:g} to {self.high:g}; the second must be larger"
            )

    def at(self, step: int) -> float:
        """Return the rate of the update `step`, from 0.

        >>> [round(RateRange(low=0.01, high=1.0, steps=11).at(step), 3) for step in (0, 5, 10)]
        [0.01, 0.1, 1.0]
        """
        return float(self.low * (self.high / self.low) ** (step / (self.steps - 1)))


@attrs.frozen(kw_only=True)
class _Growing(Schedule):
    """The factors that turn a base rate into those of a range."""

    rates: RateRange
    base: float

    def factor(self, progress: float) -> float:
        return self.rates.at(round(progress * self.rates.steps)) / self.base


@attrs.frozen
class RateCurve:
    """The loss at each learning rate, and its moving average; `diverged` if it ended early."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    diverged: bool

    @property
    def suggestion(self) -> float:
        """The rate at which the smoothed loss falls fastest per factor of the rate.

        Raises `RunError` if the loss falls nowhere.
        """
        low = self.smoothed.index(min(self.smoothed))
        slopes = [self.smoothed[i + 1] - self.smoothed[i - 1] for i in range(1, low)]
        if not slopes or min(slopes) >= 0:
            raise RunError(
                f"lr-find: the loss does not fall at any rate from {self.rates[0]:g} to "
                f"{self.rates[-1]:g}; give a wider range or more steps"
            )
        return self.rates[1 + slopes.index(min(slopes))]


def find_rate(
    recipe: Recipe,
    rates: RateRange | None = None,
    *,
    catalog: Catalog | None = None,
    loading: Loading | None = None,
) -> RateCurve:
    """Train `recipe` for a few updates with growing learning rates, and return the losses.

    The loss is the weighted sum of the terms. Nothing is written. Ends early if the loss diverges.
    Raises the errors of `fit`.
    """
    rates, catalog = rates or RateRange(), catalog or load_catalog()
    recipe.check(catalog.op_table)
    refuse_too_many(recipe.train.threads, recipe.train.workers)
    train = attrs.evolve(
        recipe.train, steps=rates.steps, watch=False, log_every=rates.steps, loggers=()
    )
    schedule = _Growing(rates=rates, base=recipe.optimizer.lr)
    recipe = attrs.evolve(recipe, train=train, schedule=schedule, callbacks=())
    with use(catalog.op_table):
        updater = untrained_updater(recipe, loading or Loading())
        return _curve(updater, rates)


def _curve(updater: Updater, rates: RateRange) -> RateCurve:
    losses: list[float] = []
    smoothed: list[float] = []
    mean, diverged = 0.0, False
    for step in range(rates.steps):
        try:
            updater.update(step)
        except NotFiniteError:
            diverged = True
            break
        values, weights = updater.meter.read()
        losses.append(sum(weights[name] * value for name, value in values.items()))
        mean = SMOOTHING * mean + (1 - SMOOTHING) * losses[-1]
        smoothed.append(mean / (1 - SMOOTHING ** (step + 1)))  # without the bias of the start
        if not math.isfinite(smoothed[-1]) or smoothed[-1] > DIVERGED * min(smoothed):
            diverged = True
            break
    return RateCurve(
        tuple(rates.at(step) for step in range(len(losses))),
        tuple(losses),
        tuple(smoothed),
        diverged,
    )
