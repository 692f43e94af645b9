"""Settings of batches that are drawn for each task, or for each class of a label."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import attrs

from mtlkit.component import Problem, above, at_least, each, optional, word_or
from mtlkit.errors import did_you_mean, shortened

TASK = "task"
"""The value of `per` for groups by task."""


@attrs.frozen(kw_only=True)
class GroupedBatches:
    """Batches drawn by group: for each task, or for each class of a label.

    With ``per: task``, the group of a task holds the samples that have its label, and in a sample
    that is drawn for a task no other label counts. With the name of a class label, such as
    ``source``, its classes are the groups, and every label counts.

    An update holds samples of all groups: `sizes` of each, or the fractions of `train.batch` that
    `ratios` (1 if not named) give. A `temperature` T gives a group of n samples the ratio
    n ** (1 / T): 1 is proportional, a large T equal. With `alternate`, an update holds samples of
    one group, `sizes` (or `train.batch`) of them, and the ratios are those of the updates.

    An epoch is one pass over the `longest` group, which repeats the others, or over the `shortest`,
    or a number of updates. `separate` runs a forward pass for each group, so that batch norm sees
    samples of one group at a time.

    >>> GroupedBatches(sizes={"age": 16, "gender": 8}).epoch
    'longest'
    """

    per: str = TASK
    sizes: Mapping[str, int] = attrs.field(factory=dict, validator=each(at_least(1)))
    ratios: Mapping[str, float] = attrs.field(factory=dict, validator=each(above(0)))
    temperature: float | None = attrs.field(default=None, validator=optional(above(0)))
    alternate: bool = False
    separate: bool = False
    epoch: int | Literal["longest", "shortest"] = attrs.field(
        default="longest", validator=word_or("longest", word_or("shortest", at_least(1)))
    )

    def problems(self, tasks: Iterable[str]) -> Iterator[Problem]:
        """Yield the mistakes in the settings, with paths in them."""
        if self.ratios and self.temperature is not None:
            yield Problem(("temperature",), "got `ratios` too; remove one of them")
        if self.sizes and not self.alternate and (self.ratios or self.temperature is not None):
            yield Problem(
                ("sizes",),
                "got `ratios` or `temperature` too, which divide `train.batch`; remove one of "
                "them, or set `alternate: true`",
            )
        if self.per == TASK:
            for option, message in self.misnamed(tuple(tasks)):
                yield Problem((option,), message)

    def misnamed(self, groups: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        """Yield the options that name no group, or lack one, each with a message."""
        for option, values in (("sizes", self.sizes), ("ratios", self.ratios)):
            for name in values:
                if name not in groups:
                    hint = did_you_mean(name, groups) or f"; expected {shortened(groups)}"
                    yield option, f"got {name!r}, which is not a {self._noun}{hint}"
        missing = [name for name in groups if name not in self.sizes]
        if self.sizes and missing:
            yield (
                "sizes",
                f"got no size of {shortened(missing)}; state the size of each {self._noun}",
            )

    @property
    def _noun(self) -> str:
        return TASK if self.per == TASK else f"class of the label {self.per!r}"
