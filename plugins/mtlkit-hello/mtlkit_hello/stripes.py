"""The data source `stripes`: its options. The drawing is in `draw_stripes`."""

from typing import TYPE_CHECKING

import attrs

from mtlkit.data import DataSource, Loading
from mtlkit.plugins import at_least

if TYPE_CHECKING:
    from mtlkit.data import Data


@attrs.frozen(kw_only=True)
class Stripes(DataSource):
    """Drawn images of stripes, with the labels `direction` (a class) and `width` (in pixels).

    `samples` images of `size` pixels a side are drawn for training, a quarter as many for
    validation and for the test. The label `width` of every tenth image is missing.
    """

    samples: int = attrs.field(default=400, validator=at_least(8))
    size: int = attrs.field(default=16, validator=at_least(8))
    seed: int = attrs.field(default=0, validator=at_least(0))

    def load(self, loading: Loading) -> "Data":
        from mtlkit_hello.draw_stripes import draw_stripes

        return draw_stripes(self)
