"""Notes on a recipe, its data and its weights: printed at the start, and kept in the report."""

import json

import mtlkit
from mtlkit.backbones import MLP
from mtlkit.data import Loading, Table
from mtlkit.recipe import Recipe, Train
from mtlkit.task import Task


def test_a_note_is_printed_and_in_the_report(tmp_path, capsys):
    rows = [f"{'1_000' if n == 3 else n % 7},{'ab'[n % 2]}" for n in range(40)]
    (tmp_path / "points.csv").write_text("\n".join(["x,side", *rows]) + "\n")
    recipe = Recipe(
        data=Table(file="points.csv", labels=("side",)),
        backbone=MLP(hidden=(4,)),
        tasks={"side": Task()},
        train=Train(epochs=1, threads=1, device="cpu"),
    )
    run = mtlkit.fit(recipe, tmp_path / "run", loading=Loading(base=tmp_path))
    note = (
        "points.csv:5: the column 'x' is '1_000'. Cells that are not numbers: 1 of 40. The column"
    )
    assert f"note: {note}" in capsys.readouterr().err
    mtlkit.evaluate(run.path, loading=Loading(base=tmp_path))
    facts = json.loads((run.path / "evaluation.json").read_text())["facts"]
    assert facts["notes"].startswith(note)
