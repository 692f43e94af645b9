"""Cross-entropy of each row by the linear head of its group: branches for groups of rows."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Implementation, Op, Request, serves_all
from mtlkit.ops.dispatch.timing import Sizes, Timing, draw, draw_features, draw_labels, timing_of
from mtlkit.ops.dispatch.trial import Trial, TrialInputs
from mtlkit.ops.kernels import arguments, group_costs
from mtlkit.ops.kernels.concatenated import concatenated_heads
from mtlkit.ops.kernels.costs import refuses_forward_mode
from mtlkit.ops.kernels.sorted_groups import sorted_groups
from mtlkit.ops.kernels.tiles import accumulator

NAME = "grouped_linear_cross_entropy"
NO_GROUP = -1


class GroupedCall(NamedTuple):
    """Checked arguments; rows that have no group or no target are in group G."""

    x: Tensor
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]  # zeros in place of None
    biased: bool
    target: Tensor
    group: Tensor
    label_smoothing: float


def grouped_linear_cross_entropy(
    x: Tensor,
    weights: Sequence[Tensor],
    target: Tensor,
    group: Tensor,
    biases: Sequence[Tensor | None] | None = None,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    mean_of_groups: bool = False,
    implementation: str | Implementation | None = None,
) -> Tensor:
    """Compute the cross-entropy of each row of x (N, D) by the head of its group, in float32.

    Shapes: G `weights` (C_g, D), which may differ in C_g, `biases` (C_g,), `target` and `group`
    (N,) in int64. A row of the group -1, or whose target is `ignore_index`, gives 0. The mean is
    over all other rows, 0 if there are none, or that of the groups' means if `mean_of_groups`.
    A group without rows has gradients of zero. The loss trains the branches of Yin & Liu (TIP
    2018, eq. 9), where the group is the pose. `IndexError` for a label out of range.

    >>> x, heads = torch.zeros(3, 2), [torch.ones(4, 2), torch.ones(2, 2)]
    >>> label, group = torch.tensor([3, 1, 0]), torch.tensor([0, 1, -1])
    >>> grouped_linear_cross_entropy(x, heads, label, group, reduction="none")
    tensor([1.3863, 0.6931, 0.0000])
    """
    offsets = [None] * len(weights) if biases is None else list(biases)
    if len(weights) == 0 or len(weights) != len(offsets):
        raise ValueError(
            f"{NAME}: expected a weight and a bias (or None) for each of one or more groups, "
            f"got {len(weights)} and {len(offsets)}"
        )
    arguments.check_heads(NAME, x, weights, offsets)
    arguments.check_options(NAME, reduction, label_smoothing)
    arguments.check_label_type(NAME, "target", target, len(x))
    arguments.check_label_type(NAME, "group", group, len(x))
    arguments.check_devices(NAME, x, target=target, group=group)
    arguments.check_labels(NAME, "group", group, len(weights), NO_GROUP)
    left_out = (group == NO_GROUP) | (target == ignore_index)
    ends = [len(weight) for weight in weights]
    equal = len(set(ends)) == 1
    _check_targets(target, ends[0] if equal else _own_end(ends, group), left_out)
    cast_x, matrices, vectors = arguments.heads_of_one_type(NAME, x, weights, offsets)
    request = arguments.request_of(
        cast_x, max(ends), (x, *weights, *offsets), reduction, len(weights), ragged=not equal
    )
    call = GroupedCall(
        cast_x, matrices, vectors, any(bias is not None for bias in offsets),
        target.masked_fill(left_out, 0),
        group.masked_fill(left_out, len(weights)), label_smoothing,
    )  # fmt: skip
    chosen = choose(GROUPED_LINEAR_CROSS_ENTROPY, request, implementation)
    with arguments.without_autocast(x):
        losses: Tensor = chosen.run(call)
        if reduction == "none":
            return losses
        if reduction == "sum":
            return losses.sum()
        if not mean_of_groups:
            return losses.sum() / (call.group < len(weights)).sum().clamp_min(1)
        counts = F.one_hot(call.group, len(weights) + 1).sum(dim=0)[:-1].to(losses.dtype)
        padded = F.pad(counts.clamp_min(1), (0, 1), value=1)
        return (losses / padded[call.group]).sum() / (counts > 0).sum().clamp_min(1)


def _own_end(ends: list[int], group: Tensor) -> Tensor:
    """Return the number of classes of each row's group (N,).

    The numbers are filled in on the device; a copy from the host would force a sync.
    """
    return torch.stack([group.new_full((), end) for end in ends])[group.clamp_min(0)]


def _check_targets(target: Tensor, end: int | Tensor, left_out: Tensor) -> None:
    """Raise `IndexError` for a target (N,) outside [0, end) in a row that is not left out."""
    wrong = ((target < 0) | (target >= end)) & ~left_out
    if torch.compiler.is_compiling() or target.device.type != "cpu":
        torch._assert_async(~wrong.any(), f"{NAME}: target: a label is outside its group's classes")
    elif wrong.any():
        row = int(wrong.nonzero()[0])
        row_end = int(end[row]) if isinstance(end, Tensor) else end
        raise IndexError(
            f"{NAME}: target: row {row} has the label {int(target[row])}; its group has the labels "
            f"0 to {row_end - 1}"
        )


def reference(call: GroupedCall) -> Tensor:
    """Compute the losses (N,) group by group; selecting the rows of each syncs with a GPU."""
    losses = call.x.new_zeros(len(call.x), dtype=accumulator(call.x.dtype))
    for number, (weight, bias) in enumerate(zip(call.weights, call.biases, strict=True)):
        index = (call.group == number).nonzero().squeeze(1)
        logits = F.linear(call.x[index], weight, bias).to(losses.dtype)
        group_losses = F.cross_entropy(
            logits, call.target[index], reduction="none", label_smoothing=call.label_smoothing
        )
        losses = losses.index_add(0, index, group_losses)
    return losses


def _sorted(call: GroupedCall) -> Tensor:
    losses: Tensor = sorted_groups(
        call.x.contiguous(), list(call.weights), list(call.biases), call.target, call.group,
        call.label_smoothing,
    )[0]  # fmt: skip
    return losses


def _concatenated(call: GroupedCall) -> Tensor:
    """Compute every head on every row, in few products; the host reads no values of rows."""
    group = torch.arange(len(call.weights), device=call.x.device).unsqueeze(1)
    in_group = call.group == group
    none = (call.group == len(call.weights)).unsqueeze(1)  # such a row may hold any value, even NaN
    losses: Tensor = concatenated_heads(
        call.x.masked_fill(none, 0.0), list(call.weights), list(call.biases),
        call.target * in_group, call.label_smoothing,
    )[0]  # fmt: skip
    return torch.where(in_group, losses, 0.0).sum(dim=0)


def _grouped_mm(call: GroupedCall) -> Tensor:
    """Compute by torch's grouped product; rows without a group come last, in the last group."""
    order = torch.argsort(call.group, stable=True)
    group = call.group.index_select(0, order)
    ends = torch.searchsorted(group, torch.arange(1, len(call.weights) + 1, device=group.device))
    ends[-1] = len(group)  # rows after the last group are undefined on a GPU
    weight = torch.stack(call.weights)
    real = group < len(call.weights)
    # a row without a group may hold any value, even NaN: another row replaces it
    rows = call.x.index_select(0, torch.where(real, order, order[:1]))
    logits = F.grouped_mm(rows, weight.transpose(1, 2), offs=ends.to(torch.int32))
    if call.biased:
        logits = logits + torch.stack(call.biases)[group.clamp_max(len(weight) - 1)]
    losses = F.cross_entropy(
        logits.to(accumulator(call.x.dtype)), call.target.index_select(0, order), reduction="none",
        label_smoothing=call.label_smoothing,
    )  # fmt: skip
    return torch.zeros_like(losses).index_copy(0, order, torch.where(real, losses, 0.0))


def _grouped_mm_refuses(request: Request) -> str:
    if getattr(F, "grouped_mm", None) is None:
        return f"torch {torch.__version__} has no F.grouped_mm"
    if request.dtype == torch.float64:
        return "F.grouped_mm has no float64"
    if "ragged" in request.options:
        return "F.grouped_mm needs the same number of classes in every group"
    for name, size in (("features", request.features), ("classes", request.classes)):
        if size * request.size % 16:
            return f"F.grouped_mm needs rows of a multiple of 16 bytes, {name} are {size}"
    return refuses_forward_mode(request)


def _trials(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """Return calls of three groups, the last without rows, of equal and of different classes."""
    samples = TrialInputs(rows, generator)
    x, target = samples.features(), samples.labels(3)
    group = torch.randint(-1, 2, (rows,), generator=generator)

    def call(options: Mapping[str, Any], name: str, x: Tensor, *parts: Tensor) -> Tensor:
        return grouped_linear_cross_entropy(
            x, parts[::2], target, group, parts[1::2], implementation=name, **options
        )

    equal, ragged = (x, *samples.linear(8, 8, 8)), (x, *samples.linear(3, 5, 9))
    missing = (target == -100) | (group == -1)
    return {
        "none": Trial(equal, partial(call, {"reduction": "none"}), missing),
        "mean": Trial(equal, partial(call, {}), missing),
        "mean of groups": Trial(equal, partial(call, {"mean_of_groups": True}), missing),
        "ragged": Trial(ragged, partial(call, {"label_smoothing": 0.1}), missing),
    }


def _timings(sizes: Sizes) -> Iterator[Timing]:
    """Yield three groups with as many classes each."""
    for request in sizes.requests(parts=3):
        x = draw_features(request)
        weights = [draw(request, request.classes, request.features) for _ in range(3)]
        target, group = draw_labels(request, request.classes), draw_labels(request, 3)
        loss = partial(grouped_linear_cross_entropy, x, weights, target, group)
        yield timing_of(request, loss, (x, *weights))


GROUPED_LINEAR_CROSS_ENTROPY = Op(
    NAME,
    grouped_linear_cross_entropy,
    Implementation(
        "eager", "the definition: one group after the other; each waits for a GPU", reference,
        serves_all, group_costs.eager,
    ),
    Implementation(
        "sorted", "rows sorted once, one product for each group; waits for a GPU once", _sorted,
        refuses_forward_mode, group_costs.sorted_groups,
    ),
    Implementation(
        "concatenated", "every head on every row, in one product", _concatenated,
        refuses_forward_mode, group_costs.concatenated,
    ),
    Implementation(
        "grouped_mm", "torch's grouped product; waits for a GPU, but in bfloat16 from sm_90 on",
        _grouped_mm, _grouped_mm_refuses, group_costs.grouped_mm,
    ),
    trials=_trials,
    timings=_timings,
)  # fmt: skip
