"""Lets the benchmarks of ops import what stands beside them, and end in time."""

import math
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

STARTED = pytest.StashKey[float]()


def pytest_addoption(parser):
    parser.addoption(
        "--seconds", type=float, default=math.inf,
        help="begin no cell later than this, so that what was measured is written",
    )  # fmt: skip


def pytest_configure(config):
    config.stash[STARTED] = time.monotonic()


@pytest.fixture(autouse=True)
def in_time(request):
    limit = request.config.getoption("--seconds")
    if time.monotonic() - request.config.stash[STARTED] > limit:
        pytest.skip(f"the {limit:.0f} seconds given by --seconds are over")
