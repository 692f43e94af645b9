"""`mtlkit ops`: what there is, and what would run."""

import pytest

from mtlkit.cli import main
from mtlkit.ops.names import IMPLEMENTATIONS


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as done:
        main(["ops", *arguments])
    captured = capsys.readouterr()
    return done.value.code, captured.out, captured.err


def test_list_names_every_implementation(capsys):
    code, out, _ = run(capsys, "list")
    assert code == 0
    for op, names in IMPLEMENTATIONS.items():
        part = out[out.index(f"{op}: ") :].split("\n\n")[0]
        assert [line.split()[0] for line in part.splitlines()[1:]] == list(names)


def test_explain_shows_the_choice_and_the_reasons(capsys):
    code, out, _ = run(
        capsys, "explain", "linear_cross_entropy", "--classes", "100000", "--reduction", "none"
    )
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert "chosen by auto" in lines["stored"]
    assert "cannot run: gradients in the forward pass need one number upstream" in lines["rows"]
    assert "MiB" in lines["eager"]
    assert "torch's op rounds" in run(
        capsys, "explain", "linear_cross_entropy", "--dtype", "bfloat16"
    )[1]  # fmt: skip


def test_explain_of_what_cannot_be(capsys):
    code, _, err = run(capsys, "explain", "linear_cros_entropy")
    assert code == 2
    assert "no op named 'linear_cros_entropy'; did you mean 'linear_cross_entropy'?" in err
    code, _, err = run(
        capsys, "explain", "linear_cross_entropy", "--reduction", "none", "--use", "rows"
    )
    assert code == 2
    assert "'rows', chosen by argument, cannot run: gradients in the forward pass" in err
