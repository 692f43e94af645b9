"""The options of the weightings that turn the Gramian of the gradients into weights."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from mtlkit.plugins import (
    LossTerm,
    Problem,
    Role,
    above,
    at_least,
    at_least_number,
    below,
    between,
    each,
)
from mtlkit.weightings import GradientWeighting
from mtlkit_torchjd.configs.asked import needing_torchjd, strangers

if TYPE_CHECKING:
    from mtlkit.weightings import WeightingModule

LEAST_RIDGE = 1e-6
"""Products of float32 gradients are wrong by about 1e-7 of the largest."""


@attrs.frozen(kw_only=True)
class UpGrad(GradientWeighting):
    """The mean of the gradients, each freed of conflict (UPGrad; Quinton & Rey, 2024, eq. 3).

    `preferences` weigh the gradients in the mean, by the name of the loss; the others have 1, and
    only ratios count. `ridge` is what makes the quadratic program soluble where gradients are
    dependent, in units of the sum of their squared norms (TorchJD's reg_eps).
    """

    preferences: Mapping[str, float] = attrs.field(factory=dict, validator=each(above(0)))
    ridge: float = attrs.field(default=1e-4, validator=at_least_number(LEAST_RIDGE))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from strangers(self.preferences, terms, "preferences")

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        with needing_torchjd("UpGrad"):
            from mtlkit_torchjd.dual_cone import UpGradWeights

            return UpGradWeights(self, terms)


@attrs.frozen(kw_only=True)
class DualProj(GradientWeighting):
    """The mean gradient freed of conflict (Lopez-Paz & Ranzato, NeurIPS 2017, eq. 11).

    `preferences` weigh the gradients in the mean, by the name of the loss; the others have 1, and
    only ratios count. `ridge` is what makes the quadratic program soluble where gradients are
    dependent, in units of the sum of their squared norms (TorchJD's reg_eps).
    """

    preferences: Mapping[str, float] = attrs.field(factory=dict, validator=each(above(0)))
    ridge: float = attrs.field(default=1e-4, validator=at_least_number(LEAST_RIDGE))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        yield from strangers(self.preferences, terms, "preferences")

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        with needing_torchjd("DualProj"):
            from mtlkit_torchjd.dual_cone import DualProjWeights

            return DualProjWeights(self, terms)


@attrs.frozen(kw_only=True)
class Pcd(GradientWeighting):
    """The main gradient, as near as side tasks may have their share (PCD; arXiv 2606.29521, 2026).

    `share` (the paper's tau) is what each side task is guaranteed of the progress along its own
    gradient. Gradients are compared in units of their running lengths, of which `decay` (beta) is
    kept in each update, and to whose squares `floor` (epsilon) is added. The main gradient is the
    sum over all losses of main tasks.
    """

    share: float = attrs.field(default=0.02, validator=between(0, 1))
    decay: float = attrs.field(default=0.999, validator=below(1))
    floor: float = attrs.field(default=1e-8, validator=at_least_number(0))

    @property
    def scale_free(self) -> bool:
        return True

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        names = ", ".join(term.name for term in terms)
        if all(term.role is not Role.MAIN for term in terms):
            yield Problem(
                ("weighting",),
                f"Pcd puts the main task first and found none among {names}; give one task "
                f"`role: main`",
            )
        if all(term.role is Role.MAIN for term in terms):
            yield Problem(
                ("weighting",),
                f"Pcd guarantees side tasks a share and found none among {names}; give one task "
                f"`role: side`, or use `equal`",
            )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        with needing_torchjd("Pcd"):
            from mtlkit_torchjd.pcd import PcdWeights

            return PcdWeights(self, terms)


@attrs.frozen(kw_only=True)
class Krum(GradientWeighting):
    """The mean of the gradients nearest to most others (Krum; Blanchard et al., NeurIPS 2017).

    `suspects` is how many gradients are held to be misleading, and so left out of each one's
    distance to the others; `chosen` is how many gradients make the mean. Updates in which so many
    losses have no label that too few are left have fewer suspects.
    """

    suspects: int = attrs.field(default=1, validator=at_least(0))
    chosen: int = attrs.field(default=1, validator=at_least(1))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        for option, needed in (("suspects", self.suspects + 3), ("chosen", self.chosen)):
            if len(terms) < needed:
                yield Problem(
                    ("weighting", option),
                    f"Krum with `{option}: {getattr(self, option)}` needs {needed} losses or more "
                    f"and found {len(terms)}; use a smaller number, or another weighting",
                )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        with needing_torchjd("Krum"):
            from mtlkit_torchjd.robust import KrumWeights

            return KrumWeights(self)
