"""The broken components, imported as every process of these tests imports them."""

import importlib
from pathlib import Path

import pytest

collect_ignore = ["broken.py", "broken_ops.py"]


@pytest.fixture
def broken(monkeypatch):
    """The module."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("broken")
