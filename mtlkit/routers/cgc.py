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
    """Shared experts and task-specific experts (CGC; Tang et al., RecSys 2020).

    The gate of each task mixes the `shared` experts with the `per_task` experts of that task.
    `width` is the width of each expert's features; None uses that of the backbone.
    """

    shared: int = attrs.field(default=2, validator=at_least(1))
    per_task: int = attrs.field(default=1, validator=at_least(1))

    def build(self, wiring: Wiring) -> "RouterModule":
        return ExtractionRouter(wiring, self, self.shared, self.per_task, levels=1)
