"""The family of transforms."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar

import attrs

from mtlkit.component import Component, Problem
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.sample import Sample


@attrs.frozen(kw_only=True)
class Transform(Component):
    """A change of one sample, of its inputs and its labels together.

    `is_random` is false if the result is a function of the sample alone; only such a transform may
    be listed under `transforms.test`.
    """

    is_random: ClassVar[bool] = True

    @abstractmethod
    def apply(self, sample: Sample, draw: Draw) -> Sample:
        """Return the changed sample; never change its tensors in place.

        All random numbers come from `draw`, so that a resumed run repeats them.
        """

    def problems(self, tasks: Iterable[str]) -> Iterator[Problem]:
        """Yield the mistakes in options that name tasks; by default none."""
        return iter(())
