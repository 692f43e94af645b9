"""Plugins of every kind, installed for a moment: each is reported, and the others stay usable."""

import gc
import signal
import sys
import textwrap
import time

import pytest
import torch

from mtlkit.errors import (
    ComponentError,
    IncompatibleError,
    LoadFailedError,
    NotInstalledError,
    UnknownComponentError,
)
from mtlkit.plugins.catalog import Catalog, PluginStatus, load_catalog
from mtlkit.plugins.discovery import InstalledPlugin

GOOD = """
    import attrs
    from mtlkit.plugins.hooks import hookimpl
    from mtlkit.weightings import Weighting

    @attrs.frozen(kw_only=True)
    class Halves(Weighting):
        '''Half of every weight.'''

        part: float = 0.5

        def build(self, terms, features):
            raise NotImplementedError

    @hookimpl
    def mtlkit_register(catalog):
        catalog.weightings.add("{0}/halves", Halves)

    @hookimpl
    def mtlkit_commands():
        return {{"{0}-command": "somewhere:command"}}
"""
HEAD = "from mtlkit.plugins.hooks import hookimpl\n"
REGISTER = HEAD + "@hookimpl\ndef mtlkit_register(catalog):\n    "


def good(namespace: str) -> str:
    return GOOD.format(namespace)


def status_of(catalog: Catalog, namespace: str) -> tuple[PluginStatus, str]:
    [record] = [record for record in catalog.plugins if record.namespace == namespace]
    return record.status, record.reason


def refusal(catalog: Catalog, name: str) -> ComponentError:
    with pytest.raises(ComponentError) as caught:
        catalog.weightings.get(name)
    return caught.value


def test_a_good_plugin_brings_its_components_and_commands(distribution):
    module = distribution("acme", good("acme"), version="1.2")
    catalog = load_catalog()
    [record] = [r for r in catalog.plugins if r.namespace == "acme"]
    assert record.status is PluginStatus.LOADED
    assert str(record.origin) == "mtlkit-acme 1.2"
    assert record.origin.file.endswith(f"{module}.py")
    entry = catalog.weightings.entry("acme/halves")
    assert entry.origin == record.origin
    assert entry.target == f"{module}:Halves"
    assert entry.summary == "Half of every weight."
    assert catalog.weightings.get("acme/halves")().part == 0.5
    assert catalog.commands["acme-command"].origin == record.origin


@pytest.mark.parametrize("line", ["from {0} import mtlkit_register", "from {0} import *"])
def test_a_hook_may_be_imported_from_another_module(line, distribution, tmp_path):
    (tmp_path / "site-packages" / "acme_impl.py").write_text(textwrap.dedent(good("acme")))
    distribution("acme", line.format("acme_impl"))
    catalog = load_catalog()
    assert status_of(catalog, "acme")[0] is PluginStatus.LOADED
    assert catalog.weightings.get("acme/halves")().part == 0.5


BROKEN = {
    "raises on import": ("raise ImportError('no such wheel')", ["ImportError: no such wheel"]),
    "exits on import": ("import sys; sys.exit('bye')", ["SystemExit: bye"]),
    "is no Python": ("def (", ["SyntaxError"]),
    "misspelt hook": (
        HEAD + "@hookimpl\ndef mtlkit_regsiter(catalog): ...",
        ["'mtlkit_regsiter' is not a hook", "did you mean 'mtlkit_register'?", "mtlkit_commands"],
    ),
    "hook of another name": (
        REGISTER + "...\n@hookimpl\ndef mtlkit_train_end(run): ...",
        ["'mtlkit_train_end' is not a hook", "expected one of mtlkit_register, mtlkit_commands"],
    ),
    "hook without the mtlkit prefix": (
        REGISTER + "...\n@hookimpl\ndef commands(): return {}",
        ["'commands' is not a hook"],
    ),
    "misspelt and not marked": (
        "def mtlkit_regsiter(catalog): ...",
        ["'mtlkit_regsiter' is not a hook", "did you mean 'mtlkit_register'?"],
    ),
    "misspelt in another module": (
        "from mtlkit_broken_impl import mtlkit_regsiter",
        ["'mtlkit_regsiter' is not a hook", "did you mean 'mtlkit_register'?"],
    ),
    "not marked": ("def mtlkit_register(catalog): ...", ["not marked as a hook", "@hookimpl"]),
    "without hooks": ("x = 1", ["implements no hook", "mtlkit_register"]),
    "a hook that wraps others": (
        REGISTER + "...\n@hookimpl(wrapper=True)\ndef mtlkit_run_started(): yield",
        ["'mtlkit_run_started' wraps the hooks of other plugins", "@hookimpl without wrapper"],
    ),
    "wrong argument of a hook": (
        HEAD + "@hookimpl\ndef mtlkit_register(registry): ...",
        ["PluginValidationError", "registry"],
    ),
    "name outside the namespace": (
        REGISTER + "catalog.weightings.add('other/halves', 'a:B')",
        ["InvalidNameError", "'other/halves'", "'broken/...'"],
    ),
    "name without a namespace": (
        REGISTER + "catalog.weightings.add('halves', 'a:B')",
        ["InvalidNameError", "'halves'", "'broken/...'"],
    ),
    "name with capitals": (
        REGISTER + "catalog.weightings.add('broken/Halves', 'a:B')",
        ["InvalidNameError", "'broken/Halves'", "lower-case"],
    ),
    "target without a class": (
        REGISTER + "catalog.weightings.add('broken/halves', 'some.module')",
        ["InvalidNameError", "'some.module'", "'module:Class'"],
    ),
    "a class that is not a component": (
        REGISTER + "catalog.weightings.add('broken/halves', dict)",
        ["is not a component", "mtlkit.component.Component"],
    ),
    "registers one name twice": (
        REGISTER + "[catalog.weightings.add('broken/halves', 'a:B') for _ in range(2)]",
        ["DuplicateNameError", "two owners", "mtlkit-broken 1.0"],
    ),
    "raises half-way": (
        REGISTER + "catalog.weightings.add('broken/first', 'a:B'); raise RuntimeError('oh\\nno')",
        ["RuntimeError: oh no"],
    ),
    "commands that are no mapping": (
        HEAD + "@hookimpl\ndef mtlkit_commands(): return ['x']",
        ["mtlkit_commands returned a list; expected a mapping"],
    ),
    "a command whose name is a number": (
        HEAD + "@hookimpl\ndef mtlkit_commands(): return {1: 'a:b'}",
        ["mtlkit_commands returned the name 1; expected lower-case letters"],
    ),
    "a command with a control character": (
        HEAD + "@hookimpl\ndef mtlkit_commands(): return {'a\\x1b[2J': 'a:b'}",
        [r"mtlkit_commands returned the name 'a\x1b[2J'"],
    ),
    "a command without a target": (
        HEAD + "@hookimpl\ndef mtlkit_commands(): return {'a': None}",
        ["mtlkit_commands returned None for 'a'; expected 'module:click_command'"],
    ),
    "skips itself": (
        "import pytest\npytest.skip('no GPU', allow_module_level=True)",
        ["Skipped: no GPU"],
    ),
    "is cancelled": ("import asyncio\nraise asyncio.CancelledError", ["CancelledError"]),
    "is interrupted": ("raise KeyboardInterrupt('by itself')", ["KeyboardInterrupt: by itself"]),
    "an error without a text": (
        "class Odd(Exception):\n    def __str__(self): raise TypeError\nraise Odd",
        ["Odd: (its message cannot be shown: TypeError)"],
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_reported_and_harms_nobody_else(kind, distribution, tmp_path):
    code, said = BROKEN[kind]
    impl = tmp_path / "site-packages" / "mtlkit_broken_impl.py"
    impl.write_text(HEAD + "@hookimpl\ndef mtlkit_regsiter(catalog): ...")
    distribution("aaa", good("aaa"))
    distribution("broken", code)
    distribution("zzz", good("zzz"))
    catalog = load_catalog()
    status, reason = status_of(catalog, "broken")
    assert status is PluginStatus.FAILED
    for part in ["mtlkit-broken 1.0", *said]:
        assert part in reason
    assert "\n" not in reason
    assert [problem.namespace for problem in catalog.problems()] == ["broken"]
    assert {"aaa", "zzz"} <= {name for name, _ in catalog.manager.list_name_plugin()}
    assert not catalog.manager.has_plugin("broken")
    error = refusal(catalog, "broken/first")
    assert type(error) is LoadFailedError
    assert reason in str(error)
    assert error.__cause__ is not None
    assert all(
        not entry.name.startswith("broken/")
        for registry in catalog.families().values()
        for entry in registry
    )
    for namespace in ("aaa", "zzz"):
        assert catalog.weightings.get(f"{namespace}/halves")().part == 0.5
    assert catalog.backbones.get("casia-net")().width == 1.0


def test_two_plugins_with_one_namespace_are_both_refused_and_both_named(distribution):
    distribution("twin", good("twin"), name="first-twin")
    distribution("twin", good("twin"), name="second-twin", version="2.0")
    distribution("acme", good("acme"))
    catalog = load_catalog()
    records = [record for record in catalog.plugins if record.namespace == "twin"]
    assert [record.status for record in records] == [PluginStatus.FAILED] * 2
    for record in records:
        assert "first-twin 1.0" in record.reason
        assert "second-twin 2.0" in record.reason
    assert type(refusal(catalog, "twin/halves")) is LoadFailedError
    assert "acme/halves" in catalog.weightings


def test_two_plugins_with_one_command(distribution):
    distribution("aaa", good("aaa"))
    distribution("bbb", good("bbb").replace("bbb-command", "aaa-command"))
    catalog = load_catalog()
    status, reason = status_of(catalog, "bbb")
    assert status is PluginStatus.FAILED
    assert "'aaa-command' belongs to mtlkit-aaa 1.0" in reason
    assert catalog.commands["aaa-command"].origin.distribution == "mtlkit-aaa"
    assert "bbb/halves" not in catalog.weightings


def test_a_distribution_seen_twice_is_one_plugin(distribution, tmp_path, monkeypatch):
    distribution("acme", good("acme"))
    linked = tmp_path / "linked"
    linked.symlink_to(tmp_path / "site-packages", target_is_directory=True)
    monkeypatch.syspath_prepend(str(linked))
    assert status_of(load_catalog(), "acme")[0] is PluginStatus.LOADED


APIS = {
    None: "names no plugin API",
    "one": "expected a number like '2.0'",
    "2.9": "expected 2.0; run `pip install --upgrade mtlkit`",
    "3.0": "expected 2.0; run `pip install --upgrade mtlkit`",
    "1.2": "run `pip install --upgrade mtlkit-acme`, or port it by docs/guide/migrate.md",
    "0.9": "pip install --upgrade mtlkit-acme`",
    "9" * 5000 + ".0": "names the plugin API '99999",
    "\u0662.0": "expected a number like '2.0'",
}


@pytest.mark.parametrize("api", APIS, ids=lambda api: str(api)[:8])
def test_an_incompatible_plugin_is_never_imported(api, distribution):
    module = distribution("acme", "raise AssertionError('imported')", api=api)
    catalog = load_catalog()
    status, reason = status_of(catalog, "acme")
    assert status is PluginStatus.INCOMPATIBLE
    assert APIS[api] in reason
    assert "mtlkit-acme 1.0" in reason
    assert type(refusal(catalog, "acme/halves")) is IncompatibleError
    assert module not in sys.modules


def test_the_module_of_an_entry_point_is_missing(distribution, tmp_path):
    module = distribution("acme", "")
    (tmp_path / "site-packages" / f"{module}.py").unlink()
    status, reason = status_of(load_catalog(), "acme")
    assert status is PluginStatus.FAILED
    assert f"No module named '{module}'" in reason


def test_metadata_that_is_damaged_does_not_stop_the_host(distribution, tmp_path):
    distribution("acme", good("acme"))
    site = tmp_path / "site-packages"
    for number, points in enumerate(["garbage", "[mtlkit]\nx", "\0", "[mtlkit]\n = = ="]):
        info = site / f"damaged{number}-1.0.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(points)
    assert "acme/halves" in load_catalog().weightings


def test_a_plugin_whose_metadata_is_not_text_harms_nobody_else(distribution, tmp_path):
    distribution("acme", good("acme"))
    distribution("broken", good("broken"))
    info = tmp_path / "site-packages" / "mtlkit_broken-1.0.dist-info"
    (info / "METADATA").write_bytes(b"Name: mtlkit-broken\nVersion: 1.0\nSummary: caf\xe9\n")
    for selection in (None, "all", "acme"):
        assert "acme/halves" in load_catalog(selection).weightings
    status, reason = status_of(load_catalog(), "broken")
    assert status is PluginStatus.FAILED
    assert reason.startswith("mtlkit_broken: its METADATA cannot be read (UnicodeDecodeError: ")
    assert reason.endswith("; reinstall it")


def test_what_an_import_does_to_the_process_is_undone_and_named(distribution, capsys):
    code = "import torch\nprint('hello')\ntorch.set_default_dtype(torch.float64)\n"
    distribution("acme", code + textwrap.dedent(good("acme")))
    [record] = [record for record in load_catalog().plugins if record.namespace == "acme"]
    assert capsys.readouterr().out == ""
    assert torch.get_default_dtype() is torch.float32
    assert record.status is PluginStatus.LOADED
    assert record.effects == (
        "sets torch's default dtype to torch.float64; it was restored to torch.float32",
        "prints on import ('hello'); use logging instead",
    )


def test_the_same_holds_for_the_module_of_a_component(distribution, tmp_path, capsys, caplog):
    distribution("acme", REGISTER + "catalog.weightings.add('acme/halves', 'acme_loud:Halves')")
    loud = "print('{}')\nimport torch\ntorch.use_deterministic_algorithms(True)\n"
    loud += textwrap.dedent(good("acme"))
    (tmp_path / "site-packages" / "acme_loud.py").write_text(loud)
    assert load_catalog().weightings.get("acme/halves")().part == 0.5
    assert not torch.are_deterministic_algorithms_enabled()
    assert capsys.readouterr().out == ""
    assert [record.getMessage() for record in caplog.records] == [
        "the weighting 'acme/halves' of mtlkit-acme 1.0 sets torch's deterministic algorithms to "
        "True; it was restored to False",
        "the weighting 'acme/halves' of mtlkit-acme 1.0 prints on import ('{}'); use logging "
        "instead",
    ]


@pytest.mark.parametrize("code", ["raise KeyboardInterrupt", "import sys; sys.exit(0)"])
def test_a_component_cannot_end_the_program(code, distribution, tmp_path):
    distribution("acme", REGISTER + "catalog.weightings.add('acme/w', 'acme_end:W')")
    (tmp_path / "site-packages" / "acme_end.py").write_text(code)
    error = refusal(load_catalog(), "acme/w")
    assert type(error) is LoadFailedError
    assert "failed to import from 'acme_end:W'" in str(error)


def test_ctrl_c_ends_the_program_while_a_plugin_loads(distribution):
    code = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(1)"
    distribution("acme", code)
    with pytest.raises(KeyboardInterrupt):
        load_catalog()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_time_to_load_grows_with_the_number_of_plugins_alone(monkeypatch):
    """Failing plugins: no step compares each with every other one, which would take 16 times."""

    def seconds(count):
        names = range(count)
        plugins = [InstalledPlugin(f"p{n}", "mtlkit_nowhere", f"d{n}", "1", "2.0") for n in names]
        monkeypatch.setattr("mtlkit.plugins.catalog.installed_plugins", lambda: plugins)
        start = time.process_time()
        assert len(load_catalog("all").problems()) == count
        return time.process_time() - start

    gc.collect()
    gc.disable()  # a collection visits the objects of all tests before
    try:
        few, many = (min(seconds(count) for _ in range(3)) for count in (150, 600))
    finally:
        gc.enable()
    assert many < 9 * few


class TestSelection:
    @pytest.fixture(autouse=True)
    def _two_plugins(self, distribution):
        distribution("aaa", good("aaa"))
        distribution("bbb", good("bbb"))

    def loaded(self, catalog: Catalog) -> set[str]:
        return {p.namespace for p in catalog.plugins if p.status is PluginStatus.LOADED} & {
            "aaa",
            "bbb",
        }

    @pytest.mark.parametrize(
        ("selection", "loaded"),
        [
            ("all", {"aaa", "bbb"}),
            ("none", set()),
            ("bbb", {"bbb"}),
            ("aaa, bbb", {"aaa", "bbb"}),
            ("", set()),
        ],
    )
    def test_by_argument_and_by_environment(self, selection, loaded, monkeypatch):
        assert self.loaded(load_catalog(selection)) == loaded
        monkeypatch.setenv("MTLKIT_PLUGINS", selection)
        assert self.loaded(load_catalog()) == loaded

    def test_what_is_left_out_says_so(self):
        catalog = load_catalog("aaa")
        status, reason = status_of(catalog, "bbb")
        assert (status, reason) == (PluginStatus.LEFT_OUT, "left out by MTLKIT_PLUGINS=aaa")
        error = refusal(catalog, "bbb/halves")
        assert type(error) is NotInstalledError
        assert "left out by MTLKIT_PLUGINS=aaa" in str(error)
        assert not catalog.problems()

    def test_an_unknown_name_is_an_error(self):
        with pytest.raises(UnknownComponentError, match=r"'aab'.*did you mean 'aaa'") as caught:
            load_catalog("aab")
        assert "bbb" in str(caught.value)


def test_a_plugin_that_is_not_installed(monkeypatch):
    monkeypatch.setattr("mtlkit.plugins.catalog.installed_plugins", list)
    catalog = load_catalog()
    with pytest.raises(NotInstalledError, match="pip install mtlkit-face"):
        catalog.data.get("face/rendered")
    with pytest.raises(NotInstalledError, match="pip install mtlkit-torchjd"):
        catalog.weightings.get("torchjd/upgrad")


class TestTheFourErrors:
    """Unknown, not installed, failed and incompatible are distinguished by type and by text."""

    def test_unknown_suggests_the_nearest(self, distribution):
        distribution("acme", good("acme"))
        catalog = load_catalog()
        for asked, meant in {
            "dynamc": "'dynamic' (built in)",
            "acme/halfes": "'acme/halves' (from mtlkit-acme 1.0)",
            "halves": "'acme/halves' (from mtlkit-acme 1.0)",
        }.items():
            error = refusal(catalog, asked)
            assert type(error) is UnknownComponentError
            assert f"no weighting named {asked!r}; did you mean {meant}?" in str(error)
            assert "`mtlkit list weightings`" in str(error)
            assert (error.family, error.name) == ("weighting", asked)

    def test_a_namespace_that_is_not_installed_suggests_the_nearest_too(self, distribution):
        distribution("acme", good("acme"))
        error = refusal(load_catalog(), "acem/halves")
        assert type(error) is NotInstalledError
        assert str(error) == (
            "the weighting 'acem/halves' is unavailable: no plugin named 'acem' is installed; did "
            "you mean 'acme/halves' (from mtlkit-acme 1.0)? Or install the distribution that "
            "provides it, for example `pip install mtlkit-acem`"
        )

    def test_failed_on_import_names_the_owner_and_keeps_the_cause(self, distribution):
        code = REGISTER + "catalog.weightings.add('acme/a', 'mtlkit_no_such_module:B')\n"
        code += "    catalog.weightings.add('acme/b', 'mtlkit.component:above')\n"
        code += "    catalog.weightings.add('acme/c', 'mtlkit.component:no_such_class')\n"
        distribution("acme", code)
        catalog = load_catalog()
        for name, said in {
            "acme/a": "ModuleNotFoundError: No module named 'mtlkit_no_such_module'",
            "acme/b": "is not a component",
            "acme/c": "no_such_class",
        }.items():
            error = refusal(catalog, name)
            assert type(error) is LoadFailedError
            assert "mtlkit-acme 1.0" in str(error)
            assert said in str(error)
        assert isinstance(refusal(catalog, "acme/a").__cause__, ModuleNotFoundError)

    def test_a_broken_neighbour_does_not_mask_a_typo(self, distribution):
        distribution("broken", "raise ImportError")
        assert "did you mean 'dynamic'" in str(refusal(load_catalog(), "dynamik"))


def test_an_undecorated_component_is_refused(distribution):
    code = good("acme").replace("@attrs.frozen(kw_only=True)", "")
    distribution("acme", code)
    status, reason = status_of(load_catalog(), "acme")
    assert status is PluginStatus.FAILED
    assert "@attrs.frozen(kw_only=True)" in reason


def test_a_hundred_plugins_load_quickly(distribution):
    for number in range(100):
        distribution(f"dummy{number}", good(f"dummy{number}"))
    start = time.perf_counter()
    catalog = load_catalog()
    taken = time.perf_counter() - start
    assert sum(name.startswith("dummy") for name in catalog.weightings.names()) == 100
    assert taken < 5, f"{taken:.2f} s"  # a bell for a change of order; 0.3 s when measured


def test_plugins_load_in_the_order_of_their_names(distribution):
    for namespace in ("ccc", "aaa", "bbb"):
        distribution(namespace, good(namespace))
    namespaces = [plugin.namespace for plugin in load_catalog().plugins]
    assert namespaces == sorted(namespaces)


@pytest.mark.parametrize(
    ("patch", "name"),
    [
        ("torch.relu = lambda x: x", "torch.relu"),
        ("torch.relu = torch.nn.functional.gelu", "torch.relu"),
        ("torch.nn.Linear.forward = lambda self, x: x", "torch.nn.Linear.forward"),
        ("torch.optim.SGD = torch.optim.Adam", "torch.optim.SGD"),
        (
            "import functools\nplain = torch.nn.functional.dropout\n"
            "@functools.wraps(plain)\ndef wrapped(*a, **k): return plain(*a, **k)\n"
            "torch.nn.functional.dropout = wrapped",
            "torch.nn.functional.dropout",
        ),
    ],
)
def test_a_plugin_that_patches_torch_is_named(patch, name, distribution):
    before = torch.relu, torch.optim.SGD, torch.nn.functional.dropout, torch.nn.Linear.forward
    distribution("acme", f"import torch\n{patch}\n{textwrap.dedent(good('acme'))}")
    [record] = [record for record in load_catalog().plugins if record.namespace == "acme"]
    assert record.effects == (f"replaces {name}; the originals were restored",)
    after = torch.relu, torch.optim.SGD, torch.nn.functional.dropout, torch.nn.Linear.forward
    assert after == before


def test_what_torch_itself_wraps_is_no_patch(distribution):
    distribution("acme", f"import torch._dynamo\nimport timm\n{textwrap.dedent(good('acme'))}")
    [record] = [record for record in load_catalog().plugins if record.namespace == "acme"]
    assert record.effects == ()
