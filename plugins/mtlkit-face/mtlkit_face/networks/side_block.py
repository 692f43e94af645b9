"""Separate last block for the side tasks, as in the authors' released networks.

In the paper, side tasks read the features that identity uses. The released networks split before
the last block (pool4): all side tasks together have their own block 5.
"""

from collections.abc import Iterable, Sequence

import attrs

from mtlkit.backbones import Batch, SplittableBackbone
from mtlkit.plugins import AssemblyError, LossTerm, Problem
from mtlkit.routers import Features, Unbranched, UnbranchedRouter, Wiring


@attrs.frozen(kw_only=True)
class SideBlock(Unbranched):
    """Two last blocks on one backbone: one for the given `tasks`, one for all others.

    Requires a backbone that can be split before its last block, such as casia-net. Weightings read
    the features of the other tasks.

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
                "names every task, so that none is left for the backbone's own last block; "
                "leave out the main task",
            )
        if not self.tasks:
            yield Problem(("router", "tasks"), "expected tasks for the second block, got none")

    @property
    def shared_features(self) -> bool:
        return False

    def build(self, wiring: Wiring) -> "SideBlockRouter":
        return SideBlockRouter(self, wiring)


class SideBlockRouter(UnbranchedRouter):
    """Backbone with a copy of its last block for the tasks in `side`."""

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

    def forward(self, inputs: Batch) -> Features:
        maps = self.backbone.stem(inputs)
        main, side = self.backbone.tail(maps), self.side_block(maps)
        features = {task: side if task in self.side else main for task in self.tasks}
        sources = {task: "side" if task in self.side else "main" for task in self.tasks}
        return Features(main, per_task=features, sources=sources)
