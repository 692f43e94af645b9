"""The recipes: each one is read and trains on a small tree, and all are listed."""

from pathlib import Path

import pytest
from mtlkit_benchmarks.cli import RECIPES

from mtlkit import fit, load_catalog, load_recipe
from mtlkit.cli import main

SMALL = {
    "camvid": ["data.size=[16, 24]", "backbone={type: unet, channels: 4, depth: 2}"],
    "officecaltech10": ["backbone.hidden=[8]"],
    "qm9": [
        "data.split={validation: 0.25, test: 0.25}",
        "backbone={type: benchmarks/mpnn, width: 4, hidden: 4}",
    ],
    "scenes": ["data={type: benchmarks/scenes, samples: 4, validation: 2, test: 2, size: 16}"],
    "tox21": ["data.split={validation: 0.25, test: 0.25}", "backbone.hidden=[8]"],
    "utkface": ["data.size=32", "data.split={validation: 0.25, test: 0.25}"],
    "ud": ["data.least=1", "backbone={type: benchmarks/bigru, embedding: 4, width: 4}"],
}


def test_every_recipe_is_tested():
    assert {path.stem for path in RECIPES.glob("*.yaml")} == set(SMALL)


def test_the_command_lists_every_recipe(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["benchmarks", "recipes"])
    assert caught.value.code == 0
    assert [Path(line).stem for line in capsys.readouterr().out.splitlines()] == sorted(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_a_recipe_trains_with_gradients_of_every_task(name, tree, tmp_path):
    catalog = load_catalog()
    settings = ["train.epochs=1", "schedule=constant", "weighting=cagrad", *SMALL[name]]
    if name != "scenes":
        settings.append(f"data.folder={tree(name)}")
    recipe = load_recipe(RECIPES / f"{name}.yaml", catalog, settings)
    run = fit(recipe, tmp_path / "run", catalog=catalog, quiet=True)
    assert {key.split("/")[1] for key in run.metrics} - {"mean"} == set(recipe.tasks)
