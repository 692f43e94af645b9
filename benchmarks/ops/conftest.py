"""Imports, time limit and skipped cells of the benchmarks of ops.

Cells that are not measured are written to the results with the reason.
"""

import math
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from matrix import named

STARTED = pytest.StashKey[float]()
ABSENT = pytest.StashKey[list[dict[str, str]]]()


def pytest_addoption(parser):
    parser.addoption(
        "--seconds", type=float, default=math.inf,
        help="begin no cell later than this, so that what was measured is written",
    )  # fmt: skip


def pytest_configure(config):
    config.stash[STARTED] = time.monotonic()
    config.stash[ABSENT] = []


@pytest.fixture(autouse=True)
def in_time(request):
    limit = request.config.getoption("--seconds")
    if time.monotonic() - request.config.stash[STARTED] > limit:
        pytest.skip(f"the {limit:.0f} seconds given by --seconds are over")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Store the cells that were skipped or failed before a measurement, with the reason."""
    report = yield
    benchmark = item.funcargs.get("benchmark")
    if not report.passed and not getattr(benchmark, "extra_info", None):
        op, title = named(item.module.CELLS[item.callspec.params["number"]])
        item.config.stash[ABSENT].append({"op": op, "title": title, "why": reason_of(call)})
    return report


def reason_of(call):
    """Return the reason why a test is skipped or fails, in one line."""
    if isinstance(call.excinfo.value, pytest.skip.Exception):
        return call.excinfo.value.msg
    return call.excinfo.exconly().splitlines()[0][:200]


def pytest_benchmark_update_json(config, output_json):
    output_json["absent"] = config.stash[ABSENT]
