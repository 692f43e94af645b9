"""No op makes a GPU wait in a training step, but for those listed here: shown without a GPU."""

import re
import sys
from itertools import islice
from pathlib import Path

import pytest
import torch

from mtlkit.errors import ImplementationError
from mtlkit.ops import (
    adaface_margins,
    best_matches,
    grouped_linear_cross_entropy,
    linear_cross_entropy,
    margin_cross_entropy,
    multi_head_cross_entropy,
    sampled_margin_cross_entropy,
)
from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.dispatch.table import builtin_ops

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "ops"))
import launches
from absent import GPU, WaitError, absent_gpu, backward

OPS = builtin_ops()

WAITING = {
    ("grouped_linear_cross_entropy", "eager"): "nonzero: the rows of each group are picked",
    ("grouped_linear_cross_entropy", "sorted"): "_to_copy: a product needs to know its rows",
    ("grouped_linear_cross_entropy", "grouped_mm"): "_grouped_mm: torch's fallback is a loop",
}
"""What waits, in which operator, and why; `grouped_mm` does not in bfloat16."""

WAYS = [(op, name) for op, each in OPS.items() for name in each.implementations]
DTYPES = [torch.float32, torch.bfloat16]


def on_gpu(*sizes, dtype=torch.float32):
    return torch.empty(*sizes, dtype=dtype, device="meta", requires_grad=dtype.is_floating_point)


def labels(rows):
    return on_gpu(rows, dtype=torch.int64)


def many_classes(name, dtype):
    """More than a tile, so that the parts of a step are seen more than once."""
    x, weight, bias = (on_gpu(*size, dtype=dtype) for size in ((9, 16), (9000, 16), (9000,)))
    call = linear_cross_entropy(x, weight, labels(9), bias, implementation=name)
    return call, (x, weight, bias)


def a_margin_for_each_row(name, dtype):
    x, weight = on_gpu(9, 16, dtype=dtype), on_gpu(1100, 16, dtype=dtype)
    angle, additive = adaface_margins(x.norm(dim=1), x.norm(dim=1).mean(), x.norm(dim=1).std())
    loss = margin_cross_entropy(
        x, weight, labels(9), angle=angle, additive=additive, implementation=name
    )
    return loss, (x, weight)


def some_of_the_classes(name, dtype):
    x, weight = on_gpu(9, 16, dtype=dtype), on_gpu(300, 16, dtype=dtype)
    found = sampled_margin_cross_entropy(x, weight, labels(9), 100, implementation=name)
    return found.loss, (x, weight)


def groups_of(classes, name, dtype, **options):
    x, weights = on_gpu(9, 16, dtype=dtype), [on_gpu(c, 16, dtype=dtype) for c in classes]
    loss = grouped_linear_cross_entropy(
        x, weights, labels(9), labels(9), implementation=name, **options
    )
    return loss, (x, *weights)


def heads_and_a_gate(name, dtype, **options):
    x, weights = on_gpu(9, 16, dtype=dtype), [on_gpu(c, 16, dtype=dtype) for c in (200, 13, 20, 7)]
    shares = on_gpu(4, 16, dtype=dtype)
    found = multi_head_cross_entropy(
        x, weights, [labels(9) for _ in weights], gate=(shares, None), implementation=name,
        **options,
    )  # fmt: skip
    return (found.losses * found.gate).sum(), (x, *weights, shares)


def many_templates(name, dtype):
    probes, gallery = on_gpu(9, 16, dtype=dtype), on_gpu(5000, 16, dtype=dtype)
    return best_matches(probes, gallery, 5, implementation=name).scores, (probes, gallery)


MORE = {
    "linear_cross_entropy": [many_classes],
    "margin_cross_entropy": [a_margin_for_each_row],
    "sampled_margin_cross_entropy": [some_of_the_classes],
    "grouped_linear_cross_entropy": [
        lambda *way: groups_of((8, 8, 8), *way, mean_of_groups=True),
        lambda *way: groups_of((3, 5, 9), *way),
    ],
    "multi_head_cross_entropy": [
        heads_and_a_gate,
        lambda *way: heads_and_a_gate(*way, feature_gradients=True),
    ],
    "match_scores": [many_templates],
}
"""What the trials of an op leave out."""


def calls_of(op, name, dtype):
    """Functions that call an op in every way, each of which gives a result and its inputs."""
    for rows in (5, 300) if name == "fused-grad" else (5,):  # one part of the rows and several
        with torch.device("meta"):
            drawn = OPS[op].trials(rows, torch.Generator())
        # options do what they do in either type; the ways of the types differ elsewhere
        for trial in islice(drawn.values(), None if dtype == torch.float32 else 1):

            def call(trial=trial):
                inputs = [each.detach().to(dtype).requires_grad_() for each in trial.inputs]
                return trial.call(name, *inputs), inputs

            yield call
    for more in MORE.get(op, ()):
        yield lambda more=more: more(name, dtype)


def step(call):
    """A forward and a backward pass."""
    result, inputs = call()
    if result.requires_grad:
        backward([result], inputs)


def served(op, name, dtype):
    """How many calls run through without a wait; for kernels a first one may prepare something."""
    found = 0
    for call in calls_of(op, name, dtype):
        with absent_gpu() as gpu:
            try:
                for gpu.warming in (True, False) if "triton" in name else (False,):
                    step(call)
            except ImplementationError:
                continue
        assert gpu.started.total() > 0
        found += 1
    return found


@pytest.mark.parametrize(("op", "name"), [way for way in WAYS if way not in WAITING])
def test_it_waits_for_nothing(op, name):
    counts = [served(op, name, dtype) for dtype in DTYPES]
    missing = "triton" in name and OPS[op].implementations[name].refuses(
        Request(8, 8, 8, device="cuda")
    )
    assert bool(missing) != any(counts), "refuses every call, so it cannot be checked"


@pytest.mark.parametrize(("op", "name"), WAITING)
def test_what_waits_says_so_and_is_charged_for_it(op, name):
    operator, _, _ = WAITING[op, name].partition(":")
    with pytest.raises(WaitError, match=operator):
        served(op, name, torch.float32)
    implementation = OPS[op].implementations[name]
    assert "for a GPU" in implementation.summary
    here, there = (Request(512, 512, 200, device=device, parts=3) for device in ("cpu", "cuda"))
    assert implementation.cost(there).calls > implementation.cost(here).calls


def test_the_grouped_product_does_not_wait_in_bfloat16_and_is_taken_for_many_classes():
    op = "grouped_linear_cross_entropy"
    assert served(op, "grouped_mm", torch.bfloat16) == 1  # the trials are too thin for it
    request = Request(512, 512, 10_000, torch.bfloat16, "cuda", parts=3)
    there, here = (
        OPS[op].implementations["grouped_mm"].cost(request._replace(device=d))
        for d in ("cuda", "cpu")
    )
    assert there.calls == here.calls
    assert choose(OPS[op], request, None).name == "grouped_mm"


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16])
@pytest.mark.parametrize("options", [(), ("ragged",)])
@pytest.mark.parametrize("rows", [32, 512, 4096])
def test_groups_are_not_waited_for_where_classes_are_few(rows, options, dtype):
    op = "grouped_linear_cross_entropy"
    request = Request(rows, 512, 200, dtype, "cuda", parts=3, options=options)
    name = choose(OPS[op], request, None).name
    assert name == "concatenated" or (name == "grouped_mm" and dtype == torch.bfloat16)
    assert choose(OPS[op], request._replace(device="cpu"), None).name != "concatenated"


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", ["eager", "concatenated", "triton"])
def test_a_step_of_heads_can_be_captured(name, wide):
    """Nothing waits, nothing is copied, no shape is in a value; each step starts the same."""
    if wide and OPS["multi_head_cross_entropy"].implementations[name].refuses(
        Request(9, 16, 244, device="cuda", parts=5)
    ):
        pytest.skip("Triton is not installed")
    seen = []
    with absent_gpu() as gpu:
        for gpu.warming in (True, False, False):
            gpu.started.clear()
            step(lambda: heads_and_a_gate(name, torch.float32, feature_gradients=wide))
            seen.append(dict(gpu.started))
    assert seen[1] == seen[2]


@pytest.mark.parametrize("wait", [
    lambda x: x.sum().item(),
    lambda x: x.tolist(),
    lambda x: x.cpu(),
    lambda x: bool(x[0] > 0),
    lambda x: x.nonzero(),
    lambda x: x[x > 0],
    lambda x: x.masked_select(x > 0),
    lambda x: x.long().bincount(minlength=4),
    lambda x: x.unique(),
    lambda x: torch.equal(x, x),
    lambda x: torch.tensor([1.0, 2.0]).to(x.device),
    lambda x: torch.tensor([1.0, 2.0], device=x.device),
    lambda x: x.new_tensor([1.0]),
    lambda x: torch.where(x > 0, x, torch.tensor(0.0)),
    lambda x: x.index_select(0, torch.tensor([1])),
    lambda x: x.copy_(torch.zeros(3)),
])  # fmt: skip
def test_a_wait_is_found(wait):
    with (
        absent_gpu(),
        pytest.raises((WaitError, RuntimeError), match=r"GPU|the host|a mask|be called"),
    ):
        wait(torch.empty(3, device="meta"))


def test_what_does_not_wait_is_counted():
    with absent_gpu() as gpu:
        x = on_gpu(3, 4)
        assert x.device == GPU
        assert x.is_cuda
        torch._assert_async((x > 0).all(), "no wait")
        loss = torch.nn.functional.linear(x, torch.zeros(2, 4, device=x.device))
        backward([torch.where(loss > 0, loss.view(2, 3).T, 0.0).sum()], [x])
    assert gpu.started["mm"] == 2  # forward, and the gradient of x alone
    assert gpu.started["scalar_tensor"] == 2  # the zero of where, and of its gradient
    assert not {"view", "t", "empty"} & set(gpu.started)


def test_the_gradients_of_a_custom_op_are_its_own():
    """Not its fake ones: what would wait in them is seen."""
    with absent_gpu() as gpu:
        step(lambda: heads_and_a_gate("concatenated", torch.float32))
    assert gpu.started["scatter_add_"] == 4  # one for each head, by the backward pass


def test_the_launches_of_a_step_are_told():
    lines = list(launches.table())
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]
    ways = [name for name in OPS["multi_head_cross_entropy"].implementations if name in str(rows)]
    assert [name for name, *_ in rows] == ways
    for name, *counts in rows:
        forward, behind, together = map(int, counts)
        assert forward + behind == together
        told = next(line for line in lines if line.startswith(f"\n{name}: forward"))
        assert sum(int(each) for each in re.findall(r" (\d+)", told)) == together


@pytest.fixture
def asserting(monkeypatch):
    """Labels are looked at as on a GPU, by an assertion of the device; on a CPU it is one, too."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)


LABELS = torch.tensor([0, 2, 1, 0])


def call_with(op, labels, missing):
    """One of the ops that look at labels themselves, with three classes for each label."""
    x, weight = torch.ones(4, 5), torch.ones(3, 5)
    if op == "linear_cross_entropy":
        return linear_cross_entropy(
            x, weight, labels, ignore_index=missing, implementation="chunked"
        )
    if op == "multi_head_cross_entropy":
        heads = [torch.ones(9, 5), weight]
        return multi_head_cross_entropy(
            x, heads, [LABELS, labels], ignore_index=missing, implementation="concatenated"
        ).losses
    heads = [weight, torch.ones(3 if op == "groups" else 9, 5)]
    group = torch.tensor([1, 0, 0, 0])
    return grouped_linear_cross_entropy(
        x, heads, labels, group, ignore_index=missing, implementation="concatenated"
    )


OF_LABELS = ["linear_cross_entropy", "multi_head_cross_entropy", "groups", "ragged groups"]


@pytest.mark.parametrize("missing", [-100, -1, 7])
@pytest.mark.parametrize("op", OF_LABELS)
def test_right_labels_pass_the_assertion(op, missing, asserting):
    assert call_with(op, LABELS, missing).isfinite().all()
    some = LABELS.index_fill(0, torch.tensor([1, 3]), missing)
    assert call_with(op, some, missing).isfinite().all()
    call_with(op, torch.full((4,), missing), missing)  # nobody has one


@pytest.mark.parametrize("wrong", [-1, 3, -100, 2**40])
@pytest.mark.parametrize("op", OF_LABELS)
def test_a_wrong_label_fails_the_assertion(op, wrong, asserting):
    with pytest.raises(RuntimeError, match="a label is outside"):
        call_with(op, LABELS.index_fill(0, torch.tensor([1]), wrong), -5)
