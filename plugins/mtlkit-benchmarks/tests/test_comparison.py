"""A comparison on a benchmark: its page and the terminal show the published rows."""

import pytest
from mtlkit_benchmarks.cli import PROTOCOLS

from mtlkit.cli import main

COMPARISON = """
problems:
  nyuv2:
    recipe: {recipe}
    set:
      - data.folder={folder}
      - data.complete=false
      - train.epochs=1
      - train.threads=1
      - train.batch=4
      - backbone.width=0.0625
      - evaluators=[]
weightings: []
seeds: 1
without: {{single-task: for speed, log: for speed, tuned: for speed, rlw: for speed}}
"""


def run(*arguments):
    with pytest.raises(SystemExit) as caught:
        main([*map(str, arguments)])
    return caught.value.code


def test_compare_prints_the_published_rows_of_both_families(tree, tmp_path, capsys):
    pytest.importorskip("statsmodels", reason="needs the extra `compare`")
    file = tmp_path / "study.yaml"
    recipe = PROTOCOLS / "nyuv2-segnet-mtan.yaml"
    file.write_text(COMPARISON.format(recipe=recipe, folder=tree("nyuv2")))
    assert run("compare", file, "--out", tmp_path / "study", "--workers", 1, "--quiet") == 0
    out = capsys.readouterr().out
    assert "nyuv2: Published: NYUv2, SegNet-MTAN, the code family of Nash-MTL" in out
    assert "nyuv2: Published: NYUv2, SegNet-MTAN, the code family of LibMTL" in out
    assert (
        "not comparable: network: got SegNetMTAN with the options of the recipe, published" in out
    )
    assert "here: equal" in out
    page = (tmp_path / "study" / "report.html").read_text()
    assert "Published: NYUv2, SegNet-MTAN, the code family of LibMTL" in page
    assert "Published: NYUv2" in (tmp_path / "study" / "report.md").read_text()


def test_the_result_of_a_run_is_the_mean_of_the_last_validations(tree, tmp_path, capsys):
    settings = ["data.complete=false", "train.epochs=3", "train.batch=4", "backbone.width=0.0625"]
    settings += [f"data.folder={tree('nyuv2')}", "evaluators=[]", "train.threads=1"]
    chosen = [part for setting in settings for part in ("--set", setting)]
    recipe = PROTOCOLS / "nyuv2-segnet-mtan.yaml"
    assert run("train", recipe, "--out", tmp_path / "run", "--quiet", *chosen) == 0
    capsys.readouterr()
    assert run("benchmarks", "result", tmp_path / "run", "--last", 2) == 0
    out = capsys.readouterr().out
    assert "selection: got mean of the last 2 epochs on test, published mean of the last 10" in out
    assert "here: Equal" in out
    assert run("benchmarks", "result", tmp_path / "run", "--last", 5) != 0
    assert "got 3 validations, expected at least 5" in capsys.readouterr().err
    assert run("benchmarks", "result", tmp_path / "run") == 0
    assert "selection: got last epoch" in capsys.readouterr().out
