"""A component whose module imports torch at its top, for which every listing would wait."""

import attrs
import torch

from mtlkit.optim import Constant


@attrs.frozen(kw_only=True)
class Heavy(Constant):
    """A schedule that is right but heavy."""

    start: float = float(torch.tensor(1.0))
