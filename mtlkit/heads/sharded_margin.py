"""The margin classifier whose classes are divided among processes, also of a sample of them.

Paper: Xiang An, Jiankang Deng, Jia Guo, Ziyong Feng, XuHan Zhu, Jing Yang and Tongliang Liu,
"Killing Two Birds with One Stone: Efficient and Robust Training of Face Recognition CNNs by Partial
FC", CVPR 2022.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.errors import RunError
from mtlkit.heads.margin import STD, Margin, MarginHead
from mtlkit.ops.row_shard import RowShard, shard_rows
from mtlkit.ops.sharded import GatheredBatch, gather_batch, sharded_margin_cross_entropy
from mtlkit.task_types import MISSING


class ShardedMarginHead(MarginHead):
    """A `MarginHead` that holds the directions of this process's classes.

    Its loss gathers the features of all processes. Outputs need all directions, so they are
    computed only while the head holds the whole matrix, as in a single process.

    >>> head = ShardedMarginHead(Margin(shard=True), 2, tuple(map(str, range(64)))).eval()
    >>> head.loss(torch.ones(1, 2), torch.tensor([-1])).tolist()
    [0.0]
    """

    def __init__(self, config: Margin, features: int, classes: tuple[str, ...]) -> None:
        self.shard = shard_rows(len(classes))
        super().__init__(config, features, classes)
        # the key of all draws, and the number of draws so far; a rehearsal restores buffers
        self.random = nn.Buffer(torch.tensor([self._key, 0]))

    def _initial(self, classes: int, features: int) -> Tensor:
        self._key = int(torch.randint(2**62, ()))  # equal on all ranks, which have one seed
        return self.shard.normal(features, STD, self._key)

    def row_shards(self) -> Mapping[str, RowShard]:
        return {"directions": self.shard}

    @property
    def whole(self) -> bool:
        """True if the head holds the directions of all classes."""
        return len(self.directions) == self.shard.total

    def forward(self, features: Tensor) -> Tensor:
        if not self.whole:
            raise RunError(
                f"a sharded head: got the classes {self.shard.start} to {self.shard.stop} of "
                f"{self.shard.total}, expected all for its outputs; compute them in the context "
                f"`whole_model` on the first process, or from the saved model"
            )
        return super().forward(features)

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        # the first process evaluates alone, with the whole matrix
        shard = RowShard(self.shard.total) if self.whole else self.shard
        batch = gather_batch(features, target, shard)
        angle, additive = self._margins(batch.x, batch.target)
        if isinstance(angle, Tensor) and isinstance(additive, Tensor):
            angle, additive = angle[batch.own], additive[batch.own]
        rows, place = self._rows(batch)
        return sharded_margin_cross_entropy(
            batch, rows, place, angle=angle, additive=additive, **self._options()
        )

    def _rows(self, batch: GatheredBatch) -> tuple[Tensor, Tensor]:
        """Return the rows (S, D) that a step uses, and each sample's (M,) target among them."""
        start, stop = batch.shard.start, batch.shard.stop
        held = (batch.target >= start) & (batch.target < stop)
        local = batch.target - start
        if not self.training or self.config.sample == 1:
            return self.directions, local.masked_fill(~held, MISSING)
        key, count = self.random.tolist()
        self.random[1] += 1
        drawn = batch.shard.draw(self.config.sample, local[held], (key, count))
        place = torch.searchsorted(drawn, local.clamp(0, stop - start - 1))
        rows = F.embedding(drawn, self.directions, sparse=self.config.lazy)
        return rows, place.masked_fill(~held, MISSING)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take this process's rows of a whole matrix, which a file of the model holds."""
        name = f"{prefix}directions"
        if name in state and len(state[name]) == self.shard.total and not self.whole:
            state = {**state, name: self.shard.own_rows(state[name])}
        super()._load_from_state_dict(state, prefix, *rest)
