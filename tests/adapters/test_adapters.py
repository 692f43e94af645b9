"""Adapters return what they state; a mismatch of kinds is a problem of the recipe."""

import attrs
import pytest
import torch

from mtlkit.backbones import (
    FPN,
    MLP,
    Adapter,
    Gather,
    Level,
    MapFeatures,
    Pool,
    PyramidFeatures,
    PyramidLevel,
    TimmModel,
    TokenFeatures,
    Transformer,
    UNet,
    Upsample,
)
from mtlkit.errors import AssemblyError
from mtlkit.heads import Classification, Segmentation
from mtlkit.routers import MMoE, Shared
from mtlkit.routers.feature_kinds import BUILT_IN, feature_problems
from mtlkit.task import Task
from mtlkit.testing import small_recipe
from mtlkit.testing.small_data import small_model
from mtlkit.testing.small_features import SmallFeatures

PYRAMID = PyramidFeatures(
    levels=(
        PyramidLevel(channels=2, stride=2, height=4, width=4),
        PyramidLevel(channels=3, stride=4, height=2, width=2),
    )
)


def test_suggestions_are_built_in_adapters(catalog):
    assert dict(BUILT_IN) == {name: catalog.adapters.get(name) for name in BUILT_IN}


def test_upsampling_interpolates_to_a_finer_stride():
    module = Upsample(stride=2).build(MapFeatures(channels=3, stride=8))
    assert module.features == MapFeatures(channels=3, stride=2)
    slope = torch.arange(4.0).expand(1, 3, 4, 4)
    result = module(slope, {})
    assert result.shape == (1, 3, 16, 16)
    # bilinear interpolation between centers of pixels, 0.25 apart
    torch.testing.assert_close(result[0, 0, 0, 2:6], torch.tensor([0.125, 0.375, 0.625, 0.875]))
    same = Upsample(stride=8).build(MapFeatures(channels=3, stride=8))
    assert same(slope, {}) is slope or torch.equal(same(slope, {}), slope)


def test_upsampling_a_pyramid_concatenates_its_levels():
    module = Upsample(stride=1).build(PYRAMID)
    assert module.features == MapFeatures(channels=5, stride=1)
    flat = torch.cat([torch.full((1, 32), 1.0), torch.full((1, 12), 2.0)], dim=1)
    maps = module(flat, {})
    assert maps.shape == (1, 5, 8, 8)
    assert maps[0, :, 0, 0].tolist() == [1, 1, 2, 2, 2]


def test_an_fpn_adds_what_coarser_levels_give_to_the_finest_one():
    """With convolutions that copy, a level is in its own output and in those of all finer ones."""
    module = FPN(channels=2).build(PYRAMID).eval()
    assert module.features == MapFeatures(channels=2, stride=2)
    for layer in module.lateral:
        torch.nn.init.ones_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    for layer in module.output:
        torch.nn.init.dirac_(layer[0].weight)
        layer[1].eps = 0.0
    flat = torch.cat([torch.full((1, 32), 1.0), torch.full((1, 12), 2.0)], dim=1)
    maps = module(flat, {})
    # the sums of channels are 2 and 6: 6 at the coarse level, 2 + 6 at the fine one
    assert maps.shape == (1, 2, 4, 4)
    torch.testing.assert_close(maps, torch.full((1, 2, 4, 4), 14.0))


@pytest.mark.parametrize(("token", "expected"), [("first", [0.0, 5.0]), ("last", [2.0, 7.0])])
def test_gathering_ignores_padding(token, expected):
    features = torch.tensor([[0.0, 1.0, 2.0, 9.0], [9.0, 5.0, 6.0, 7.0]]).unsqueeze(-1)
    mask = torch.tensor([[True, True, True, False], [False, True, True, True]])
    module = Gather(token=token).build(TokenFeatures(width=1))
    assert module(features, {"mask": mask}).flatten().tolist() == expected


def test_a_level_is_one_map_of_the_pyramid():
    module = Level(index=1).build(PYRAMID)
    assert module.features == MapFeatures(channels=3, stride=4)
    flat = torch.arange(44.0).unsqueeze(0)
    assert torch.equal(module(flat, {}), flat[:, 32:].view(1, 3, 2, 2))


@pytest.mark.parametrize(
    ("adapter", "features", "message"),
    [
        (
            Level(index=2),
            PYRAMID,
            "level: got index 2 of a pyramid of 2 levels; expected 0 to 1",
        ),
        (
            Upsample(stride=3),
            MapFeatures(channels=1, stride=4),
            "upsample: got maps of stride 4, expected a multiple of `stride` 3; change `stride`",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(adapter, features, message):
    with pytest.raises(AssemblyError) as caught:
        adapter.build(features)
    assert str(caught.value) == message


def problems(backbone, router=None, adapter=None):
    recipe = attrs.evolve(small_recipe(), backbone=backbone, tasks={"kind": Task(adapter=adapter)})
    if router is not None:
        recipe = attrs.evolve(recipe, router=router)
    return [str(problem) for problem in recipe.problems()]


@pytest.mark.parametrize(
    ("backbone", "router", "adapter", "expected"),
    [
        (
            UNet(),
            None,
            None,
            "tasks.kind.head: got maps (N, C, H, W) from the backbone UNet, Classification reads "
            "vectors (N, D); add `adapter: pool`",
        ),
        (
            MLP(),
            None,
            Pool(),
            "tasks.kind.adapter: got vectors (N, D) from the backbone MLP, Pool reads maps "
            "(N, C, H, W) or pyramids (N, P) or tokens (N, L, D) or nodes (M, D); remove the "
            "adapter",
        ),
        (
            UNet(),
            None,
            Gather(),
            "tasks.kind.adapter: got maps (N, C, H, W) from the backbone UNet, Gather reads tokens "
            "(N, L, D); use `adapter: pool`",
        ),
        (
            UNet(),
            None,
            Upsample(),
            "tasks.kind.head: got maps (N, C, H, W) from the adapter Upsample, Classification "
            "reads vectors (N, D); change one of them",
        ),
        (
            TimmModel(model="resnet10t", features="pyramid"),
            MMoE(),
            Pool(),
            "router: got pyramids (N, P) from the backbone TimmModel, MMoE reads vectors (N, D) or "
            "maps (N, C, H, W) or tokens (N, L, D) or nodes (M, D); use `router: shared`, or set "
            "`features: vector` of the backbone, or use a backbone that returns vectors (N, D) or "
            "maps (N, C, H, W) or tokens (N, L, D) or nodes (M, D), such as `mlp`",
        ),
    ],
)
def test_a_mismatch_is_a_problem_of_the_recipe(backbone, router, adapter, expected):
    assert problems(backbone, router, adapter) == [expected]


@pytest.mark.parametrize(
    ("backbone", "adapter", "expected"),
    [
        (
            TimmModel(model="resnet10t"),
            None,
            "tasks.ground.head: got vectors (N, D) from the backbone TimmModel, Segmentation reads "
            "maps (N, C, H, W); set `features: map` of the backbone, or use a backbone that "
            "returns maps (N, C, H, W), such as `unet`",
        ),
        (
            TimmModel(model="resnet10t"),
            FPN(),
            "tasks.ground.adapter: got vectors (N, D) from the backbone TimmModel, FPN reads "
            "pyramids (N, P); set `features: pyramid` of the backbone, or use a backbone that "
            "returns pyramids (N, P), such as `{type: timm, features: pyramid}`",
        ),
    ],
)
def test_a_backbone_with_an_option_for_the_features_is_named_with_it(backbone, adapter, expected):
    heads = {"ground": (adapter, Segmentation())}
    assert [str(p) for p in feature_problems(backbone, Shared(), heads)] == [expected]


@pytest.mark.parametrize(
    ("backbone", "adapter"), [(UNet(), Pool()), (Transformer(), Gather()), (MLP(), None)]
)
def test_parts_that_fit_have_no_problem(backbone, adapter):
    assert problems(backbone, None, adapter) == []


def test_tasks_share_equal_adapters_without_parameters():
    recipe = small_recipe()
    tasks = {
        name: attrs.evolve(task, adapter=Pool(by="max") if name == "side" else Pool())
        for name, task in recipe.tasks.items()
    }
    model, data = small_model(
        attrs.evolve(recipe, backbone=SmallFeatures(kind="maps"), tasks=tasks)
    )
    features = model.all_features(data.train.inputs[torch.arange(4)])
    read = model.head_features(features)
    assert read["kind"] is read["rare"]
    torch.testing.assert_close(read["kind"], features.shared.mean(dim=(2, 3)))
    torch.testing.assert_close(read["side"], features.shared.amax(dim=(2, 3)))


def test_an_adapter_of_a_plugin_may_have_parameters_of_each_task():
    @attrs.frozen(kw_only=True)
    class Learned(Adapter):
        """Pooling with a learned scale."""

        reads = Pool.reads
        gives = Pool.gives

        def build(self, features):
            module = Pool().build(features)
            module.scale = torch.nn.Parameter(torch.ones(()))
            return module

    tasks = {name: Task(adapter=Learned()) for name in ("kind", "side")}
    recipe = attrs.evolve(small_recipe(), backbone=SmallFeatures(kind="maps"), tasks=tasks)
    model, _ = small_model(recipe)
    names = [name for name, _ in model.named_parameters() if name.endswith("scale")]
    assert len(names) == 2


def test_the_default_head_reads_vectors():
    assert [kind.kind for kind in Classification.reads] == ["vectors"]
