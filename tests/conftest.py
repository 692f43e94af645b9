"""Fixtures for all tests."""

import functools
import importlib
import importlib.util
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.setdefault("GOMP_SPINCOUNT", "30000")  # before torch: tests with two threads

import torch

from mtlkit.plugins.catalog import Catalog, load_catalog
from mtlkit.weightings import GradientWeighting

collect_ignore = ["schemes.py"]

LONG = (
    "tests/architecture/test_static.py",
    "tests/wheels/",
    "tests/bad_input/test_campaign.py",
    "tests/docs/test_site.py",
    "tests/docs/test_preemption.py",
    "tests/cli/test_processes.py",
    "tests/testing/test_built_ins.py",
    "tests/training/test_every_scheme.py",
    "tests/training/test_ranks.py",
    "tests/training/test_sharded.py",
    "tests/docs/test_guide.py",
    "plugins/mtlkit-face/tests/study/test_study_runs.py",
)
"""Files of half a minute and more: begun last, one of them would keep a single process waiting."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the long files first."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@functools.cache
def _module(name: str):
    """A module beside this file, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for a `scheme` is run with every weighting, or with those of one kind."""
    for asked in {"scheme", "loss_scheme", "gradient_scheme"} & set(metafunc.fixturenames):
        chosen = {
            name.replace(" ", "-"): scheme
            for name, scheme in _module("schemes").SCHEMES.items()
            if asked == "scheme"
            or (asked == "gradient_scheme") == isinstance(scheme, GradientWeighting)
        }
        metafunc.parametrize(asked, chosen.values(), ids=list(chosen))


@pytest.fixture(scope="session")
def schemes():
    """Every weighting by name."""
    return _module("schemes").SCHEMES


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The built-in components, without any installed plugin."""
    return load_catalog("none")


@pytest.fixture(autouse=True, scope="session")
def _no_plugin_disabled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whoever runs the tests may have disabled a plugin; here that counts for nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed() -> None:
    # two threads on two shared cores are slower for tiny tensors, and differ in the last bit
    torch.set_num_threads(1)
    # `torch.manual_seed` formats the whole stack for a GPU that was never used: 0.4 ms here
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(0)


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Installs throw-away plugins: ``distribution("acme", code)`` gives the module's name.

    What is written is what pip writes: a module, and a dist-info folder with its entry points.
    """
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def install(
        namespace: str,
        code: str,
        *,
        name: str = "",
        version: str = "1.0",
        api: str | None = "2.0",
        module: str = "",
        metadata: str = "",
    ) -> str:
        name = name or f"mtlkit-{namespace}"
        module = module or f"{name.replace('-', '_')}_plugin"
        (site / f"{module}.py").write_text(textwrap.dedent(code), encoding="utf-8")
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}"
        )
        points = f"[mtlkit]\n{namespace} = {module}\n"
        if api is not None:
            points += f"[mtlkit.api]\n{api} = {module}\n"
        (info / "entry_points.txt").write_text(points)
        importlib.invalidate_caches()
        return module

    yield install
    for imported in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[imported], "__file__", None)):
            del sys.modules[imported]
