"""The base class of metrics with one value for each class or label, and a mean of them."""

from typing import ClassVar

import attrs

from mtlkit.component import one_of
from mtlkit.metrics.base import FractionMetric


@attrs.frozen(kw_only=True)
class AveragedMetric(FractionMetric):
    """A fraction for each class or label; "macro" is their mean, "micro" pools them first."""

    title: ClassVar[str]
    """Name of the macro average, and the start of the name of the other."""

    average: str = attrs.field(default="macro", validator=one_of("macro", "micro"))

    @property
    def name(self) -> str:
        return self.title if self.average == "macro" else f"{self.title}-{self.average}"
