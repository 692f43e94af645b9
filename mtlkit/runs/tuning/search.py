"""Proposals of a search by Optuna's TPE, computed from the earlier trials without other state.

Each trial has its own seed: the proposal of trial 7 is a function of the seed, of 7 and of the
trials before it. A search that was stopped therefore resumes as if it had not been.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from mtlkit.errors import import_extra

Value: TypeAlias = float | int | str | bool
"""Value that a search can give to an option."""

Settings: TypeAlias = Mapping[str, Value]
"""Values by their paths in the recipe."""


@attrs.frozen(kw_only=True)
class Searched:
    """Search range of a value: from `low` to `high`, or among `choices`.

    Integer bounds restrict the values to integers. With `log`, magnitudes are equally likely at
    first.
    """

    low: float | int | None = None
    high: float | int | None = None
    log: bool = False
    choices: tuple[Value, ...] = ()

    def __attrs_post_init__(self) -> None:
        if self.choices:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("choices: stand alone; leave out `low`, `high` and `log`")
        elif self.low is None or self.high is None:
            raise ValueError("expected `low` and `high`, or `choices`")
        elif not self.low < self.high:
            raise ValueError(f"high: expected a number above low, {self.low}, got {self.high}")
        elif self.log and self.low <= 0:
            raise ValueError(f"low: expected a number above 0 for `log`, got {self.low}")

    def has(self, value: object) -> bool:
        """Return whether `value` could have been proposed.

        >>> Searched(low=0.1, high=1.0).has(0.5), Searched(choices=("a", "b")).has("c")
        (True, False)
        """
        if self.low is None or self.high is None:
            return any(value == choice and type(value) is type(choice) for choice in self.choices)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high  # type: ignore[operator]

    @property
    def ends(self) -> tuple[Value, ...]:
        """Lowest and highest value, or all `choices`."""
        if self.low is None or self.high is None:
            return self.choices
        return (self.low, self.high)


@attrs.frozen
class Tried:
    """A completed trial: its settings, and their score (lower is better)."""

    settings: Settings
    score: float


def propose(
    space: Mapping[str, Searched], tried: Sequence[Tried], *, seed: int, number: int
) -> dict[str, Value]:
    """Return the values that trial `number` sets within `space`, after the trials `tried`.

    With one seed and no trials, searches propose the same values for the options that they share at
    the start of their spaces. Raises `MissingExtraError` without Optuna.

    >>> space = {"optimizer.lr": Searched(low=0.001, high=0.1, log=True)}
    >>> propose(space, [], seed=0, number=1) == propose(space, [], seed=0, number=1)
    True
    """
    optuna = require_optuna()
    import numpy as np

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trial_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=trial_seed))
    distributions = {path: _distribution(searched) for path, searched in space.items()}
    for trial in tried:
        values = {path: trial.settings.get(path) for path in space}
        if all(searched.has(values[path]) for path, searched in space.items()):
            study.add_trial(
                optuna.trial.create_trial(
                    params=values, distributions=distributions, value=trial.score
                )
            )
    proposal = study.ask(distributions)
    return {path: proposal.params[path] for path in space}


def require_optuna(extra: str = "tune") -> Any:
    """Return Optuna; raise `MissingExtraError` with the `extra` to install if it is missing."""
    return import_extra("optuna", "a search", "Optuna", extra)


def _distribution(searched: Searched) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    low, high = searched.low, searched.high
    if low is None or high is None:
        return CategoricalDistribution(searched.choices)
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=searched.log)
    return FloatDistribution(low, high, log=searched.log)
