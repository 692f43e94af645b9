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
    """Stacked levels of CGC (PLE; Tang et al., RecSys 2020).

    Between `levels`, a separate gate over all experts computes the input of the next shared
    experts. The other options are those of `cgc`.
    """

    levels: int = attrs.field(default=2, validator=at_least(2))
    shared: int = attrs.field(default=2, validator=at_least(1))
    per_task: int = attrs.field(default=1, validator=at_least(1))

    def build(self, wiring: Wiring) -> "RouterModule":
        return ExtractionRouter(wiring, self, self.shared, self.per_task, self.levels)
