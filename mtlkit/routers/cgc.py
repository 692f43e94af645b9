"""Customized gate control (CGC; Tang et al., RecSys 2020).

Paper: Hongyan Tang, Junning Liu, Ming Zhao and Xudong Gong, "Progressive Layered Extraction (PLE):
A Novel Multi-Task Learning (MTL) Model for Personalized Recommendations", RecSys 2020.
"""

import attrs

from mtlkit.component import at_least
from mtlkit.routers.base import RouterModule, Wiring
from mtlkit.routers.experts import ExpertSharing
from mtlkit.routers.extraction import ExtractionRouter


@attrs.frozen(kw_only=True)
class CGC(ExpertSharing):
    """Experts of all tasks beside experts of each (CGC; Tang et al., RecSys 2020).

    A task's gate mixes its `own` experts with the `shared` ones and sees no other task's. `width`
    is that of the features of each expert; None means the backbone's.
    """

    shared: int = attrs.field(default=2, validator=at_least(1))
    own: int = attrs.field(default=1, validator=at_least(1))

    def build(self, wiring: Wiring) -> "RouterModule":
        return ExtractionRouter(wiring, self, self.shared, self.own, levels=1)
