"""``mtlkit compare`` and ``mtlkit runs`` as they are called."""

import shutil

import pytest

from mtlkit.cli import main
from mtlkit.compare.place import Place


@pytest.fixture
def called(monkeypatch, capsys, tiny):
    """What a call prints and exits with."""
    monkeypatch.setattr("mtlkit.catalog.load_catalog", tiny.catalog)

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
    here = Place(workers=2, make=lambda *_: nobody)
    monkeypatch.setattr("mtlkit.compare.place.place_of", lambda *_, **__: here)
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


def test_two_runs_are_laid_side_by_side(called, made):
    runs = made[0].path / "runs" / "plane"
    code, out, _ = called("compare", runs / "equal/epochs-seed3", runs / "gls/epochs-seed3")
    assert code == 0
    assert "  weighting.type   equal@1  gls@1" in out
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        *("recipe", "", "budget", "", "metrics", "")
    ]
    assert any(line.split()[0] == "test/sign/accuracy" for line in out.splitlines() if line)


def test_two_studies_are_laid_side_by_side(called, bench, made):
    other = shutil.copytree(made[0].path, bench.folder / "other")
    written = other / "comparison.yaml"
    written.write_text(written.read_text().replace("trials: 2", "trials: 9"))
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
    assert header.split()[:5] == ["folder", "kind", "state", "weighting", "metrics"]
    assert "study" in study
    assert "finished" in study
    asked = ("--where", "weighting=gls", "--where", "train.test=True", "--state", "finished")
    code, out, _ = called("runs", made[0].path, "--inside", *asked)
    assert [line.split()[0] for line in out.splitlines()[1:]] == [
        str(made[0].path / "runs/plane/gls/epochs-seed3")
    ]
    code, out, _ = called("runs", made[0].path, "--inside", "--sort", "size/mae")
    ends = [line.partition("size/mae ")[2].split() for line in out.splitlines()]
    values = [end[0] for end in ends if end]
    assert values == sorted(values, key=float)
    assert len(values) >= 8


def test_runs_that_are_not_there_are_told_of(called, made, tmp_path):
    code, _, err = called("runs", tmp_path)
    assert code == 2
    assert "there is no run below it" in err
    code, _, err = called("runs", made[0].path, "--inside", "--where", "weigthing=gls")
    assert code == 2
    assert "no run has the option 'weigthing'; did you mean 'weighting'?" in err
    code, _, err = called("runs", made[0].path, "--inside", "--sort", "size/may")
    assert "no run has the metric 'size/may'" in err
    code, _, err = called("runs", tmp_path / "none")
    assert "is no folder" in err


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
