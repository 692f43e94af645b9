"""Mix a sample with another one.

Paper: Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018,
eq. 1.
"""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor

from mtlkit.component import above
from mtlkit.errors import DataError
from mtlkit.features.inputs import Batch
from mtlkit.targets.class_label import ClassTarget
from mtlkit.targets.multi_label import MultiLabelTarget
from mtlkit.transforms.base import Transform
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.sample import Sample


@attrs.frozen(kw_only=True)
class Mixup(Transform):
    """Replace the inputs x by w x + (1 - w) x', of another sample, with w from Beta(alpha, alpha).

    The labels of all tasks are those of x with probability w, else those of x'. The expected loss
    is w loss(y) + (1 - w) loss(y'), that of the paper, and labels stay classes. For tasks with
    classes or several labels.
    """

    alpha: float = attrs.field(default=0.2, validator=above(0))

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        for task, target in sample.targets.items():
            if not isinstance(target, ClassTarget | MultiLabelTarget):
                raise DataError(
                    f"transforms: mixup: the task {task!r} predicts {target.noun}, expected "
                    f"classes or several labels of each sample; leave it out"
                )
        weight = draw.beta(self.alpha)
        chosen, other = draw.chance(weight), draw.other()
        inputs = _mixed(sample.inputs, other.inputs, weight)
        return attrs.evolve(sample if chosen else other, inputs=inputs)


def _mixed(one: Batch, other: Batch, weight: float) -> Batch:
    if isinstance(one, Mapping):
        assert isinstance(other, Mapping)
        return {name: _blend(entry, other[name], weight) for name, entry in one.items()}
    assert isinstance(other, Tensor)
    return _blend(one, other, weight)


def _blend(one: Tensor, other: Tensor, weight: float) -> Tensor:
    if one.shape != other.shape:
        raise DataError(
            f"transforms: mixup: got inputs of shape {tuple(one.shape)} and {tuple(other.shape)}, "
            f"expected one shape; list `resize` or a crop first"
        )
    if not one.is_floating_point() and one.dtype != torch.uint8:
        raise DataError(
            f"transforms: mixup: got inputs in {one.dtype}, expected images or real numbers; leave "
            f"it out"
        )
    mixed = torch.lerp(other.float(), one.float(), weight)
    return mixed.round().to(one.dtype) if one.dtype == torch.uint8 else mixed
