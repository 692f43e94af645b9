"""A last block for the side tasks, apart from the main tasks': the authors' released networks.

The paper's side tasks hang on the features that identity uses; its released networks part before
the last block (pool4), so that all side tasks together have a block 5 of their own.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import attrs

from mtlkit.component import Problem
from mtlkit.routers import Unbranched, Wiring
from mtlkit.task_types import LossTerm

if TYPE_CHECKING:
    from mtlkit.routers import RouterModule


@attrs.frozen(kw_only=True)
class SideBlock(Unbranched):
    """Two last blocks on one trunk: one for the `tasks` named here, one for all others.

    Needs a backbone that can be taken apart before its last block, such as casia-net. The features
    that weightings look at are those of the other tasks.

    >>> SideBlock(tasks=("pose",)).shared_features
    False
    """

    tasks: tuple[str, ...]

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        known = dict.fromkeys(term.task for term in terms)
        for name in self.tasks:
            if name not in known:
                yield Problem(
                    ("router", "tasks"),
                    f"no task named {name!r}; the tasks are {', '.join(known)}",
                )
        if not set(known) - set(self.tasks):
            yield Problem(
                ("router", "tasks"),
                "names every task, so that none is left for the trunk's own last block; "
                "leave the main task out",
            )
        if not self.tasks:
            yield Problem(("router", "tasks"), "expected tasks for the second block, found none")

    @property
    def shared_features(self) -> bool:
        return False

    def build(self, wiring: Wiring) -> "RouterModule":
        from mtlkit_face.side_block_router import SideBlockRouter

        return SideBlockRouter(self, wiring)
