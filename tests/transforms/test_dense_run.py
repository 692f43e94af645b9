"""A whole run with maps: random transforms in training, a center crop in evaluation."""

import attrs
import pytest
import torch

import mtlkit
from mtlkit.backbones import UNet
from mtlkit.data import (
    CenterCrop,
    ColorJitter,
    Crop,
    Data,
    DataSource,
    Labels,
    Mirror,
    Mixup,
    Rotate,
    Scale,
    Split,
)
from mtlkit.heads import DenseRegression, Normals, Segmentation
from mtlkit.plugins.catalog import load_catalog
from mtlkit.plugins.families import Registrar
from mtlkit.plugins.registry import Origin
from mtlkit.recipe import Recipe, Train, Transforms
from mtlkit.task import Task
from tests.transforms.scene import TARGETS, Scene

MAPS = ("parts", "depth", "normals")


@attrs.frozen(kw_only=True)
class Scenes(DataSource):
    """Rendered scenes of 20 x 24 pixels, seen through several lenses."""

    samples: int = 12

    def load(self, loading):
        rendered = [
            attrs.evolve(Scene(), size=(20, 24)).render(18.0 + n) for n in range(self.samples)
        ]
        whole = Split(
            inputs=torch.stack([sample.inputs for sample in rendered]),
            columns={
                task: Labels(TARGETS[task], torch.stack([s.labels[task] for s in rendered]))
                for task in MAPS
            },
            ids=[f"scene {n}" for n in range(self.samples)],
        )
        parts = torch.arange(self.samples).split([self.samples - 4, 2, 2])
        train, validation, test = (whole.subset(part) for part in parts)
        return Data(train=train, validation=validation, test=test)


def recipe():
    swap = {"parts": {"left ball": "right ball"}}
    return Recipe(
        data=Scenes(),
        backbone=UNet(channels=4, depth=1),
        tasks={
            "parts": Task(head=Segmentation()),
            "depth": Task(head=DenseRegression()),
            "normals": Task(head=Normals()),
        },
        transforms=Transforms(
            train=(Scale(low=0.8), Rotate(), Mirror(swap=swap), ColorJitter(), Crop(size=16)),
            test=(CenterCrop(size=16),),
        ),
        train=Train(epochs=1, batch=4, threads=1, device="cpu"),
    )


@pytest.fixture
def catalog():
    catalog = load_catalog("none")
    registrar = Registrar(catalog, "", Origin("mtlkit", "testing", __file__))
    registrar.data.add("scenes", Scenes, "rendered scenes")
    registrar.commit()
    return catalog


def test_a_run_is_evaluated_on_whole_frames_after_the_test_transforms(tmp_path, catalog):
    run = mtlkit.fit(recipe(), tmp_path / "run", catalog=catalog, quiet=True, report=False)
    pixels = 2 * 16 * 16  # all of them; after random transforms some would have no label
    for task in MAPS:
        assert run.metrics[f"test/{task}/labels"] == pixels
    assert {"test/parts/mean-iou", "test/depth/mae", "test/normals/angle-mean"} < {*run.metrics}
    network = mtlkit.load_model(run.path, catalog=catalog).network
    assert network.assembly.inputs.shape == (3, 16, 16)


def test_mixup_of_maps_is_refused_before_the_first_update(tmp_path, catalog):
    mixed = attrs.evolve(recipe(), transforms=Transforms(train=(Mixup(),)))
    with pytest.raises(mtlkit.MtlkitError, match="the task 'parts' predicts a class of each pixel"):
        mtlkit.fit(mixed, tmp_path / "run", catalog=catalog, quiet=True)
