"""The tiny recipes of the training tests."""

import importlib
from pathlib import Path

import pytest

TRAIN_TESTS = Path(__file__).parents[1] / "training"

collect_ignore = [
    "format_2.py",
    "killed.py",
    "other_ranks.py",
    "two_ranks_fit.py",
]  # run or imported by tests, and no tests themselves


@pytest.fixture
def points(monkeypatch):
    """The module, imported as every process of these tests imports it."""
    monkeypatch.syspath_prepend(str(TRAIN_TESTS))
    return importlib.import_module("points")
