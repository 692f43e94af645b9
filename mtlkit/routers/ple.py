"""Progressive layered extraction (PLE; Tang et al., RecSys 2020).

Paper: Hongyan Tang, Junning Liu, Ming Zhao and Xudong Gong, "Progressive Layered Extraction (PLE):
A Novel Multi-Task Learning (MTL) Model for Personalized Recommendations", RecSys 2020.
"""

import attrs

from mtlkit.component import at_least
from mtlkit.routers.base import RouterModule, Wiring
from mtlkit.routers.experts import ExpertSharing
from mtlkit.routers.extraction import ExtractionRouter


@attrs.frozen(kw_only=True)
class PLE(ExpertSharing):
    """Several levels of CGC, one on the other (PLE; Tang et al., RecSys 2020).

    Between `levels` the shared experts go on from a gate of their own, which sees every expert.
    The other options are those of `cgc`.
    """

    levels: int = attrs.field(default=2, validator=at_least(2))
    shared: int = attrs.field(default=2, validator=at_least(1))
    own: int = attrs.field(default=1, validator=at_least(1))

    def build(self, wiring: Wiring) -> "RouterModule":
        return ExtractionRouter(wiring, self, self.shared, self.own, self.levels)
