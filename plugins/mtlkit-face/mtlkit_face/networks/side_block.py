"""A last block for the side tasks, apart from the main tasks': the authors' released networks.

The paper's side tasks hang on the features that identity uses; its released networks part before
the last block (pool4), so that all side tasks together have a block 5 of their own.
"""

from collections.abc import Iterable, Sequence

import attrs
from torch import Tensor

from mtlkit.backbones import SplittableBackbone
from mtlkit.plugins import AssemblyError, LossTerm, Problem
from mtlkit.routers import Features, Unbranched, UnbranchedRouter, Wiring


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

    def build(self, wiring: Wiring) -> "SideBlockRouter":
        return SideBlockRouter(self, wiring)


class SideBlockRouter(UnbranchedRouter):
    """A trunk, its own last block for most tasks, and another for those of `side`."""

    def __init__(self, config: SideBlock, wiring: Wiring) -> None:
        super().__init__()
        if not isinstance(wiring.backbone, SplittableBackbone):
            raise AssemblyError(
                f"router: {type(wiring.backbone).__name__} cannot be taken apart before its last "
                f"block; use a backbone such as casia-net, or `router: shared`"
            )
        self.backbone = wiring.backbone
        self.features = wiring.backbone.features
        self.tasks, self.side = wiring.tasks, frozenset(config.tasks)
        self.side_block = wiring.backbone.new_tail()

    def forward(self, inputs: Tensor) -> Features:
        maps = self.backbone.stem(inputs)
        main, side = self.backbone.tail(maps), self.side_block(maps)
        own = {task: side if task in self.side else main for task in self.tasks}
        return Features(main, per_task=own)
