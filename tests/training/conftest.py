"""The tiny recipes of `points.py`."""

import importlib
from pathlib import Path

import pytest

collect_ignore = [
    "loops.py",
    "points.py",
    "sharded.py",
    "two_ranks.py",
]  # run or imported by tests, and no tests themselves


@pytest.fixture
def points(monkeypatch):
    """The module, imported as every process of these tests imports it."""
    for folder in (Path(__file__).parent.parent, Path(__file__).parent):
        monkeypatch.syspath_prepend(str(folder))
    return importlib.import_module("points")
