"""The options of the routers that share by degrees: every task makes features of its own.

Shapes: N samples, D features of the backbone, W features of an expert, T tasks, E experts.
"""

from typing import TYPE_CHECKING, Any

import attrs

from mtlkit.component import above, at_least, below, between, optional
from mtlkit.routers._configs import Unbranched, Wiring

if TYPE_CHECKING:
    from mtlkit.routers.base import RouterModule


@attrs.frozen(kw_only=True)
class CrossStitch(Unbranched):
    """A network for each task, joined by cross-stitch units (Misra et al., CVPR 2016, eq. 1).

    A unit mixes what the networks say at one place: the features, and with a backbone that can be
    taken apart the maps before its last block too. `own` is what each network starts with of
    itself; the others share the rest. No feature is shared by all tasks.
    """

    own: float = attrs.field(default=0.9, validator=between(0, 1))

    @property
    def shared_features(self) -> bool:
        return False

    def build(self, wiring: Wiring) -> "RouterModule":
        from mtlkit.routers.cross_stitch import CrossStitchRouter

        return CrossStitchRouter(self, wiring)


@attrs.frozen(kw_only=True)
class ExpertSharing(Unbranched):
    """A router with experts on the shared features, each `width` wide (None: as the backbone)."""

    width: int | None = attrs.field(default=None, validator=optional(at_least(1)))

    def head_features(self, features: int) -> int:
        return features if self.width is None else self.width


@attrs.frozen(kw_only=True)
class MMoE(ExpertSharing):
    """Experts that all tasks share, mixed by a gate for each task (Ma et al., KDD 2018).

    `experts` is their number, `width` that of the features of each; None means the backbone's.
    """

    experts: int = attrs.field(default=4, validator=at_least(2))

    def build(self, wiring: Wiring) -> "RouterModule":
        from mtlkit.routers.mmoe import MMoERouter

        return MMoERouter(self, wiring)


@attrs.frozen(kw_only=True)
class CGC(ExpertSharing):
    """Experts of all tasks beside experts of each (CGC; Tang et al., RecSys 2020).

    A task's gate mixes its `own` experts with the `shared` ones and sees no other task's. `width`
    is that of the features of each expert; None means the backbone's.
    """

    shared: int = attrs.field(default=2, validator=at_least(1))
    own: int = attrs.field(default=1, validator=at_least(1))

    def build(self, wiring: Wiring) -> "RouterModule":
        from mtlkit.routers.cgc import ExtractionRouter

        return ExtractionRouter(wiring, self, self.shared, self.own, levels=1)


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
        from mtlkit.routers.cgc import ExtractionRouter

        return ExtractionRouter(wiring, self, self.shared, self.own, self.levels)


@attrs.frozen(kw_only=True)
class MTAN(Unbranched):
    """A shared network and a soft attention of each task to it (Liu et al., CVPR 2019).

    Attention is paid to the features, and with `maps`, if the backbone can be taken apart, to the
    maps before its last block too; tasks then share more than features, at which their gradients
    cannot be compared. The hidden layers of the attention are `reduction` times narrower than
    what they look at.
    """

    maps: bool = True
    reduction: int = attrs.field(default=4, validator=at_least(1))

    @property
    def shared_features(self) -> bool:
        return not self.maps

    @property
    def shared_last_layer(self) -> bool:
        return True  # every mask is laid on the features that this layer gives

    def build(self, wiring: Wiring) -> "RouterModule":
        from mtlkit.routers.mtan import MTANRouter

        return MTANRouter(self, wiring)


def _power_of_two(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 2 or value & (value - 1):
        raise ValueError(f"{field.name}: expected a power of two from 2 on, found {value!r}")


@attrs.frozen(kw_only=True)
class DSelectK(ExpertSharing):
    """A sparse choice of `k` of the experts for each task (Hazimeh et al., NeurIPS 2021).

    Each of the `k` selectors names an expert in binary digits, every digit softened by a smooth
    step of width `gamma`, outside of which it is 0 or 1 exactly. `per_sample` makes the choice
    depend on the sample. The paper's penalty on the selectors' entropy is not added: it hastens
    the choice, and would be a loss of no task. `width` is that of the features of each expert;
    None means the backbone's.
    """

    experts: int = attrs.field(default=4, validator=_power_of_two)
    k: int = attrs.field(default=2, validator=at_least(1))
    gamma: float = attrs.field(default=1.0, validator=above(0))
    per_sample: bool = False

    def build(self, wiring: Wiring) -> "RouterModule":
        from mtlkit.routers.dselect_k import DSelectKRouter

        return DSelectKRouter(self, wiring)


@attrs.frozen(kw_only=True)
class LearnToBranch(ExpertSharing):
    """A tree whose branches are learned by sampling (Guo, Lee & Ulbricht, ICML 2020).

    Each of the `nodes` of a level, and each task, has one parent in the level above, drawn from a
    Gumbel-softmax in training; in evaluation it is the likeliest one. The temperature starts from
    `temperature` and falls by the factor `cooling` with each training pass, down to 0.1. `width`
    is that of the features of a node; None means the backbone's.
    """

    levels: int = attrs.field(default=2, validator=at_least(1))
    nodes: int = attrs.field(default=3, validator=at_least(2))
    temperature: float = attrs.field(default=10.0, validator=above(0))
    cooling: float = attrs.field(default=0.99, validator=below(1))

    def build(self, wiring: Wiring) -> "RouterModule":
        from mtlkit.routers.learn_to_branch import LearnToBranchRouter

        return LearnToBranchRouter(self, wiring)
