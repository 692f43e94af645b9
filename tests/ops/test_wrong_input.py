"""What an op cannot take is an error that names the op, the argument, and what it should be."""

import re

import pytest
import torch

from mtlkit.ops import (
    best_matches,
    gate,
    grouped_linear_cross_entropy,
    linear_cross_entropy,
    margin_cross_entropy,
    match_scores,
    match_template,
    multi_head_cross_entropy,
    sampled_margin_cross_entropy,
)
from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.dispatch.table import builtin_ops

OPS = builtin_ops()

X, W, B, T = torch.ones(4, 5), torch.ones(3, 5), torch.ones(3), torch.tensor([0, 1, 2, 0])
NONE, INTS = torch.ones(0, 5), torch.ones(3, 5, dtype=torch.int64)
AWAY = {each: each.to("meta") for each in (X, W, B, T)}

CALLS = {
    "linear_cross_entropy": (linear_cross_entropy, {"x": X, "weight": W, "target": T}),
    "margin_cross_entropy": (margin_cross_entropy, {"x": X, "weight": W, "target": T}),
    "sampled_margin_cross_entropy": (
        sampled_margin_cross_entropy, {"x": X[:2], "weight": W, "target": T[:2], "samples": 2}
    ),
    "gate": (gate, {"x": X, "weight": W}),
    "grouped_linear_cross_entropy": (
        grouped_linear_cross_entropy,
        {"x": X, "weights": [W, W], "target": T, "group": T.clamp(max=1)},
    ),
    "multi_head_cross_entropy": (
        multi_head_cross_entropy, {"x": X, "weights": [W, W], "targets": [T, T]}
    ),
    "match_scores": (match_scores, {"probes": X, "gallery": W}),
    "match_template": (
        match_template, {"generic": X, "branches": torch.ones(4, 2, 5), "weights": torch.ones(4, 2)}
    ),
}  # fmt: skip

ELSEWHERE = "expected a tensor on cpu, where x is; got one on meta"
SINGLE = [
    ({"x": None}, "x: expected a tensor, got NoneType"),
    ({"x": X[:, :, None]}, r"x: expected a matrix \(rows, columns\), got the shape \(4, 5, 1\)"),
    ({"x": X.long()}, "x: expected floating-point numbers, got torch.int64"),
    ({"weight": [1.0]}, "weight: expected a tensor, got list"),
    ({"weight": INTS}, "weight: expected floating-point numbers, got torch.int64"),
    ({"weight": AWAY[W]}, f"weight: {ELSEWHERE}"),
    ({"weight": NONE}, r"weight: expected a row for each of one or more classes, got the shape "),
]
LABELLED = [
    ({"target": T[:, None]}, r"target: expected the shape \(4,\), got \(4, 1\)"),
    ({"target": T.int()}, r"target: expected int64, got torch.int32; use .long\(\)"),
    ({"target": T.numpy()}, "target: expected a tensor, got ndarray"),
    ({"target": AWAY[T]}, f"target: {ELSEWHERE}"),
]
HEADS = [
    ({"weights": [W, AWAY[W]]}, rf"weights\[1\]: {ELSEWHERE}"),
    ({"weights": [W, NONE]}, r"weights\[1\]: expected a row for each of one or more classes"),
    ({"weights": [W, INTS]}, r"weights\[1\]: expected floating-point numbers"),
    ({"weights": [], "biases": []}, "one or more (heads|groups), got 0"),
    ({"biases": [None, AWAY[B]]}, rf"biases\[1\]: {ELSEWHERE}"),
]
WRONG = [
    *((op, *each) for op in ("linear_cross_entropy", "margin_cross_entropy") for each in LABELLED),
    *(
        (op, *each)
        for op in ("linear_cross_entropy", "margin_cross_entropy", "gate")
        for each in SINGLE
    ),
    *(
        (op, *each)
        for op in ("grouped_linear_cross_entropy", "multi_head_cross_entropy")
        for each in HEADS
    ),
    *(("sampled_margin_cross_entropy", *each) for each in SINGLE),
    ("sampled_margin_cross_entropy", {"samples": 2.0}, "samples: expected an int, got float"),
    ("sampled_margin_cross_entropy", {"samples": 4}, "samples: expected from 2, the rows, to 3, "),
    ("sampled_margin_cross_entropy", {"samples": 1}, "samples: expected from 2, the rows, to 3, "),
    ("linear_cross_entropy", {"bias": AWAY[B]}, f"bias: {ELSEWHERE}"),
    ("linear_cross_entropy", {"class_weight": AWAY[B]}, f"class_weight: {ELSEWHERE}"),
    ("linear_cross_entropy", {"label_smoothing": -0.1}, "label_smoothing: expected 0 to 1, got "),
    ("margin_cross_entropy", {"scale": 0.0}, "scale: expected a finite number above 0, got 0.0"),
    ("margin_cross_entropy", {"scale": float("nan")}, "scale: expected a finite number above 0"),
    ("margin_cross_entropy", {"multiplier": -1.0}, "multiplier: expected a finite number above 0"),
    ("margin_cross_entropy", {"angle": torch.ones(4, device="meta")}, f"angle: {ELSEWHERE}"),
    ("gate", {"bias": AWAY[B]}, f"bias: {ELSEWHERE}"),
    *(("grouped_linear_cross_entropy", *each) for each in LABELLED),
    ("grouped_linear_cross_entropy", {"group": AWAY[T]}, f"group: {ELSEWHERE}"),
    ("multi_head_cross_entropy", {"targets": [T, AWAY[T]]}, rf"targets\[1\]: {ELSEWHERE}"),
    ("multi_head_cross_entropy", {"gate": (AWAY[W], None)}, f"gate: {ELSEWHERE}"),
    ("multi_head_cross_entropy", {"gate": (W, AWAY[B])}, f"the gate's bias: {ELSEWHERE}"),
    ("multi_head_cross_entropy", {"gate": (NONE, None)}, "gate: expected a row for each of one or"),
    ("match_scores", {"gallery": AWAY[W]}, "probes: expected a tensor on meta, where the gallery "),
    ("match_scores", {"probes": X.double()}, "inputs of one type are expected outside autocast"),
    ("match_template", {"branches": torch.ones(4, 2, 5).long()}, "branches: expected floating"),
    ("match_template", {"weights": torch.ones(4, 2, device="meta")}, "weights: expected a tensor on"
     " cpu, where generic is"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "change", "message"), WRONG)
def test_it_names_the_op_and_the_argument(op, change, message):
    function, given = CALLS[op]
    with pytest.raises((ValueError, TypeError), match=rf"^{op}: .*{message}"):
        function(**{**given, **change})


@pytest.mark.parametrize(("most", "error", "message"), [
    (0, ValueError, "expected 1 to 3, the size of the gallery, got 0"),
    (4, ValueError, "expected 1 to 3, the size of the gallery, got 4"),
    (1.0, TypeError, "expected an int, got float"),
    (True, TypeError, "expected an int, got bool"),
])  # fmt: skip
def test_how_many_of_a_gallery(most, error, message):
    with pytest.raises(error, match=re.escape(f"match_scores: most: {message}")):
        best_matches(X, W, most)


@pytest.mark.parametrize("op", OPS)
def test_shapes_are_told_without_values(op):
    """On torch's meta device; all but the definition of groups, whose shapes are in the values."""
    with torch.device("meta"):
        drawn = OPS[op].trials(5, torch.Generator())
    name = "sorted" if op == "grouped_linear_cross_entropy" else OPS[op].reference.name
    for trial in drawn.values():
        assert trial.call(name, *trial.inputs).is_meta


def test_heads_in_one_tensor_are_heads():
    weights, targets = torch.stack([W, 2 * W]), torch.stack([T, T])
    found = multi_head_cross_entropy(X, weights, targets)
    assert torch.equal(found.losses, multi_head_cross_entropy(X, list(weights), list(targets))[0])


@pytest.mark.parametrize(
    ("op", "name"),
    [
        (op, name)
        for op in ("linear_cross_entropy", "margin_cross_entropy", "gate")
        for name, each in OPS[op].implementations.items()
        if name != "compiled" and not each.refuses(Request(4, 0, 3))
    ],
)
def test_without_features_all_classes_are_alike(op, name):
    function, given = CALLS[op]
    x, weight = X[:, :0].clone().requires_grad_(), W[:, :0].clone().requires_grad_()
    margin = {"angle": 0.0} if op == "margin_cross_entropy" else {}
    found = function(**{**given, "x": x, "weight": weight}, implementation=name, **margin)
    found.sum().backward()
    if op == "gate":
        torch.testing.assert_close(found, torch.full((3,), 1 / 3))
    else:
        torch.testing.assert_close(found, torch.tensor(3.0).log())
    assert (x.grad.shape, weight.grad.shape) == (x.shape, weight.shape)
