"""The benchmarks' cells at tiny sizes: a fault in one is to be found where there is no GPU."""

import importlib.util
import json
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest
import torch
from torch.overrides import TorchFunctionMode

from mtlkit.ops.dispatch import choice
from mtlkit.ops.dispatch.table import builtin_ops

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "ops"))
import gpu
import matrix
import measure
import report
from cells import FLOOR, Cell

OPS = builtin_ops()

CELLS = list(matrix.gpu("cpu", torch.float32, shrink=64))


class DeviceNamed(TorchFunctionMode):
    """Whatever is created without naming a device lies on another one than the inputs."""

    CREATORS = (
        torch.arange, torch.empty, torch.eye, torch.full, torch.linspace, torch.ones, torch.rand,
        torch.randint, torch.randn, torch.randperm, torch.zeros,
    )  # fmt: skip

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        for each in (*args, *kwargs.values()):
            for one in each if isinstance(each, (list, tuple)) else (each,):
                # torch itself lets an index lie elsewhere, and takes a number from anywhere
                if isinstance(one, torch.Tensor) and one.is_meta and one.dim():
                    raise AssertionError(f"{function.__name__} of a tensor that is elsewhere")
        if function in self.CREATORS and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return function(*args, **kwargs)


def test_what_names_no_device_is_found():
    weight, chosen = torch.zeros(5, 2), torch.rand(5, device="cpu")
    with DeviceNamed():
        assert weight[chosen.topk(2).indices].shape == (2, 2)
        with pytest.raises(AssertionError, match="elsewhere"):
            torch.rand(5).topk(2)


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_a_cell_of_the_gpu(number):
    """Each way runs, on the device of the inputs, and leaves its gradients."""
    with DeviceNamed():
        cell = CELLS[number]()
        assert cell.op in OPS
        assert cell.baseline in {*cell.ways, *cell.left_out}
        cell.ways.pop("compiled", None)  # the definition, after seconds of compiling
        assert set(cell.beside) <= {*cell.ways, FLOOR}
        for name, way in cell.ways.items():
            cell.clear()
            way()
            left = [leaf.grad is not None for leaf in cell.leaves]
            assert any(left) or not left or name == FLOOR, name


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_what_auto_takes(number, monkeypatch):
    """The cell knows of the call what the op finds out for itself."""
    cell = CELLS[number]()
    if "auto" not in cell.ways:
        assert not cell.taken
        return
    expected, decide, taken = (cell.op, cell.taken), choice._decide, []

    def observed(op, *request):
        chosen = decide(op, *request)
        taken.append((op.name, chosen[0].name))
        return chosen

    monkeypatch.setattr(choice, "_decide", observed)
    cell.ways["auto"]()
    assert taken == [expected]


class Stream:
    """Streams that only tell which is current; a capture that fails does not leave its own."""

    def __init__(self, name="side"):
        self.name = name

    def wait_stream(self, other):
        pass


@pytest.fixture
def cuda(monkeypatch):
    """What `gpu` asks of torch.cuda, with the CPU doing the work."""
    held = SimpleNamespace(current=Stream("home"), mode=0, begun=0)

    @contextmanager
    def stream(other):
        before, held.current = held.current, other
        yield
        held.current = before

    @contextmanager
    def graph(found, stream):
        held.begun += 1
        held.current = stream
        yield
        held.current = home

    home = held.current

    def event(enable_timing):
        return SimpleNamespace(record=lambda: None, elapsed_time=lambda other: 1.0)

    for name, value in {
        "Stream": Stream,
        "stream": stream,
        "graph": graph,
        "current_stream": lambda: held.current,
        "set_stream": lambda other: setattr(held, "current", other),
        "CUDAGraph": lambda: SimpleNamespace(replay=lambda: None),
        "Event": event,
        "synchronize": lambda: None,
        "empty_cache": lambda: None,
        "mem_get_info": lambda: (2**40, 2**40),
        "memory_allocated": lambda: 0,
        "max_memory_allocated": lambda: 0,
        "reset_peak_memory_stats": lambda: None,
        "get_sync_debug_mode": lambda: held.mode,
        "set_sync_debug_mode": lambda mode: setattr(held, "mode", mode),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    for name, value in {"DEVICE": "cpu", "FLUSH": 1, "REPEATS": 1, "ROUNDS": 1}.items():
        monkeypatch.setattr(gpu, name, value)
    return held


@pytest.mark.parametrize("number", [0, 17, 19, 20, -2, -1])
def test_a_cell_is_measured(number, cuda):
    cell = CELLS[number]()
    ways = set(cell.ways)
    found = gpu.measured(cell)
    assert not cell.failed
    assert set(found["seconds"]) == set(found["graph_seconds"]) == ways
    assert set(found["peak_bytes"]) == ways - {FLOOR}
    assert set(found["of_floor"]) == (ways if FLOOR in ways else set())


def cell_of(**ways):
    leaf = torch.ones(2, requires_grad=True)
    return Cell("gate", "a cell", "one", ways, [leaf])


def test_a_way_that_fails_costs_no_other(cuda):
    def full():
        raise torch.OutOfMemoryError("no room")

    def broken():
        raise ValueError("no such thing\nand more")

    found = gpu.measured(cell_of(one=lambda: None, full=full, broken=broken))
    assert list(found["seconds"]) == ["one"]
    assert found["failed"] == {"full": "out of memory", "broken": "ValueError: no such thing"}
    assert measure.ours_failed(cell_of()) == {}


def test_gradients_are_not_added_up_in_the_time(cuda, monkeypatch):
    monkeypatch.setattr(gpu, "REPEATS", 3)
    cell, seen = cell_of(), []

    def way():
        seen.append(cell.leaves[0].grad)
        cell.leaves[0].sum().backward()

    gpu.seconds(way, cell.clear)
    assert seen == [None, None, None]


def test_a_capture_that_fails_leaves_the_stream(cuda):
    def way():
        if cuda.begun == 1:
            raise RuntimeError("operation not permitted when stream is capturing")

    home = cuda.current
    seconds, why = gpu.graph_seconds(cell_of(), way)
    assert seconds is None
    assert why == "RuntimeError: operation not permitted when stream is capturing"
    assert cuda.current is home
    assert cuda.begun == 2  # the one that fails, and an empty one that ends it


def test_what_waits_for_the_device_is_not_captured(cuda):
    def way():
        if cuda.mode == "error":
            raise RuntimeError("called a synchronizing CUDA operation")

    assert gpu.graph_seconds(cell_of(), way) == (None, "waits for the device")
    assert cuda.begun == 0
    assert cuda.mode == 0


def test_what_does_not_fit_or_takes_too_long_is_not_tried(cuda, monkeypatch):
    cell = matrix.linear(8, 8, 16)
    costs = {"eager": (1.0, 10), "fused-grad": (0.05, 1), "saved-softmax": (0.06, 2**41)}
    monkeypatch.setattr(
        gpu, "estimate", lambda op, like, request: costs.get(like.name, (0.1, 1))[0]
    )
    for name, each in OPS[cell.op].implementations.items():
        peak = costs.get(name, (0.1, 1))[1]
        replaced = attrs.evolve(each, cost=lambda request, peak=peak: SimpleNamespace(peak=peak))
        monkeypatch.setitem(OPS[cell.op].implementations, name, replaced)
    gpu.leave_out(cell)
    assert cell.left_out == {
        "textbook": "1 s by estimate, 20 times the least",
        "eager": "1 s by estimate, 20 times the least",
        "saved-softmax": "needs 2048 GiB by estimate, 1024 are free",
    }
    assert "auto" in cell.ways
    assert "eager" not in cell.ways


def test_a_report_says_what_ran_and_what_did_not(cuda, monkeypatch, tmp_path):
    def full():
        raise torch.OutOfMemoryError("no room")

    cell = matrix.linear(8, 8, 16, left_out={"native": "too many logits"})
    cell.ways["Liger-Kernel"] = full
    absent = [{"op": "gate", "title": "a | cell", "why": "no time"}]
    found = gpu.measured(cell)
    found["seconds"] |= {cell.taken: 3e-3, "fused-grad": 5e-4, "auto": 2e-3, FLOOR: 1e-4}
    monkeypatch.setattr(report, "PACKAGES", ("no-such-package",))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    written = tmp_path / "measured.json"
    cells = [{"extra_info": found}, {"extra_info": {}}]
    written.write_text(json.dumps({"benchmarks": cells, "absent": absent}))
    report.main(written, tmp_path / "ops-gpu")
    text = (tmp_path / "ops-gpu.md").read_text()
    assert "# Head ops on a GPU" in text
    assert "shared" not in text
    assert "; no-such-package not installed." in text
    assert "\nNot measured:\n\n- gate, a / cell: no time\n" in text
    assert "- native was left out: too many logits" in text
    assert "- Liger-Kernel did not run: out of memory" in text
    assert f"| fused-grad | {cell.taken} | 6.00 |" in text
    assert "\n| **fused-grad** | 0.5000 |" in text
    assert f"\n| auto ({cell.taken}) | 2.00 |" in text
    assert (tmp_path / "ops-gpu.png").exists()


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_a_cell_has_its_name_before_it_is_made(number):
    cell = CELLS[number]()
    assert matrix.named(CELLS[number]) == (cell.op, cell.title)


def test_every_cell_has_a_name_of_its_own():
    for cells in (matrix.cpu(), matrix.gpu()):
        names = list(map(matrix.named, cells))
        assert len(names) == len(set(names))


@pytest.fixture
def hooks():
    """The benchmarks' own conftest, under a name that is free."""
    path = Path(matrix.__file__).with_name("conftest.py")
    spec = importlib.util.spec_from_file_location("conftest_of_benchmarks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("fault", "measured", "why"), [
    (None, True, []),
    (lambda: pytest.skip("no time"), False, ["no time"]),
    (lambda: 1 / 0, False, ["ZeroDivisionError: division by zero"]),
    (lambda: 1 / 0, True, []),  # it has its table, which names the way that fails
])  # fmt: skip
def test_a_cell_that_is_not_measured_is_written_down(fault, measured, why, hooks):
    config = SimpleNamespace(stash={})
    hooks.pytest_configure(config)
    call = pytest.CallInfo.from_call(fault or (lambda: None), "call")
    item = SimpleNamespace(
        config=config, module=SimpleNamespace(CELLS=CELLS), callspec=SimpleNamespace(
            params={"number": 0}
        ), funcargs={"benchmark": SimpleNamespace(extra_info={"op": "gate"} if measured else {})},
    )  # fmt: skip
    report = SimpleNamespace(passed=fault is None)
    hook = hooks.pytest_runtest_makereport(item, call)
    next(hook)
    with pytest.raises(StopIteration) as done:
        hook.send(report)
    assert done.value.value is report
    written = {}
    hooks.pytest_benchmark_update_json(config, written)
    op, title = matrix.named(CELLS[0])
    assert written == {"absent": [{"op": op, "title": title, "why": each} for each in why]}
