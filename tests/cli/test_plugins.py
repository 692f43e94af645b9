"""``mtlkit plugins``: who is there, where a name is from, what is wrong, and who is left out."""

import json

import pytest

from mtlkit.cli import main
from mtlkit.plugins.catalog import load_catalog
from mtlkit.plugins.disabled import disabled_file, read_disabled

HEAD = "import click\nfrom mtlkit.plugins.hooks import hookimpl\n"
REGISTER = HEAD + "\n@hookimpl\ndef mtlkit_register(catalog):\n    "
GOOD = REGISTER + "catalog.weightings.add('acme/even', 'mtlkit.weightings.equal:Equal', 'even')"
COMMAND = "\n\n@hookimpl\ndef mtlkit_commands():\n    return {'greet': 'somewhere:greet'}\n"


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Calls ``mtlkit plugins``: gives the exit code, what is said, and what is complained of."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("MTLKIT_PLUGINS", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site-packages"))

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main(["plugins", *arguments])
        said = capsys.readouterr()
        return caught.value.code, said.out, said.err

    return run


class TestList:
    def test_without_a_command_plugins_are_listed(self, call, distribution):
        distribution("acme", GOOD)
        assert call() == call("list")
        assert "acme: loaded\n  from      mtlkit-acme 1.0 (" in call()[1]

    def test_as_json(self, call, distribution):
        distribution("acme", GOOD + COMMAND)
        distribution("bad", "raise ImportError('no wheel')")
        code, out, _ = call("list", "--json")
        found = {one["namespace"]: one for one in json.loads(out)}
        assert code == 0
        assert found["acme"]["provides"] == ["weighting acme/even", "command mtlkit greet"]
        assert found["acme"]["status"] == "loaded"
        assert found["acme"]["file"].endswith("mtlkit_acme_plugin.py")
        assert found["bad"]["status"] == "failed"
        assert found["bad"]["reason"] == "mtlkit-bad 1.0: ImportError: no wheel"


class TestWhy:
    def test_a_component(self, call, distribution):
        module = distribution("acme", GOOD)
        code, out, _ = call("why", "acme/even")
        assert code == 0
        lines = out.splitlines()
        assert lines[0] == "weighting acme/even: even"
        assert lines[1] == "  is    mtlkit.weightings.equal:Equal"
        assert lines[2].startswith("  from  mtlkit-acme 1.0 (")
        assert lines[2].endswith(f"{module}.py)")
        assert lines[3] == (
            "  by    the entry point 'acme' of mtlkit-acme, made for plugin API 2.0"
        )
        assert lines[4] == "  see   `mtlkit show weightings/acme/even`"

    def test_a_built_in(self, call):
        assert "  by    mtlkit itself\n" in call("why", "dynamic")[1]

    def test_a_command(self, call, distribution):
        distribution("acme", GOOD + COMMAND)
        assert call("why", "greet")[1].startswith("command mtlkit greet\n  is    somewhere:greet\n")

    def test_a_plugin_that_works_and_one_that_does_not(self, call, distribution):
        distribution("acme", GOOD)
        distribution("bad", "raise ImportError('no wheel')")
        assert "  has   names: 1; see `mtlkit plugins`\n" in call("why", "acme")[1]
        out = call("why", "bad")[1]
        assert out.startswith("plugin bad: failed\n")
        assert "  since mtlkit-bad 1.0: ImportError: no wheel\n" in out

    def test_nothing_of_that_name(self, call, distribution):
        distribution("acme", GOOD)
        code, _, err = call("why", "acme/evne")
        assert code == 2
        assert "no component named 'acme/evne'; did you mean 'acme/even'?" in err


class TestDisable:
    def test_by_namespace_or_distribution_and_back(self, call, distribution):
        distribution("acme", GOOD)
        for name in ("acme", "mtlkit-acme"):
            code, out, _ = call("disable", name)
            assert code == 0
            assert out == (
                "acme (mtlkit-acme 1.0) is disabled; `mtlkit plugins enable acme` brings it back\n"
            )
            assert read_disabled() == {"acme"}
            assert "acme: left out\n" in call()[1]
            assert "acme/even" not in load_catalog().weightings
            assert call("enable", name)[1] == "acme is enabled\n"
            assert "acme/even" in load_catalog().weightings
        assert call("enable", "acme")[1] == "acme is not disabled\n"

    def test_who_asks_for_a_disabled_component_is_told(self, call, distribution):
        distribution("acme", GOOD)
        call("disable", "acme")
        code, _, err = call("why", "acme/even")
        assert code == 2
        assert "'acme/even' is unavailable: disabled; `mtlkit plugins enable acme` brings" in err

    def test_a_selection_that_is_named_counts_for_more(self, call, distribution, monkeypatch):
        distribution("acme", GOOD)
        call("disable", "acme")
        assert "acme/even" in load_catalog("all").weightings
        monkeypatch.setenv("MTLKIT_PLUGINS", "acme")
        assert "acme/even" in load_catalog().weightings

    @pytest.mark.parametrize("command", ["disable", "enable"])
    def test_an_unknown_plugin_is_an_error(self, command, call, distribution):
        distribution("acme", GOOD)
        code, _, err = call(command, "acm")
        assert code == 2
        assert "no plugin named 'acm' is installed; did you mean 'acme'?" in err

    def test_one_that_was_uninstalled_since_can_be_enabled(self, call):
        disabled_file().parent.mkdir(parents=True)
        disabled_file().write_text("gone\n")
        assert "disabled but not installed: gone\n" in call("doctor")[1]
        assert call("enable", "gone")[1] == "gone is enabled\n"
        assert read_disabled() == set()

    def test_a_place_where_nothing_can_be_written(self, call, distribution, tmp_path):
        distribution("acme", GOOD)
        (tmp_path / "config").touch()
        code, _, err = call("disable", "acme")
        assert code == 2
        assert "disabled-plugins.txt: could not be written" in err

    def test_a_file_that_is_none_disables_nothing(self, call):
        disabled_file().parent.mkdir(parents=True)
        disabled_file().write_bytes(b"\xff\xfe")
        assert read_disabled() == set()


SICK = {
    "raises": ("raise ImportError('no wheel')", {}, "mtlkit-acme 1.0: ImportError: no wheel"),
    "ends the process": ("import os\nos._exit(3)", {}, "ends the process with the exit code 3"),
    "hangs": ("import time\ntime.sleep(60)", {}, "does not load within 1.5 seconds"),
    "is heavy": (
        "import numpy\n" + GOOD,
        {},
        "imports numpy when it registers, for which every command waits; name components as "
        "'module:Class' and import inside build",
    ),
    "has a misspelt hook": (
        HEAD + "@hookimpl\ndef mtlkit_regsiter(catalog): ...",
        {},
        "'mtlkit_regsiter' is not a hook of mtlkit; did you mean 'mtlkit_register'?",
    ),
    "has a component that cannot be imported": (
        REGISTER + "catalog.heads.add('acme/lost', 'mtlkit_nowhere:Lost', 'lost')",
        {},
        "the head 'acme/lost' of mtlkit-acme 1.0 failed to import from 'mtlkit_nowhere:Lost': "
        "ModuleNotFoundError: No module named 'mtlkit_nowhere'",
    ),
    "is made for another API": (
        GOOD,
        {"api": "9.0"},
        "mtlkit-acme 1.0 was made for plugin API 9.0; expected 2.0; run "
        "`pip install --upgrade mtlkit`",
    ),
    "lacks a package": (
        GOOD,
        {"metadata": "Requires-Dist: mtlkit-nowhere>=2\n"},
        "needs mtlkit-nowhere>=2, which is not installed; run `pip install 'mtlkit-nowhere>=2'`",
    ),
    "needs another version": (
        GOOD,
        {"metadata": "Requires-Dist: attrs>=9999\n"},
        "needs attrs>=9999, but ",
    ),
    "needs what is not a package": (
        GOOD,
        {"metadata": "Requires-Dist: ???\n"},
        "its metadata has an invalid requirement: InvalidRequirement: ",
    ),
    "prints bytes and at its end": (
        "import atexit, os\nos.write(1, b'caf\\xe9\\n')\natexit.register(print, 1)\nprint('x')\n"
        + GOOD,
        {},
        "it prints on import ('x'); use logging instead",
    ),
    "has a command of ours": (
        GOOD + COMMAND.replace("greet", "train"),
        {},
        "its command 'train' is hidden by mtlkit's own",
    ),
}


class TestDoctor:
    @pytest.mark.parametrize("kind", SICK)
    def test_what_is_wrong_is_told(self, kind, call, distribution):
        code, options, said = SICK[kind]
        distribution("acme", code, **options)
        status, out, err = call("doctor", "acme", "--timeout", "1.5" if kind == "hangs" else "60")
        assert (status, err) == (1, "")
        lines = out.splitlines()
        assert lines[0] == "acme: has problems"
        assert any(line.startswith(f"  problem  {said}") or said in line for line in lines)
        assert lines[-1] == "1 plugin examined, 1 with problems"

    def test_a_plugin_that_is_well(self, call, distribution):
        distribution("acme", GOOD + COMMAND)
        status, out, _ = call("doctor", "mtlkit-acme")
        assert status == 0
        lines = out.splitlines()
        assert lines[:2] == [
            "acme: is well",
            "  from     mtlkit-acme 1.0; plugin API 2.0 of 2.0",
        ]
        assert lines[2].endswith(" ms; components: 1, commands: 1")
        assert lines[3:] == ["1 plugin examined, 0 with problems"]

    def test_conflicts_are_problems_of_those_who_have_them(self, call, distribution):
        distribution("acme", GOOD + COMMAND)
        distribution("later", GOOD.replace("acme", "later") + COMMAND)
        distribution("twin", GOOD, name="first-twin")
        distribution("twin", GOOD, name="second-twin")
        status, out, _ = call("doctor", "acme", "later", "twin")
        assert status == 1
        assert "acme: is well\n" in out
        assert "problem  the command 'greet' belongs to mtlkit-acme 1.0\n" in out
        assert "second-twin 1.0 claims the namespace 'twin' too; uninstall one\n" in out

    def test_an_extra_is_a_note_and_a_slow_import_too(self, call, distribution):
        extra = "Provides-Extra: gpu\nRequires-Dist: mtlkit-nowhere; extra == 'gpu'\n"
        distribution("acme", "import time\ntime.sleep(0.15)\n" + GOOD, metadata=extra)
        status, out, _ = call("doctor", "acme")
        assert status == 0
        assert (
            "  note     the extra 'gpu' is not installed (mtlkit-nowhere, which is not installed); "
            "`pip install 'mtlkit-acme[gpu]'` adds it\n"
        ) in out
        assert "  note     is slow to import; expected at most 100 ms\n" in out

    def test_the_sick_harm_nobody_and_are_not_imported_here(self, call, distribution):
        distribution("acme", GOOD)
        distribution("bad", "import os\nos._exit(3)")
        status, out, err = call("doctor", "acme", "bad")
        assert (status, err) == (1, "")
        assert "acme: is well\n" in out
        assert "bad: has problems\n" in out

    def test_ours_are_well(self, call):
        status, out, _ = call("doctor", "face", "hello")
        assert status == 0, out

    def test_an_unknown_plugin(self, call, distribution):
        distribution("acme", GOOD)
        code, _, err = call("doctor", "acm")
        assert code == 2
        assert "no plugin named 'acm' is installed; did you mean 'acme'?" in err
