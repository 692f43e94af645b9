"""The commands as a user calls them: what they print, where, and the exit code."""

import json
import subprocess
import sys

import pytest

from mtlkit.cli import main
from mtlkit.errors import InterruptedRunError
from mtlkit.recipe_io import parse_recipe
from mtlkit.recipe_io.snippet import RECIPE_PATHS, snippet

RECIPE = """\
data: {type: images, folder: faces, pattern: "{subject}_{yaw}.png", size: 32}
backbone: casia-net
tasks:
  subject: {role: main}
  yaw: {}
weighting: {type: dynamic, total: 0.2}
"""


@pytest.fixture
def call(capsys, monkeypatch):
    """Calls the command line: ``call("list", "heads")`` gives (exit code, stdout, stderr)."""
    monkeypatch.setenv("MTLKIT_PLUGINS", "none")

    def run(*arguments, plugins=None):
        if plugins is not None:
            monkeypatch.setenv("MTLKIT_PLUGINS", plugins)
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        said = capsys.readouterr()
        return caught.value.code, said.out, said.err

    return run


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE)
    return path


PLUGIN = """
    import click
    from mtlkit.plugins.hooks import hookimpl

    @hookimpl
    def mtlkit_register(catalog):
        catalog.weightings.add("acme/halves", "mtlkit.weightings.equal:Equal", "halve it")

    @hookimpl
    def mtlkit_commands():
        return {"hello": f"{__name__}:hello", "lost": "mtlkit_nowhere:lost", "odd": "os:path"}

    @click.command()
    def hello():
        click.echo("hello from acme")
"""


class TestList:
    def test_every_family_with_summaries_and_origins(self, call, catalog):
        code, out, err = call("list")
        assert (code, err) == (0, "")
        for plural, registry in catalog.families().items():
            assert f"\n{plural}\n" in f"\n{out}"
            for entry in registry:
                assert any(
                    line.split()[0] == entry.name
                    and entry.summary in line
                    and line.endswith("mtlkit 0.1.0")
                    for line in out.splitlines()
                    if line.startswith("  ")
                )

    @pytest.mark.parametrize(
        "word", ["branches", "branch", "Branches", "data source", "data-source", "data"]
    )
    def test_a_family_in_the_singular_or_plural(self, call, word):
        code, out, _ = call("list", word)
        assert code == 0
        assert out.splitlines()[0] in ("branches", "data")

    def test_columns_are_aligned(self, call):
        _, out, _ = call("list", "weightings")
        assert len({line.index("  mtlkit 0.1.0") for line in out.splitlines()[1:] if line}) == 1

    def test_an_unknown_family(self, call):
        code, out, err = call("list", "heds")
        assert (code, out) == (2, "")
        assert err.startswith("mtlkit: error: no family named 'heds'; did you mean 'heads'?")


class TestShow:
    def test_a_component(self, call):
        code, out, _ = call("show", "dynamic")
        assert code == 0
        assert out.startswith("weighting dynamic: a softmax gate on features")
        assert "mtlkit 0.1.0" in out
        assert "mtlkit.weightings.dynamic:Dynamic" in out
        assert "eq. 7-8" in out  # its documentation
        rows = {line.split()[0]: line for line in out.splitlines() if line.startswith("  ")}
        assert "a number above 0" in rows["total"]
        assert "default 0.1" in rows["total"]
        assert "one of mean-of-products, product-of-means, released" in rows["form"]
        assert "a number above 0 or null" in rows["learning_rate"]
        assert "true or false" in rows["gate_main"]

    def test_a_required_option(self, call):
        _, out, _ = call("show", "backbones/timm")
        assert any(
            line.split()[:1] == ["model"] and "required" in line for line in out.splitlines()
        )

    def test_what_it_prints_can_be_pasted(self, catalog):
        import yaml

        for plural in RECIPE_PATHS:
            registry = catalog.families()[plural]
            for name in registry.names():
                text = snippet(catalog, plural, name, registry.get(name))
                assert list(yaml.safe_load(text)) == [RECIPE_PATHS[plural][0]]
                if plural in ("weightings", "optimizers", "schedules", "evaluators", "loggers"):
                    others = RECIPE.replace("weighting: {type: dynamic, total: 0.2}\n", "")
                    parse_recipe(others + text, "r.yaml", catalog)

    def test_unknown_left_out_and_ambiguous(self, call, distribution):
        code, _, err = call("show", "dinamic")
        assert code == 2
        assert "no component named 'dinamic'; did you mean 'dynamic'?" in err
        code, _, err = call("show", "face/rendered")
        assert code == 2
        assert "'face/rendered' is unavailable: left out by MTLKIT_PLUGINS=none" in err
        twice = PLUGIN.replace(
            '"halve it")', '"halve it")\n        catalog.heads.add("acme/halves", "a:B")'
        )
        distribution("acme", twice)
        code, _, err = call("show", "acme/halves", plugins="acme")
        assert code == 2
        assert "`mtlkit show heads/acme/halves` or `mtlkit show weightings/acme/halves`" in err
        code, out, _ = call("show", "weighting/acme/halves", plugins="acme")
        assert code == 0
        assert out.startswith("weighting acme/halves: halve it\nfrom mtlkit-acme 1.0")


class TestExplain:
    def test_where_each_value_comes_from(self, call, recipe):
        code, out, err = call("explain", str(recipe), "--set", "optimizer={type: sgd, lr: 0.5}")
        assert (code, err) == (0, "")
        rows = {line.split(":")[0]: line for line in out.splitlines()}
        assert f"{recipe}:2:11" in rows["backbone"]
        assert "casia-net" in rows["backbone"]
        assert "mtlkit 0.1.0" in rows["backbone"]
        assert rows["  total"].split() == ["total:", "0.2", f"{recipe}:6:35"]
        assert rows["  lr"].split(maxsplit=2)[1:] == ["0.5", "--set optimizer={type: sgd, lr: 0.5}"]
        assert rows["  momentum"].split() == ["momentum:", "0.9", "default"]
        assert rows["schedule"].endswith("mtlkit 0.1.0; default")
        losses = out[out.index("losses of a step") :].split("\n")
        assert [line.split() for line in losses[1:3]] == [
            ["subject", "main", "task", "a", "class"],
            ["yaw", "side", "task", "a", "class"],
        ]
        note = "note: weighting: Dynamic divides `total` among the side tasks, and 'yaw' is the"
        assert out.rstrip().splitlines()[-1].startswith(note)

    def test_mistakes_go_to_stderr_and_exit_with_2(self, call, recipe):
        recipe.write_text(RECIPE.replace("total", "totl"))
        code, out, err = call("explain", str(recipe), "--set", "seed=x")
        assert (code, out) == (2, "")
        assert err.splitlines() == [
            f"{recipe}:6:28: weighting.totl: unknown option of 'dynamic' (mtlkit 0.1.0); "
            "did you mean 'total'?",
            "--set seed=x: seed: expected a whole number from 0 to 18446744073709551615, got the "
            "text 'x'",
            "mtlkit: error: 2 mistakes, nothing was run",
        ]

    def test_no_such_file(self, call, tmp_path):
        code, _, err = call("explain", str(tmp_path / "none.yaml"))
        assert code == 2
        assert "no such file" in err


class TestSchema:
    def test_it_is_printed(self, call):
        code, out, err = call("schema")
        assert (code, err) == (0, "")
        assert "weightings/dynamic" in json.loads(out)["$defs"]

    def test_it_is_written_with_what_a_recipe_needs(self, call, tmp_path):
        path = tmp_path / "recipe.schema.json"
        code, out, _ = call("schema", "--out", str(path))
        assert code == 0
        assert out == f"first line of a recipe: # yaml-language-server: $schema={path}\n"
        assert json.loads(path.read_text())["title"] == "A recipe of mtlkit"

    def test_a_plugins_components_are_in_it(self, call, distribution):
        distribution("acme", PLUGIN)
        assert "weightings/acme/halves" in json.loads(call("schema", plugins="acme")[1])["$defs"]

    def test_a_folder_that_is_not_there(self, call, tmp_path):
        path = tmp_path / "none" / "s.json"
        code, _, err = call("schema", "--out", str(path))
        assert code == 2
        assert f"--out': {path}: the folder {path.parent} does not exist; create it\n" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "run", "new.csv", "--out", "none/p.csv"), "the folder none does not exist"),
        (("export", "run", "--out", "none/m.onnx"), "the folder none does not exist"),
        (("ops", "tune", "--out", "none/t.json"), "the folder none does not exist"),
        (("lr-find", "r.yaml", "--out", "none/c.csv"), "the folder none does not exist"),
        (("lr-find", "r.yaml", "--out", "c.png"), "c.png: expected a name that ends in .csv"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    call, arguments, message, tmp_path, monkeypatch
):
    """Neither the run nor the recipe exists, which would be the error of the work."""
    monkeypatch.chdir(tmp_path)
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert message in err


class TestPlugins:
    def test_none(self, call, monkeypatch):
        monkeypatch.setattr("mtlkit.plugins.catalog.installed_plugins", list)
        assert call("plugins")[1] == "no plugin is installed\n"

    def test_each_with_status_reason_and_what_it_provides(self, call, distribution):
        distribution("acme", PLUGIN)
        distribution("bad", "raise ImportError('no wheel')")
        code, out, err = call("plugins", plugins="acme,bad")
        assert code == 0
        assert "acme: loaded\n  from      mtlkit-acme 1.0 (" in out
        assert "  provides  weighting acme/halves\n" in out
        assert "  provides  command mtlkit hello\n" in out
        assert "bad: failed\n" in out
        assert "reason    mtlkit-bad 1.0: ImportError: no wheel" in out
        assert err.count("\n") == 1
        assert err.startswith("mtlkit: warning: the plugin 'bad' failed to load: mtlkit-bad 1.0")


class TestTheGroup:
    def test_help_lists_plugin_commands_even_beside_a_broken_plugin(self, call, distribution):
        distribution("acme", PLUGIN)
        distribution("bad", "raise ImportError('no wheel')")
        code, out, err = call("--help", plugins="acme,bad")
        assert code == 0
        assert "Commands of plugins:" in out
        assert "hello  from mtlkit-acme 1.0" in out
        assert len(err.splitlines()) == 1

    def test_a_plugin_command_runs(self, call, distribution):
        distribution("acme", PLUGIN)
        assert call("hello", plugins="acme")[:2] == (0, "hello from acme\n")

    @pytest.mark.parametrize("name", ["lost", "odd"])
    def test_a_plugin_command_that_cannot_be_imported(self, name, call, distribution):
        distribution("acme", PLUGIN)
        code, _, err = call(name, plugins="acme")
        assert code == 2
        assert f"mtlkit: error: the command {name!r} of mtlkit-acme 1.0 failed to import" in err

    def test_a_plugin_cannot_take_a_command_of_ours(self, call, distribution):
        distribution("acme", PLUGIN.replace('"hello":', '"list":'))
        code, out, err = call("list", "heads", plugins="acme")
        assert code == 0
        assert out.startswith("heads\n")
        assert "the command 'list' of mtlkit-acme 1.0 is hidden by mtlkit's own" in err

    def test_an_unknown_command(self, call):
        code, _, err = call("explian")
        assert code == 2
        assert "no command named 'explian'; did you mean 'explain'?" in err

    def test_a_wrong_option(self, call):
        assert call("list", "--speed")[0] == 2

    def test_an_unknown_plugin_in_the_environment(self, call):
        code, _, err = call("list", plugins="nobody")
        assert code == 2
        assert err.startswith("mtlkit: error: MTLKIT_PLUGINS: no plugin named 'nobody'")

    def test_the_traceback_is_shown_only_on_request(self, call, tmp_path):
        from mtlkit.errors import RecipeError

        assert "Traceback" not in call("explain", str(tmp_path))[2]
        with pytest.raises(RecipeError):
            main(["--traceback", "explain", str(tmp_path)])

    @pytest.mark.parametrize(
        ("raised", "code", "said"),
        [
            (KeyboardInterrupt(), 130, "mtlkit: interrupted"),
            (
                InterruptedRunError("stopped; continue with `mtlkit resume r`"),
                75,
                "mtlkit resume r",
            ),
        ],
    )
    def test_being_interrupted(self, raised, code, said, call, monkeypatch):
        def stop(*_):
            raise raised

        monkeypatch.setattr("mtlkit.plugins.catalog.load_catalog", stop)
        found, _, err = call("list")
        assert found == code
        assert said in err

    def test_a_pipe_that_closes(self):
        code = "from mtlkit.cli import main; main(['list'])"
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as listing:
            listing.stdout.close()  # as `mtlkit list | true` does
            said = listing.stderr.read()
        assert b"Traceback" not in said
        assert listing.returncode in (0, 1)
