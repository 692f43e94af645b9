"""Which implementation runs: argument, context, environment, cost model; and why not."""

import importlib
import json
import pkgutil
import re

import pytest
import torch

import mtlkit.ops
from mtlkit.errors import ImplementationError
from mtlkit.ops import explain, use
from mtlkit.ops.builtins import BUILTIN_OPS
from mtlkit.ops.dispatch import choice, estimate
from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.device import device_text
from mtlkit.ops.dispatch.estimate import table_key
from mtlkit.ops.dispatch.implementation import Op, Request
from mtlkit.ops.dispatch.table import builtin_ops
from mtlkit.ops.dispatch.timing import Sizes

OPS = builtin_ops()

LINEAR = OPS["linear_cross_entropy"]
SMALL, LARGE = Request(512, 512, 200), Request(512, 512, 100_000)


def chosen(request=SMALL, argument=None, op=LINEAR):
    return choose(op, request, argument).name


def told_by(request=SMALL, argument=None):
    return {line.name: line.chosen for line in explain(LINEAR, request, argument) if line.chosen}


def test_each_op_is_declared_under_its_name():
    assert set(OPS) == set(BUILTIN_OPS)
    for name, op in OPS.items():
        assert op.name == name
        assert op.reference is next(iter(op.implementations.values()))
        assert op.__doc__
        assert all(each.summary for each in op.implementations.values())
        assert op.trials(3, torch.Generator())


def test_a_loss_for_each_row_is_what_heads_choose_from():
    assert "fused-grad" in LINEAR.implementations
    assert "fused-grad" not in LINEAR.names_for_heads()
    for op in OPS.values():
        request = Request(8, 16, 16, reduction="none")
        refusing = {
            n for n, each in op.implementations.items() if "upstream" in each.refuses(request)
        }
        assert refusing == set(op.implementations) - set(op.names_for_heads())


def test_an_op_has_implementations_of_distinct_names():
    eager = LINEAR.implementations["eager"]
    for given in ((), (eager, eager)):
        with pytest.raises(ValueError, match=r"acme/x: got .*, expected one or more with distinct"):
            Op("acme/x", print, *given, trials=LINEAR.trials)


def test_the_argument_is_stronger_than_the_context_than_the_environment(monkeypatch):
    assert told_by() == {"eager": "auto"}
    monkeypatch.setenv("MTLKIT_OPS", "linear_cross_entropy=saved-softmax")
    assert told_by() == {"saved-softmax": "environment"}
    with use(linear_cross_entropy="fused-grad"):
        assert told_by() == {"fused-grad": "context"}
        assert told_by(argument="chunked") == {"chunked": "argument"}
        with use(linear_cross_entropy="native"):
            assert told_by() == {"native": "context"}
        assert told_by() == {"fused-grad": "context"}
        assert told_by(argument="auto") == {"eager": "auto"}
    assert told_by() == {"saved-softmax": "environment"}


def test_auto_fits_the_size():
    assert chosen(SMALL) == "eager"
    assert chosen(LARGE) == "fused-grad"
    assert chosen(LARGE._replace(reduction="none")) == "saved-softmax"
    assert chosen(LARGE._replace(options=("forward_mode",))) == "eager"


def test_auto_normalizes_many_classes_by_tiles():
    """A quarter of 100,000 classes: eager takes 1.5 to 2 times as long (64 rows, 64 features)."""
    op = OPS["cosine_negatives"]
    names = [chosen(Request(64, 64, classes), op=op) for classes in (100, 25_000)]
    assert names == ["eager", "saved-softmax"]


def test_auto_never_takes_what_must_be_asked_for():
    assert all(chosen(Request(n, 512, c)) != "compiled" for n in (8, 4096) for c in (2, 10**5))


def test_auto_keeps_within_half_of_the_memory():
    request = Request(2**17, 512, 2**22, reduction="none")
    assert chosen(request) == "chunked"


@pytest.mark.parametrize("by", ["argument", "context", "environment"])
def test_a_choice_that_cannot_run_is_an_error_that_says_why(by, monkeypatch):
    request = SMALL._replace(reduction="none")
    wanted = re.escape(
        f"linear_cross_entropy: 'fused-grad', chosen by {by}, cannot run: gradients in"
    )
    if by == "environment":
        monkeypatch.setenv("MTLKIT_OPS", "linear_cross_entropy=fused-grad")
    with use(**({"linear_cross_entropy": "fused-grad"} if by == "context" else {})):
        with pytest.raises(ImplementationError, match=wanted):
            chosen(request, "fused-grad" if by == "argument" else None)
        if by != "argument":
            assert chosen(request, "eager") == "eager"


def test_unknown_names_are_errors(monkeypatch):
    with pytest.raises(
        ImplementationError, match="no implementation named 'chunk'; did you mean 'ch"
    ):
        chosen(argument="chunk")
    with (
        pytest.raises(ImplementationError, match=r"use\(\): no op named 'linear'; the ops are"),
        use(linear="fused-grad"),
    ):
        pass
    monkeypatch.setenv("MTLKIT_OPS", "linear_cross_entropy:rows")
    with pytest.raises(ImplementationError, match="MTLKIT_OPS: expected op=implementation, sepa"):
        chosen()
    monkeypatch.setenv("MTLKIT_OPS", "gates=fused-grad")
    with pytest.raises(ImplementationError, match="MTLKIT_OPS: no op named 'gates'"):
        chosen()


def test_a_tuned_table_is_stronger_than_the_cost_model(monkeypatch, tmp_path):
    path = tmp_path / "table.json"
    key = table_key(LINEAR.name, SMALL)
    table = {"torch": torch.__version__, "seconds": {key: {"chunked": 1e-9}}}
    path.write_text(json.dumps(table))
    monkeypatch.setenv("MTLKIT_OPS_TABLE", str(path))
    assert chosen(SMALL) == "chunked"
    assert chosen(SMALL._replace(rows=400)) == "chunked"  # the same step of sizes
    assert chosen(SMALL._replace(rows=4000)) == "eager"
    old = tmp_path / "old.json"
    old.write_text(json.dumps({**table, "torch": "1.0"}))
    monkeypatch.setenv("MTLKIT_OPS_TABLE", str(old))
    with pytest.raises(ImplementationError, match=r"was measured with torch 1.0, this is torch"):
        chosen(SMALL)
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"torch": torch.__version__, "gpu": "a GPU", "seconds": {}}))
    monkeypatch.setenv("MTLKIT_OPS_TABLE", str(other))
    with pytest.raises(ImplementationError, match="was measured on a GPU, this is"):
        chosen(SMALL)
    monkeypatch.setenv("MTLKIT_OPS_TABLE", str(tmp_path / "none.json"))
    with pytest.raises(
        ImplementationError, match="is not a table of `mtlkit ops tune`: FileNotFound"
    ):
        chosen(SMALL)


def test_a_table_serves_heads_of_another_number(monkeypatch, tmp_path):
    """`mtlkit ops tune` measures three groups, and three and four heads with their gate."""
    op, path = OPS["multi_head_cross_entropy"], tmp_path / "table.json"
    heads = list(op.timings(Sizes([512], 16, [200])))
    assert {trial.request.parts for trial in heads} == {4, 5}
    keys = {
        table_key(op.name, trial.request): {"triton": 1.0, "concatenated": 1e-9} for trial in heads
    }
    path.write_text(json.dumps({"torch": torch.__version__, "seconds": keys}))
    monkeypatch.setenv("MTLKIT_OPS_TABLE", str(path))
    for parts, classes in ((2, 40), (3, 60), (4, 44), (5, 244), (8, 250)):
        asked = Request(512, 16, classes, parts=parts)
        assert told_seconds(op, asked)["concatenated"] == 1e-9, parts
    for parts in (1, 9, 40):  # one is no several, and many take longer
        assert told_seconds(op, Request(512, 16, 44, parts=parts))["concatenated"] > 1e-6


def told_seconds(op, request):
    return {line.name: line.seconds for line in explain(op, request, None)}


def test_a_table_of_another_form_is_an_error(monkeypatch, tmp_path):
    path = tmp_path / "table.json"
    key = table_key(LINEAR.name, SMALL).replace("parts<=1", "parts=1")
    path.write_text(json.dumps({"torch": torch.__version__, "seconds": {key: {"fused-grad": 1.0}}}))
    monkeypatch.setenv("MTLKIT_OPS_TABLE", str(path))
    with pytest.raises(ImplementationError, match=r"parts=1 gradient reduction=mean', as another"):
        chosen(SMALL)


def test_no_more_is_remembered_than_is_sensible():
    """The rows of a batch may vary, and a run is long."""
    bound = choice._fastest.cache_info().maxsize
    for rows in range(1, bound + 50):
        chosen(Request(rows, 8, 8))
    assert choice._fastest.cache_info().currsize == bound


def test_what_is_remembered_without_bound_is_known():
    names = [
        module.name
        for module in pkgutil.walk_packages(mtlkit.ops.__path__, "mtlkit.ops.")
        if module.name != "mtlkit.ops.triton.kernels"  # they need Triton
    ]
    unbounded = {
        f"{name.removeprefix('mtlkit.ops.')}.{key}"
        for name in names
        for key, value in vars(importlib.import_module(name)).items()
        if getattr(value, "cache_parameters", dict)().get("maxsize", 0) is None
        and value.__module__ == name
    }
    assert unbounded == {
        "kernels.compiled.compiled",  # the definitions of two ops
        "kernels.triton_config._gpu",  # one for each GPU
        "dispatch.device.device_of",  # a CPU and a GPU
        "triton.heads._starts",  # one for each net
    }


@pytest.mark.parametrize(("kind", "name", "told"), [
    ("cpu", "", "a CPU"),
    ("cuda", "", "an assumed H200: torch finds no GPU here, so none of this can run"),
    ("cuda", "NVIDIA H100 PCIe", "NVIDIA H100 PCIe"),
    ("cuda", "Tesla T4", "Tesla T4, taken for a GPU of 100 TFLOP/s and 0.6 TB/s"),
])  # fmt: skip
def test_for_which_device_estimates_are(kind, name, told, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(name))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name)
    assert device_text(kind) == told


def test_explain_has_a_line_for_each():
    lines = explain(LINEAR, LARGE._replace(reduction="none"), None)
    own = [line.name for line in lines if "/" not in line.name]  # plugins' come last
    assert own == list(LINEAR.implementations)
    assert all(line.seconds > 0 and line.peak >= 0 for line in lines)
    refusing = [line.name for line in lines if line.refuses and "triton" not in line.name]
    assert refusing == ["fused-grad"]


def test_sizes_are_rounded_up_in_a_trace():
    assert [estimate.round_up(size) for size in (1, 32, 33, 1025, 10**9)] == [
        32,
        32,
        64,
        4096,
        2**30,
    ]
