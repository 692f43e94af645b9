"""The recipes: each one is read and trains on a small tree, and all are listed."""

from pathlib import Path

import pytest
from mtlkit_benchmarks.cli import PROTOCOLS, RECIPES

from mtlkit import fit, load_catalog, load_recipe
from mtlkit.cli import main

PART = "data.complete=false"
SPLIT = "data.split={validation: 0.25, test: 0.25}"
DEEPLAB = "tasks.{}.adapter={{type: benchmarks/deeplab, channels: 4, dilations: [2]}}"


def deeplab(*tasks, model="test_resnet", stride=8):
    backbone = f"backbone={{type: timm, model: {model}, features: map, output_stride: {stride}}}"
    return [PART, backbone, *map(DEEPLAB.format, tasks), "train.batch=2"]


def faces(size=32):
    return [PART, f"data.size={size}", "backbone.width=0.125"]


SMALL = {
    "camvid": ["data.size=[16, 24]", "backbone={type: unet, channels: 4, depth: 2}"],
    "officecaltech10": ["backbone.hidden=[8]"],
    "qm9": [
        "data.split={validation: 0.25, test: 0.25}",
        "backbone={type: benchmarks/mpnn, width: 4, hidden: 4}",
    ],
    "scenes": ["data={type: benchmarks/scenes, samples: 4, validation: 2, test: 2, size: 16}"],
    "tox21": [PART, SPLIT, "backbone.hidden=[8]"],
    "utkface": [PART, "data.size=32", SPLIT],
    "ud": ["data.least=1", "backbone={type: benchmarks/bigru, embedding: 4, width: 4}"],
    "nyuv2-segnet-mtan": [PART, "backbone.width=0.0625"],
    "nyuv2-deeplab": deeplab("classes", "depth", "normals"),
    "nyuv2-raw": [
        PART,
        "data.validation=0.34",
        "transforms.train=[{type: resize, size: [16, 16]}]",
        "transforms.test=[{type: resize, size: [16, 16]}]",
        "backbone={type: unet, channels: 4, depth: 2}",
    ],
    "cityscapes-segnet-mtan": [PART, "backbone.width=0.0625", "train.batch=2"],
    "cityscapes-deeplab": deeplab("classes", "disparity"),
    "cityscapes-three-tasks": [
        *deeplab("classes", "offsets", "disparity"),
        "data.size=[32, 32]",
        "data.validation=0.5",
    ],
    "pascal-context-deeplab": [
        *deeplab("classes", "parts", "normals", "saliency", "edges"),
        "data.size=32",
    ],
    "taskonomy": [PART, "data.size=16", "backbone={type: unet, channels: 4, depth: 2}"],
    "qm9-nnconv": [PART, SPLIT, "backbone={type: benchmarks/nnconv, width: 4, hidden: 4}"],
    "celeba": [PART, "data.size=16", "backbone.width=0.03125", "train.batch=4"],
    "office-31": [
        PART,
        "data.size=32",
        "backbone={type: benchmarks/office-resnet, model: test_resnet, width: 8}",
    ],
    "office-home": [
        PART,
        "data.size=32",
        "backbone={type: benchmarks/office-resnet, model: test_resnet, width: 8}",
    ],
    "multi-mnist": [PART, "data.validation=0.25"],
    "pareto-mnist": [PART, "data.validation=0.34"],
    "census-income": [PART, "backbone.hidden=[8]"],
    "aliexpress": [
        PART,
        "data.validation=0.34",
        "backbone={type: benchmarks/field-embedding, embedding: 4}",
    ],
    "fairface": [*faces(), "data.validation=0.25"],
    "raf-db": [*faces(), "data.validation=0.34"],
    "affectnet": [*faces(), "data.validation=0.25", "tasks.expression.head={balanced: false}"],
    "head-pose": [*faces(), "data.validation=0.34"],
    "biwi": faces(),
    "school": [PART],
    "mulan": [PART],
    "mulan-labels": [PART],
    "paws-x": [PART, "data.length=16"],
}
ALONE = ("head-pose", "biwi", "mulan", "mulan-labels")
"""Recipes with one task, a vector."""

PATHS = {path.stem: path for folder in (RECIPES, PROTOCOLS) for path in folder.glob("*.yaml")}
TREES = {
    "nyuv2-segnet-mtan": "nyuv2",
    "nyuv2-deeplab": "nyuv2",
    "cityscapes-segnet-mtan": "cityscapes",
    "cityscapes-deeplab": "cityscapes",
    "cityscapes-three-tasks": "cityscapes-official",
    "pascal-context-deeplab": "pascal-context",
    "qm9-nnconv": "qm9-pack",
    "office-31": "office",
    "office-home": "office",
    "multi-mnist": "mnist",
}


def test_every_recipe_is_tested():
    assert set(PATHS) == set(SMALL)


@pytest.mark.parametrize(("command", "folder"), [("recipes", RECIPES), ("protocols", PROTOCOLS)])
def test_the_command_lists_every_recipe(command, folder, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["benchmarks", command])
    assert caught.value.code == 0
    listed = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert listed == sorted(folder.glob("*.yaml"))


@pytest.mark.parametrize("name", SMALL)
def test_a_recipe_trains_with_gradients_of_every_task(name, tree, tmp_path):
    catalog = load_catalog()
    weighting = "equal" if name in ALONE else "cagrad"
    settings = ["train.epochs=1", "schedule=constant", f"weighting={weighting}", *SMALL[name]]
    if name != "scenes":
        options = {"office-home": {"variant": "home"}, "school": {"sizes": (8,) * 139}}
        settings.append(f"data.folder={tree(TREES.get(name, name), **options.get(name, {}))}")
    recipe = load_recipe(PATHS[name], catalog, settings)
    run = fit(recipe, tmp_path / "run", catalog=catalog, quiet=True)
    assert {key.split("/")[1] for key in run.metrics} - {"mean"} == set(recipe.tasks)
