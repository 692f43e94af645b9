"""`mtlkit ops`: what there is, and what would run."""

import json

import pytest
import torch

from mtlkit.cli import main
from mtlkit.cli.commands.ops import ops
from mtlkit.ops import gate
from mtlkit.ops.dispatch.table import builtin_ops

IMPLEMENTATIONS = {name: tuple(op.implementations) for name, op in builtin_ops().items()}


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as done:
        main(["ops", *arguments])
    captured = capsys.readouterr()
    return done.value.code, captured.out, captured.err


def test_show_explains_an_op_and_an_implementation(capsys, monkeypatch):
    monkeypatch.setenv("MTLKIT_PLUGINS", "hello")
    for name, documented, command in (
        ("gate", gate.__doc__, "mtlkit ops explain gate"),
        (
            "hello/by-rows",
            "Return the losses, reduced as the call requests.",
            "MTLKIT_OPS=linear_cross_entropy=hello/by-rows mtlkit train RECIPE.yaml",
        ),
    ):
        with pytest.raises(SystemExit) as done:
            main(["show", name])
        assert done.value.code == 0
        out = capsys.readouterr().out
        assert documented.splitlines()[0] in out
        assert out.endswith(f"on the command line\n{command}\n")


def test_list_names_every_implementation(capsys, monkeypatch):
    monkeypatch.setenv("MTLKIT_PLUGINS", "none")
    code, out, _ = run(capsys, "list")
    assert code == 0
    for op, names in IMPLEMENTATIONS.items():
        part = f"\n{out}".split(f"\n{op}: ")[1].split("\n\n")[0]
        lines = part.splitlines()[1:]
        assert [line.split()[0] for line in lines] == list(names)
        for line in lines:
            assert (" ms " in line and " MiB" in line) or "cannot run: " in line
        assert sum("chosen by auto" in line for line in lines) == 1


def test_explain_shows_the_choice_and_the_reasons(capsys):
    code, out, _ = run(
        capsys, "explain", "linear_cross_entropy", "--classes", "100000", "--reduction", "none"
    )
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert "chosen by auto" in lines["saved-softmax"]
    assert (
        "cannot run: gradients in the forward pass need one number upstream" in lines["fused-grad"]
    )
    assert "MiB" in lines["eager"]
    assert "torch's op rounds" in run(
        capsys, "explain", "linear_cross_entropy", "--dtype", "bfloat16"
    )[1]  # fmt: skip


def test_explain_of_a_device_that_is_not_here(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, out, _ = run(capsys, "explain", "gate", "--device", "cuda")
    assert code == 0
    assert out.splitlines()[-1] == (
        "times and memory beyond inputs and gradients are estimates for an assumed H200: torch "
        "finds no GPU here, so none of this can run"
    )
    assert run(capsys, "explain", "gate")[1].endswith("are estimates for a CPU\n")
    assert run(capsys, "list")[1].endswith("200 classes, float32, on a CPU\n")


def test_explain_of_what_cannot_be(capsys):
    code, _, err = run(capsys, "explain", "linear_cros_entropy")
    assert code == 2
    assert "no op named 'linear_cros_entropy'; did you mean 'linear_cross_entropy'?" in err
    code, _, err = run(
        capsys, "explain", "linear_cross_entropy", "--reduction", "none", "--use", "fused-grad"
    )
    assert code == 2
    assert "'fused-grad', chosen by argument, cannot run: gradients in the forward pass" in err


def test_tune_writes_a_table_that_the_choice_goes_by(capsys, tmp_path, monkeypatch):
    path = tmp_path / "table.json"
    sizes = ("--rows", "8", "--features", "16", "--classes", "24")
    code, out, _ = run(capsys, "tune", "--out", str(path), *sizes)
    assert code == 0
    table = json.loads(path.read_text())
    assert table["torch"] == torch.__version__
    timed = {key.split()[0] for key in table["seconds"]}
    assert timed == {
        "linear_cross_entropy", "margin_cross_entropy", "grouped_linear_cross_entropy",
        "multi_head_cross_entropy", "gate",
    }  # fmt: skip
    for key, seconds in table["seconds"].items():
        assert key in out
        assert seconds
        assert all(taken > 0 for taken in seconds.values())
    # what the table holds decides
    for seconds in table["seconds"].values():
        seconds["eager"] = 1.0
    path.write_text(json.dumps(table))
    monkeypatch.setenv("MTLKIT_OPS_TABLE", str(path))
    _, out, _ = run(capsys, "explain", "linear_cross_entropy", *sizes)
    chosen = next(line for line in out.splitlines() if "chosen by auto" in line)
    assert not chosen.startswith("eager")
    assert "1e+03 ms" in out


def test_tune_for_a_device_that_is_not_here(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, _, err = run(capsys, "tune", "--out", str(tmp_path / "x"), "--device", "cuda")
    assert code == 2
    assert "--device cuda: torch finds no GPU here" in err


def test_the_commands_and_their_options_are_frozen():
    found = {
        name: {parameter.opts[0] for parameter in command.params}
        for name, command in ops.commands.items()
    }
    sizes = {"--rows", "--features", "--classes", "--dtype", "--device"}
    assert found == {
        "list": set(),
        "explain": {"op", "--parts", "--reduction", "--forward-only", "--use", *sizes},
        "tune": {"--out", *sizes},
    }
