"""``mtlkit compare`` and ``mtlkit runs`` as they are called."""

import shutil
import socket
import sys
from types import SimpleNamespace

import attrs
import pytest

from mtlkit.checksums import file_checksum
from mtlkit.cli import main
from mtlkit.comparison.execute.executor_config import ExecutorConfig
from mtlkit.comparison.results.record import Stage, record_to_line
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.runs.storage.folder import read_json, write_json


@pytest.fixture
def called(monkeypatch, capsys, tiny):
    """What a call prints and exits with."""
    monkeypatch.setattr("mtlkit.plugins.catalog.load_catalog", tiny.catalog)

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


def test_a_comparison_is_run_and_summed_up(called, bench, made, monkeypatch):
    bench.load()
    shutil.copytree(made[0].path, bench.folder / "study")
    nobody = bench.worker(2)
    here = ExecutorConfig(workers=2, factory=lambda *_: nobody)
    monkeypatch.setattr(
        "mtlkit.comparison.execute.executor_config.parse_executor_config", lambda *_, **__: here
    )
    code, out, err = called("compare", bench.folder / "comparison.yaml", "--out",
                            bench.folder / "study")  # fmt: skip
    assert code == 0
    assert nobody.made == []
    lines = out.splitlines()
    assert lines[0].split() == ["plane", "sign/accuracy", "size/mae"]
    assert [line.split()[0] for line in lines[1:4]] == ["single-task", "equal", "gls"]
    assert all(line.count("(1)") == 2 for line in lines[1:4])
    assert "12 runs, 2 at once; 12 are made" in err


def test_a_dry_run_prints_the_plan_and_writes_nothing(called, bench):
    bench.load()
    before = sorted(bench.folder.rglob("*"))
    code, out, _ = called("compare", bench.folder / "comparison.yaml", "--dry-run", "--workers", 2,
                          "--out", bench.folder / "study")  # fmt: skip
    assert code == 0
    rows = [line.split()[:5] for line in out.splitlines()]
    assert rows[1:4] == [
        ["plane", "single-task", "4", "2", "6"],
        ["plane", "equal", "2", "1", "3"],
        ["plane", "gls", "2", "1", "3"],
    ]
    assert "12 runs to make, about" in out
    assert out.rstrip().endswith(f"nothing was written to {bench.folder / 'study'}")
    assert sorted(bench.folder.rglob("*")) == before


def test_a_dry_run_of_a_study_goes_by_its_records(called, bench, made):
    bench.load(bench.file.replace("[3]", "[3, 4]"))
    code, out, _ = called("compare", bench.folder / "comparison.yaml", "--dry-run", "--out",
                          made[0].path)  # fmt: skip
    assert code == 0
    assert "4 runs to make, about" in out


def test_a_dry_run_refuses_the_folder_that_a_run_would_refuse(called, bench, made):
    bench.load(bench.file.replace("[3]", "[4]"))
    code, _, err = called("compare", bench.folder / "comparison.yaml", "--dry-run", "--out",
                          made[0].path)  # fmt: skip
    assert code == 2
    assert "holds a study with another list of seeds; choose another folder" in err
    code, _, err = called("compare", bench.folder / "comparison.yaml", "--dry-run", "--out",
                          bench.folder)  # fmt: skip
    assert code == 2
    assert "is not empty; expected a new or empty folder for the study" in err


def test_two_runs_are_laid_side_by_side(called, made):
    runs = made[0].path / "runs" / "plane"
    code, out, _ = called("compare", runs / "equal/epochs-seed3", runs / "gls/epochs-seed3")
    assert code == 0
    assert "  weighting.type   equal  gls" in out
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        *("recipe", "", "budget", "", "metrics", "")
    ]
    assert any(line.split()[0] == "test/sign/accuracy" for line in out.splitlines() if line)


def test_two_studies_are_laid_side_by_side(called, bench, made):
    other = shutil.copytree(made[0].path, bench.folder / "other")
    written = other / "comparison.yaml"
    written.write_text(written.read_text().replace("trials: 2", "trials: 9"))
    code, _, err = called("compare", made[0].path, other)
    assert code == 2
    assert "comparison.yaml: got another content than" in err
    study = read_json(other / "study.json")
    study["files"]["comparison.yaml"] = file_checksum(written)
    write_json(other / "study.json", study)
    code, out, _ = called("compare", made[0].path, other)
    assert code == 0
    assert "  tuning.trials  2  9" in out
    (found,) = [line for line in out.splitlines() if "plane/gls/epochs: sign/accuracy" in line]
    assert found.split()[-1] == "0"
    code, _, err = called("compare", other, made[0].path / "runs/plane/gls/epochs-seed3")
    assert code == 2
    assert "is a study and" in err


def test_runs_are_listed_filtered_and_sorted(called, made):
    code, out, _ = called("runs", made[0].path.parent)
    assert code == 0
    header, study = out.splitlines()
    assert header.split()[:6] == ["folder", "kind", "state", "step", "weighting", "metrics"]
    assert "study" in study
    assert "finished" in study
    asked = ("--where", "weighting=gls", "--where", "train.test=True", "--state", "finished")
    code, out, _ = called("runs", made[0].path, "--inside", *asked)
    assert [line.split()[0] for line in out.splitlines()[1:]] == [
        str(made[0].path / "runs/plane/gls/epochs-seed3")
    ]


@pytest.mark.parametrize(("metric", "higher"), [("size/mae", False), ("sign/accuracy", True)])
def test_the_best_run_is_listed_first(called, made, metric, higher):
    code, out, _ = called("runs", made[0].path, "--inside", "--sort", metric)
    assert code == 0
    ends = [line.partition(f"{metric} ")[2].split() for line in out.splitlines()]
    values = [float(end[0]) for end in ends if end]
    assert values == sorted(values, reverse=higher)
    assert len(set(values)) > 1
    assert len(values) >= 8


def test_runs_that_are_not_there_are_told_of(called, made, tmp_path):
    code, _, err = called("runs", tmp_path)
    assert code == 2
    assert "holds no run; `mtlkit train RECIPE` writes one" in err
    code, _, err = called("runs", made[0].path, "--inside", "--where", "weigthing=gls")
    assert code == 2
    assert "no run has the option 'weigthing'; did you mean 'weighting'?" in err
    code, _, err = called("runs", made[0].path, "--inside", "--sort", "size/may")
    assert "no run has the metric 'size/may'" in err
    code, _, err = called("runs", tmp_path / "none")
    assert "is not a folder" in err


def test_a_report_is_opened(called, made, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    code, _, err = called("runs", made[0].path, "--inside", "--where", "weighting=gls", "--open")
    assert code == 2
    assert "`mtlkit report" in err
    report = made[0].path / "runs/plane/gls/trial0/report.html"
    for folder in report.parent.parent.iterdir():
        (folder / "report.html").write_text("<html>")
    code, _, _ = called("runs", made[0].path, "--inside", "--where", "weighting=gls", "--open")
    assert code == 0
    assert opened[0].startswith("file://")
    for folder in report.parent.parent.iterdir():
        (folder / "report.html").unlink()


@pytest.mark.parametrize(
    "options",
    [["--out", "x"], ["--dry-run"], ["--on", "here"], ["--retry-failed"], ["--workers", 2]],
)
def test_options_of_studies_are_refused_with_two_folders(called, made, options):
    run = made[0].path / "runs/plane/gls/trial0"
    code, out, err = called("compare", run, run, *options)
    assert (code, out) == (2, "")
    assert f"{options[0]} is for running a comparison; two folders are only laid side by" in err


@pytest.mark.parametrize("every", [True, False])
def test_failed_runs_are_told_of_and_without_any_other_the_command_fails(
    called, bench, made, monkeypatch, every
):
    bench.load()
    study = StudyFolder(shutil.copytree(made[0].path, bench.folder / "study"))
    records = [
        attrs.evolve(record, error="it exploded", test={})
        if record.stage is Stage.FINAL and (every or record.method == "gls")
        else record
        for record in study.records().values()
    ]
    study.results.write_text("".join(f"{record_to_line(record)}\n" for record in records))
    here = ExecutorConfig(workers=2, factory=lambda *_: bench.worker(2))
    monkeypatch.setattr(
        "mtlkit.comparison.execute.executor_config.parse_executor_config", lambda *_, **__: here
    )
    monkeypatch.setattr("mtlkit.comparison.study.write_reports", lambda *_: None)
    code, out, err = called("compare", bench.folder / "comparison.yaml", "--out", study.path)
    assert f"{4 if every else 1} of 12 runs failed; the report states why" in out
    assert code == (2 if every else 0)
    assert ("no final run came to its end; the first to fail was plane/" in err) == every


@pytest.mark.parametrize("module", ["scipy", "optuna"])
def test_a_dry_run_tells_what_is_not_installed(called, bench, monkeypatch, module):
    bench.load()
    monkeypatch.setitem(sys.modules, module, None)
    code, _, err = called("compare", bench.folder / "comparison.yaml", "--dry-run")
    assert code == 2
    assert "pip install 'mtlkit[compare]'" in err


def test_a_ray_cluster_that_does_not_answer_is_named(called, bench, monkeypatch):
    monkeypatch.setattr(
        "mtlkit.comparison.execute.ray_executor.require_ray",
        lambda: SimpleNamespace(is_initialized=lambda: False),
    )
    bench.load()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    code, _, err = called("compare", bench.folder / "comparison.yaml", "--ray", address,
                          "--out", bench.folder / "study")  # fmt: skip
    assert code == 2
    assert f"--ray: no Ray cluster answers at {address} (ConnectionRefusedError" in err
