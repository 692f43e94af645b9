"""Several labels for each sample, each true or false."""

import attrs
from torch import Tensor

from mtlkit.targets.base import check_columns
from mtlkit.targets.codes import CodedTarget
from mtlkit.targets.decoded import Decoded, by_name


@attrs.frozen(kw_only=True)
class MultiLabelTarget(CodedTarget):
    """Several labels for each sample: (N, K) of 1 (true), 0 (false) and -1 (missing).

    `names` are those of the labels, of which any number may be true.
    """

    noun = "several labels"
    shape = "(N, K)"
    dims = 2
    default_head = "multi-label"

    names: tuple[str, ...]

    @property
    def components(self) -> tuple[str, ...]:
        return self.names

    @property
    def codes(self) -> int:
        return 2

    def occurring(self, labels: Tensor) -> Tensor:
        """Return which of the K labels are true of a sample in `labels` (N, K), as a mask (K,)."""
        return (labels == 1).any(dim=0)

    def probabilities(self, outputs: Tensor) -> Tensor:
        return outputs.sigmoid()

    def decode(self, predictions: Tensor, mask: Tensor | None = None) -> Decoded:
        columns = by_name(self.names, predictions > 0.5)
        return Decoded(columns={**columns, **by_name(self.names, predictions, "probability/")})

    def check(self, labels: Tensor) -> None:
        super().check(labels)
        check_columns(self.names, labels)
