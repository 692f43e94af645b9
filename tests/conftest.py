"""Fixtures for all tests."""

import pytest
import torch

from mtlkit.catalog import Catalog, load_catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The built-in components, without any installed plugin."""
    return load_catalog("none")


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed() -> None:
    # two threads on two shared cores are slower for tiny tensors, and differ in the last bit
    torch.set_num_threads(1)
    torch.manual_seed(0)
