"""Labels and outputs of every type of target, for checks of metrics and transforms."""

import attrs
import torch
from torch import Tensor

from mtlkit.errors import MtlkitError
from mtlkit.targets.base import Target
from mtlkit.targets.class_label import ClassTarget
from mtlkit.targets.class_map import ClassMapTarget
from mtlkit.targets.codes import CodedTarget
from mtlkit.targets.multi_label import MultiLabelTarget
from mtlkit.targets.number import NumberTarget
from mtlkit.targets.real_map import RealMapTarget
from mtlkit.targets.tokens import TokenTarget
from mtlkit.targets.unit_vector_map import UnitVectorMapTarget
from mtlkit.targets.vector import VectorTarget

NAMES = ("a", "b", "c")
POINTS = ("left_x", "left_y", "right_x", "right_y")
TOKENS = 5

EXAMPLES: tuple[Target, ...] = (
    ClassTarget(names=NAMES),
    NumberTarget(),
    VectorTarget(names=POINTS),
    MultiLabelTarget(names=("p", "q", "r", "s")),
    ClassMapTarget(names=NAMES),
    RealMapTarget(channels=2),
    UnitVectorMapTarget(),
    TokenTarget(names=NAMES),
)


def example_of(kind: type[Target]) -> Target:
    """Return an example target of the type `kind`, or of a type that derives from a built-in one.

    >>> example_of(ClassTarget)
    ClassTarget(names=('a', 'b', 'c'))
    """
    for example in EXAMPLES:
        if type(example) is kind:
            return example
    for example in EXAMPLES:
        if issubclass(kind, type(example)):
            known = attrs.fields_dict(type(example))
            return kind(**{name: getattr(example, name) for name in known})
    raise MtlkitError(f"{kind.__name__}: has no example; derive it from a target of mtlkit.data")


def draw_labels(target: Target, count: int, frame: tuple[int, int] = (6, 8)) -> Tensor:
    """Return labels (N, ...) of `target`, none missing; numbers are near 20.

    Maps have the height and width of `frame`.

    >>> draw_labels(TokenTarget(names=("a", "b")), 3).shape
    torch.Size([3, 5])
    """
    generator = torch.Generator().manual_seed(1)
    shape = _shape(target, count, frame)
    if isinstance(target, CodedTarget):
        return torch.randint(target.codes, shape, generator=generator)
    values = torch.randn(shape, generator=generator)
    if isinstance(target, UnitVectorMapTarget):
        return torch.nn.functional.normalize(values, dim=1)
    return values * 3 + 20


def without_some(target: Target, labels: Tensor) -> Tensor:
    """Return `labels` without every fourth sample, and without every fifth element of the others.

    All elements of a vector of a unit-vector map are missing together.
    """
    gone = torch.arange(labels.numel()).reshape(labels.shape) % 5 == 2
    if isinstance(target, UnitVectorMapTarget):
        gone = gone[:, :1].expand_as(labels)
    if labels.dim() == 1:
        gone = torch.zeros_like(gone)
    gone = gone | (torch.arange(len(labels)) % 4 == 3).reshape(-1, *[1] * (labels.dim() - 1))
    return torch.where(gone, target.missing, labels)


def right_outputs(target: Target, labels: Tensor) -> Tensor:
    """Return outputs that agree with `labels`, with logits of 10 for what is true."""
    if isinstance(target, MultiLabelTarget):
        return 20.0 * labels - 10
    if isinstance(target, CodedTarget):
        classes = torch.nn.functional.one_hot(labels, target.codes).float()
        return 10 * classes.movedim(-1, target.class_dim)
    return labels.clone()


def wrong_outputs(target: Target, labels: Tensor) -> Tensor:
    """Return outputs that disagree with `labels`: the opposite, or numbers of another sample."""
    if isinstance(target, CodedTarget | UnitVectorMapTarget):
        return -right_outputs(target, labels)
    return labels.roll(1, dims=0) + 1


def noisy_outputs(target: Target, labels: Tensor) -> Tensor:
    """Return outputs that mostly agree with `labels`."""
    right = right_outputs(target, labels)
    scale = 6.0 if isinstance(target, CodedTarget) else 0.5
    noise = torch.randn(right.shape, generator=torch.Generator().manual_seed(2))
    return right + scale * noise


def spread(target: Target, mask: Tensor, outputs: Tensor) -> Tensor:
    """Return a mask of the elements of `labels` as one of the elements of `outputs`."""
    if mask.dim() < outputs.dim():
        mask = mask.unsqueeze(target.class_dim if isinstance(target, CodedTarget) else 1)
    return mask.expand_as(outputs)


def _shape(target: Target, count: int, frame: tuple[int, int]) -> tuple[int, ...]:
    """Return the shape that `target.shape` describes, such as ``(N, 3, H, W)``."""
    components = len(target.components)
    sizes = {"N": count, "K": components, "C": components, "L": TOKENS}
    sizes |= {"H": frame[0], "W": frame[1]}
    dims = [dim.strip() for dim in target.shape.strip("()").split(",") if dim.strip()]
    return tuple(sizes[dim] if dim in sizes else int(dim) for dim in dims)
