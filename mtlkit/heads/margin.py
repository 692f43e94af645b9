"""Cosine classifier trained with a margin: ArcFace, CosFace, AdaFace.

Paper: Jiankang Deng, Jia Guo, Niannan Xue and Stefanos Zafeiriou, "ArcFace: Additive Angular Margin
Loss for Deep Face Recognition", CVPR 2019; Hao Wang, Yitong Wang, Zheng Zhou, Xing Ji, Dihong Gong,
Jingchao Zhou, Zhifeng Li and Wei Liu, "CosFace: Large Margin Cosine Loss for Deep Face
Recognition", CVPR 2018; Minchul Kim, Anil K. Jain and Xiaoming Liu, "AdaFace: Quality Adaptive
Margin for Face Recognition", CVPR 2022.
"""

import math
from typing import Any

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.component import above, at_least, between, optional
from mtlkit.features.base import FeatureSpec
from mtlkit.heads.base import Head, HeadModule
from mtlkit.heads.classification import check_classes
from mtlkit.heads.op_choice import implementation_for
from mtlkit.metrics.accuracy import Accuracy
from mtlkit.ops.dispatch.choice import AUTO, left_open
from mtlkit.ops.margin import MARGIN_CROSS_ENTROPY, adaface_margins, margin_cross_entropy
from mtlkit.ops.sampled import sampled_margin_cross_entropy
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget
from mtlkit.task_types import MISSING


@attrs.frozen(kw_only=True)
class Margin(Head):
    """Cosine classifier trained with a margin.

    Logits are `scale` times the cosines of features and class directions. In training the target's
    cos t becomes cos(`multiplier` t + `angle`) - `additive`. The default ``angle: 0.5`` is ArcFace
    (Deng et al., CVPR 2019); ``angle: 0`` with ``additive: 0.35`` is CosFace (Wang et al., CVPR
    2018). `adaptive` computes both margins from `angle` and the norm of the features, an estimate
    of image quality (AdaFace; Kim et al., CVPR 2022). `easy_margin` omits the margin if t exceeds
    pi / 2.

    A `sample` below 1 trains each micro-batch on that fraction of the classes, but at least as many
    as it has samples: the classes of its samples, and others drawn at random (Partial FC; An et
    al., CVPR 2022). `classes`, if given, must equal the number of classes in the data.
    `implementation` selects the implementation of the loss by its name in `mtlkit ops list`.

    With `shard`, each process of a run holds and trains the rows of some classes, for the samples
    of all processes. A `sample` then applies to each of 64 blocks of classes, and its draws do not
    depend on the number of processes. With `lazy`, an update changes only the classes that were
    drawn: weight decay and momentum of the others rest.
    """

    targets = (ClassTarget,)
    default_metrics = (Accuracy(),)

    classes: int | None = attrs.field(default=None, validator=optional(at_least(1)))
    scale: float = attrs.field(default=64.0, validator=above(0))
    angle: float = attrs.field(default=0.5, validator=between(0, 1.5))
    additive: float = attrs.field(default=0.0, validator=between(0, 1))
    multiplier: float = attrs.field(default=1.0, validator=between(1, 4))
    adaptive: bool = False
    easy_margin: bool = False
    sample: float = attrs.field(default=1.0, validator=between(0, 1))
    shard: bool = False
    lazy: bool = False
    implementation: str = attrs.field(
        default=AUTO, validator=implementation_for(MARGIN_CROSS_ENTROPY)
    )

    def __attrs_post_init__(self) -> None:
        if self.adaptive and (self.additive != 0 or self.multiplier != 1):
            raise ValueError(
                f"adaptive: expected no other margin than `angle`, got additive "
                f"{self.additive} and multiplier {self.multiplier}"
            )
        if self.lazy and not (self.shard and self.sample < 1):
            raise ValueError(
                f"lazy: expected `shard: true` and a `sample` below 1, got shard {self.shard} and "
                f"sample {self.sample}"
            )

    @property
    def shards(self) -> bool:
        return self.shard

    @property
    def updates_rows(self) -> bool:
        return self.lazy

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        if self.shard:
            from mtlkit.heads.sharded_margin import ShardedMarginHead

            return ShardedMarginHead(self, features.width, target.classes)
        return MarginHead(self, features.width, target.classes)


MOMENTUM = 0.99
"""Factor of the running mean and standard deviation of norms in each step, as in AdaFace."""

STD = 0.01
"""Standard deviation of the first directions."""


class MarginHead(HeadModule):
    """Logits y = s cos(x, w_c), and in training their cross-entropy with a margin for the target.

    In evaluation mode the loss has no margin. Directions are initialized from N(0, 0.01).

    >>> head = MarginHead(Margin(scale=1.0), 2, ("ann", "bob")).eval()
    >>> _ = head.directions.data.copy_(torch.eye(2))
    >>> head(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]], grad_fn=<MulBackward0>)
    """

    def __init__(self, config: Margin, features: int, classes: tuple[str, ...]) -> None:
        super().__init__()
        check_classes(config.classes, classes)
        self.config = config
        self.implementation = left_open(config.implementation)
        self.directions = nn.Parameter(self._initial(len(classes), features))
        # initial mean and standard deviation of feature norms, as in AdaFace
        running = torch.tensor([20.0, 100.0]) if config.adaptive else torch.zeros(0)
        self.running = nn.Buffer(running)

    def _initial(self, classes: int, features: int) -> Tensor:
        """Return the first directions of the classes that this process holds."""
        return torch.randn(classes, features) * STD

    def forward(self, features: Tensor) -> Tensor:
        cosines = F.linear(F.normalize(features), F.normalize(self.directions))
        return self.config.scale * cosines

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        config = self.config
        angle, additive = self._margins(features, target)
        options = {**self._options(), "angle": angle, "additive": additive, "reduction": "none"}
        classes = len(self.directions)
        samples = min(classes, max(1, len(features), math.ceil(config.sample * classes)))
        if self.training and samples < classes:
            return sampled_margin_cross_entropy(
                features, self.directions, target, samples, **options
            ).loss
        return margin_cross_entropy(features, self.directions, target, **options)

    def _options(self) -> dict[str, Any]:
        """Return the options of the loss that do not depend on the batch."""
        return {
            "scale": self.config.scale,
            "multiplier": self.config.multiplier if self.training else 1.0,
            "easy_margin": self.config.easy_margin and self.training,
            "ignore_index": MISSING,
            "implementation": self.implementation,
        }

    def _margins(
        self, features: Tensor, target: Tensor
    ) -> tuple[float, float] | tuple[Tensor, Tensor]:
        """Return the angle and the additive margin, for all samples or for each (N,)."""
        if not self.training:
            return 0.0, 0.0
        if not self.config.adaptive:
            return self.config.angle, self.config.additive
        norms = features.detach().float().norm(dim=1).clamp(1e-3, 100)
        self._track(norms, (target != MISSING).float())
        mean, std = self.running.clone().unbind()
        return adaface_margins(norms, mean, std, self.config.angle)

    @torch.no_grad()
    def _track(self, norms: Tensor, counts: Tensor) -> None:
        """Update the running mean and standard deviation of `norms` (N,), weighted by `counts`."""
        total = counts.sum()
        mean = (norms * counts).sum() / total.clamp_min(1)
        square = ((norms - mean).square() * counts).sum() / (total - 1).clamp_min(1)
        stats = torch.stack([mean, square.sqrt()])
        # fewer than two samples have no standard deviation; `where` avoids a device sync
        self.running.lerp_(torch.where(total > 1, stats, self.running), 1 - MOMENTUM)
