"""A component whose module imports matplotlib, for which every check of a recipe would wait."""

import attrs
import matplotlib

from mtlkit.optim import Constant


@attrs.frozen(kw_only=True)
class Heavy(Constant):
    """A schedule that is right but heavy."""

    start: float = float(len(matplotlib.__version__) > 0)
