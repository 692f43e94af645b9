"""The weighting `discount`: its options. The mathematics is in `discount_weights`."""

from typing import TYPE_CHECKING

import attrs

from mtlkit import Role
from mtlkit.plugins import LossTerm, between
from mtlkit.weightings import Weighting

if TYPE_CHECKING:
    from mtlkit.weightings import WeightingModule


@attrs.frozen(kw_only=True)
class Discount(Weighting):
    """Main tasks count fully, each side task `rate` times as much as the one before it.

    With a rate of 0.5 the side tasks have the weights 0.5, 0.25, 0.125 and so on.
    """

    rate: float = attrs.field(default=0.5, validator=between(0, 1))

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "WeightingModule":
        from mtlkit_hello.discount_weights import DiscountWeights

        return DiscountWeights(self.weights(terms))

    def weights(self, terms: tuple[LossTerm, ...]) -> list[float]:
        """The weight of each term."""
        found, next_weight = [], 1.0
        for term in terms:
            if term.role is Role.SIDE:
                next_weight *= self.rate
            found.append(1.0 if term.role is Role.MAIN else next_weight)
        return found
