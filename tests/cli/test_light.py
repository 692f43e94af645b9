"""What must answer at once does: in a fresh interpreter, without torch and without YAML."""

import json
import resource
import subprocess
import sys

import pytest

HEAVY = ("torch", "timm", "numpy", "matplotlib", "PIL", "yaml", "cattrs", "rich", "jinja2")

PROBE = """
import json, sys
sys.argv = ["mtlkit", *json.loads(sys.argv[1])]
from mtlkit.cli import main
try:
    main()
except SystemExit as end:
    print(json.dumps([end.code, sorted(sys.modules)]), file=sys.stderr)
"""


def modules_of(*arguments, env=None):
    """The exit code of a command, and the modules it imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(arguments)],
        capture_output=True,
        text=True,
        check=True,
        env=env,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return code, set(modules), done.stdout


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("list",), ("list", "heads"), ("plugins",), ("--version",)],
)
def test_listing_imports_nothing_heavy(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, modules, out = modules_of(*arguments)
    assert code == 0
    assert out
    assert not modules & set(HEAVY)


def seconds(*arguments):
    """CPU seconds of a command: another process that holds a core does not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", PROBE, json.dumps(arguments)], capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("command", ["--help", "list", "plugins", "runs", "--version"])
def test_answers_in_a_moment(command, record_property, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seconds(command)  # compiles
    taken = min(seconds(command) for _ in range(5))
    record_property("seconds", taken)
    # the promise is 0.3 s on a free machine; a full cache costs a command its own speed
    assert taken < 0.5, f"mtlkit {command}: {taken:.2f} s"


def test_a_hundred_plugins_are_listed_quickly(distribution, tmp_path, monkeypatch):
    for number in range(100):
        distribution(
            f"dummy{number}",
            f"""
            from mtlkit.plugins.hooks import hookimpl

            @hookimpl
            def mtlkit_register(catalog):
                catalog.heads.add("dummy{number}/head", "nowhere:Head", "none")
            """,
        )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site-packages"))
    code, modules, out = modules_of("list", "heads")
    assert code == 0
    assert out.count("/head") == 100
    assert "torch" not in modules
    taken = min(seconds("list", "heads") for _ in range(3))
    assert taken < 1.5, f"{taken:.2f} s"
