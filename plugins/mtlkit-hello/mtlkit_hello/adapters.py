"""The router `adapters`: its options. The network is in `adapters_router`."""

from typing import TYPE_CHECKING

import attrs

from mtlkit.plugins import at_least
from mtlkit.routers import Unbranched, Wiring

if TYPE_CHECKING:
    from mtlkit.routers import RouterModule


@attrs.frozen(kw_only=True)
class Adapters(Unbranched):
    """One backbone for all tasks, and for each task a small layer that adapts its features.

    The layer has a bottleneck of `hidden` features.
    """

    hidden: int = attrs.field(default=4, validator=at_least(1))

    def build(self, wiring: Wiring) -> "RouterModule":
        from mtlkit_hello.adapters_router import AdaptersRouter

        return AdaptersRouter(self, wiring)
