"""A new plugin: what is written, and that it is right for every family by itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtlkit import testing
from mtlkit.cli import main
from mtlkit.cli.commands.plugin import LONGEST, option_of
from mtlkit.plugins.catalog import PluginStatus, load_catalog
from mtlkit.plugins.families import FAMILIES
from mtlkit.recipe_io import load_recipe

ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "plugins" / "mtlkit-hello"


@pytest.fixture
def new(tmp_path, capsys, monkeypatch):
    """Calls ``mtlkit plugin new``: gives the exit code, what is output, and the new folder."""
    monkeypatch.setenv("MTLKIT_PLUGINS", "none")
    before = set(sys.modules)

    def call(*arguments):
        out = tmp_path / "new"
        with pytest.raises(SystemExit) as caught:
            main(["plugin", "new", *arguments, "--out", str(out)])
        output = capsys.readouterr()
        return caught.value.code, output.out + output.err, out

    yield call
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def contents(folder):
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "."],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    names = tracked.stdout.splitlines() if tracked.returncode == 0 else [
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    ]  # fmt: skip
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


def test_the_teaching_plugin_is_what_is_written(new):
    code, output, folder = new("hello")
    assert code == 0
    assert output.startswith(f"{folder}: 51 files; now\n  cd {folder}\n  pip install --editable")
    assert contents(folder) == contents(HELLO)


def test_with_or_without_the_prefix(new):
    _, _, folder = new("mtlkit-acme", "--weighting")
    assert (folder / "mtlkit_acme" / "plugin.py").exists()
    assert "acme/discount" in (folder / "README.md").read_text()


def installed(folder, name, monkeypatch):
    """Lint the new plugin, install it, and return its catalog."""
    for command in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
    package = f"mtlkit_{name.replace('-', '_')}"
    info = folder / f"{package}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mtlkit-{name}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(
        f"[mtlkit]\n{name} = {package}.plugin\n[mtlkit.api]\n2.0 = {package}.plugin\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    return load_catalog(name)


@pytest.mark.parametrize("family", FAMILIES, ids=option_of)
def test_a_plugin_of_one_family(family, new, monkeypatch):
    """Under the longest name there is, it passes its linters and what is cheap of the kit."""
    name = f"an-outsider-of-{option_of(family)}".ljust(LONGEST, "x")
    code, _, folder = new(name, f"--{option_of(family)}")
    assert code == 0
    catalog = installed(folder, name, monkeypatch)
    suite = testing.suite_of(name, catalog=catalog)
    labels = [case.subject.label for case in suite.cases]
    assert all(label.startswith(f"{family.plural}/{name}/") for label in labels)
    for label in set(labels):
        # the values'; the teaching plugin goes through all of them
        for case in [case for case in suite.cases if case.subject.label == label][:8]:
            case.run()
    recipes = [*folder.rglob("*.yaml")]
    assert len(recipes) == 2 * (family.plural == "data")
    for recipe in recipes:
        assert load_recipe(recipe, catalog).tasks


def test_a_plugin_with_hooks_alone(new, monkeypatch):
    code, _, folder = new("acme", "--hooks")
    assert code == 0
    catalog = installed(folder, "acme", monkeypatch)
    [record] = [plugin for plugin in catalog.plugins if plugin.namespace == "acme"]
    assert record.status is PluginStatus.LOADED, record.reason
    module = catalog.manager.get_plugin("acme")
    hooks = {caller.name for caller in catalog.manager.get_hookcallers(module)}
    assert hooks == {"mtlkit_register", "mtlkit_epoch_ended", "mtlkit_report_sections"}


@pytest.mark.parametrize("name", ["Acme", "acme/x", "1acme", "acme--x", "mtlkit", "", "a" * 31])
def test_a_name_that_cannot_be_a_namespace(name, new):
    code, output, folder = new(name)
    assert code == 2
    assert (
        f"mtlkit: error: {name!r} cannot be the namespace of a plugin; expected at most" in output
    )
    assert not folder.exists()


def test_a_folder_that_is_not_empty(new, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine.txt").touch()
    code, output, folder = new("acme")
    assert code == 2
    assert output == f"mtlkit: error: {folder}: is not empty; give another folder with --out\n"
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("number", [9, 71])  # before and after the empty file py.typed
def test_what_a_stopped_call_left_in_an_empty_folder_is_completed(
    number, new, monkeypatch, tmp_path
):
    (tmp_path / "new").mkdir()
    calls, plain = [], os.fsync

    def fsync(handle):
        calls.append(handle)
        if len(calls) == number:
            raise KeyboardInterrupt
        plain(handle)

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", fsync)
        assert new("acme")[0] == 130
    begun = [path for path in (tmp_path / "new").rglob("*") if path.is_file()]
    assert (number > 9) == any(path.name == "py.typed" for path in begun)
    assert new("acme")[0] == 0
    begun[0].write_text("mine")
    code, output, folder = new("acme")
    assert (code, output) == (
        2,
        f"mtlkit: error: {folder}: is not empty; give another folder with --out\n",
    )
    assert begun[0].read_text() == "mine"


def test_a_folder_that_cannot_be_made(new, tmp_path):
    (tmp_path / "new").touch()
    code, output, _ = new("acme")
    assert code == 2
    assert "new" in output


def test_a_new_plugin_is_whole_or_not_there(new, monkeypatch, tmp_path):
    calls, plain = [], os.fsync

    def fsync(handle):
        calls.append(handle)
        if len(calls) == 9:
            raise OSError(28, "No space left on device")
        plain(handle)

    monkeypatch.setattr("os.fsync", fsync)
    code, output, folder = new("acme")
    assert code == 2
    assert output.startswith(f"mtlkit: error: {folder}: could not be written: the disk is full.")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setenv("MTLKIT_PLUGINS", "none")
    assert new("acme")[0] == 0
