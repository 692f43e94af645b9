"""Every backbone keeps the contract; CASIA-Net has the published shape."""

import attrs
import pytest
import torch
from safetensors.torch import save_file

from mtlkit.backbones import (
    MLP,
    Backbone,
    CasiaNet,
    SegNet,
    SplittableBackbone,
    TimmModel,
    Transformer,
    UNet,
    VectorFeatures,
)
from mtlkit.backbones.casia_net import CasiaNetBackbone
from mtlkit.data import InputSpec
from mtlkit.errors import AssemblyError
from mtlkit.testing.small_features import random_inputs

IMAGE = InputSpec(shape=(3, 32, 32))
IDS = InputSpec(shape=(6,), dtype="int64", vocabulary=20)
MASK = InputSpec(shape=(6,), dtype="bool")
EXAMPLES = {
    "casia-net": (CasiaNet(width=0.25), InputSpec(shape=(1, 32, 32))),
    "mlp": (MLP(hidden=(16, 8)), InputSpec(shape=(5,))),
    "timm": (TimmModel(model="resnet10t"), IMAGE),
    "timm map": (TimmModel(model="resnet10t", features="map", output_stride=16), IMAGE),
    "timm pyramid": (TimmModel(model="resnet10t", features="pyramid", levels=(1, 3)), IMAGE),
    "unet": (UNet(channels=4, depth=2), IMAGE),
    "segnet": (SegNet(width=0.0625), IMAGE),
    "transformer": (Transformer(width=16, layers=1, feedforward=16), {"ids": IDS, "mask": MASK}),
}


@pytest.fixture(params=sorted(EXAMPLES))
def example(request):
    return EXAMPLES[request.param]


def test_every_backbone_has_an_example(catalog):
    assert set(catalog.backbones.names()) == {name.partition(" ")[0] for name in EXAMPLES}


def test_features_are_the_declared_ones(example):
    config, inputs = example
    trunk = config.build(inputs).eval()
    assert isinstance(trunk.features, config.gives)
    for batch in (1, 3):
        assert trunk.features.mismatch(trunk(random_inputs(inputs, batch)), batch) is None


def test_evaluation_is_deterministic(example):
    config, inputs = example
    trunk = config.build(inputs).eval()
    batch = random_inputs(inputs, 2)
    assert torch.equal(trunk(batch), trunk(batch))


def test_gradients_reach_every_parameter(example):
    config, inputs = example
    trunk = config.build(inputs).train()
    trunk(random_inputs(inputs, 4)).square().sum().backward()
    without = [name for name, p in trunk.named_parameters() if p.grad is None]
    assert without == []


def test_same_seed_same_weights(example):
    config, inputs = example
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(config.build(inputs).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_bf16_features_are_finite(example):
    config, inputs = example
    trunk = config.build(inputs).eval()
    with torch.autocast("cpu", torch.bfloat16):
        assert trunk(random_inputs(inputs, 2)).isfinite().all()


def test_casia_net_has_the_papers_size():
    # counted from the authors' released network: 1,755,648 in all, 830,880 of them in block 5
    trunk = CasiaNetBackbone(CasiaNet(), InputSpec(shape=(1, 100, 100)))
    assert sum(p.numel() for p in trunk.parameters()) == 1_755_648
    assert sum(p.numel() for p in trunk.last_block.parameters()) == 830_880


def test_casia_net_shrinks_maps_as_published():
    trunk = CasiaNetBackbone(CasiaNet(), InputSpec(shape=(1, 100, 100))).eval()
    sizes, maps = [], torch.zeros(1, 1, 100, 100)
    for number, layer in enumerate(trunk.first_blocks):
        maps = layer(maps)
        if number % 2:  # pooling, with its ReLU
            sizes.append(tuple(maps.shape[1:]))
    assert sizes == [(64, 50, 50), (128, 25, 25), (192, 13, 13), (256, 7, 7)]
    assert trunk.features == VectorFeatures(width=320)


@pytest.mark.parametrize("size", [32, 37])
def test_relu_after_pooling_is_relu_before_it_to_the_bit(size):
    trunk = CasiaNetBackbone(CasiaNet(width=0.25, dropout=0.0), InputSpec(shape=(1, size, size)))
    images = torch.randn(4, 1, size, size)

    def published(maps):
        for block, (pool, _) in zip(*[iter(trunk.first_blocks)] * 2, strict=True):
            maps = pool(torch.relu(block(maps)))
        return trunk.tail(maps)

    results = []
    for network in (trunk, published):
        trunk.zero_grad()
        features = network(images)
        features.square().sum().backward()
        results.append([features, *(p.grad.clone() for p in trunk.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_casia_net_features_may_be_negative():
    trunk = CasiaNetBackbone(
        CasiaNet(width=0.25, dropout=0.0), InputSpec(shape=(1, 32, 32))
    ).train()
    assert (trunk(torch.randn(8, 1, 32, 32)) < 0).any()


@pytest.mark.parametrize("size", [16, 31, 48, 64, 112])
def test_casia_net_takes_any_size(size):
    trunk = CasiaNetBackbone(CasiaNet(width=0.125), InputSpec(shape=(3, size, size))).eval()
    assert trunk(torch.zeros(2, 3, size, size)).shape == (2, 40)


def test_a_splittable_backbone_is_its_stem_and_tail():
    trunk = CasiaNet(width=0.25).build(InputSpec(shape=(1, 32, 32))).eval()
    assert isinstance(trunk, SplittableBackbone)
    inputs = torch.randn(3, 1, 32, 32)
    assert torch.equal(trunk(inputs), trunk.tail(trunk.stem(inputs)))
    other = trunk.new_tail()
    shapes = [p.shape for p in other.parameters()]
    assert shapes == [p.shape for p in trunk.last_block.parameters()]
    assert all(a is not b for a, b in zip(other.parameters(), trunk.last_block.parameters(),
                                          strict=True))  # fmt: skip


@pytest.mark.parametrize(
    ("config", "shape", "words"),
    [
        (CasiaNet(), (1, 8, 8), ["casia-net", "16 pixels", "(1, 8, 8)"]),
        (CasiaNet(), (10,), ["casia-net", "(C, H, W)"]),
        (TimmModel(model="resnet18x"), (3, 32, 32), ["resnet18x", "no model"]),
        (TimmModel(model="resnet18"), (10,), ["timm", "(10,)"]),
    ],
)
def test_misfits_are_refused_in_words(config: Backbone, shape, words):
    with pytest.raises(AssemblyError) as caught:
        config.build(InputSpec(shape=shape))
    assert all(word in str(caught.value) for word in words)


def test_timm_weights_come_from_a_file(tmp_path):
    config = TimmModel(model="resnet10t")
    path = tmp_path / "weights.safetensors"
    wanted = {
        k: v + 1 for k, v in config.build(InputSpec(shape=(3, 32, 32))).model.state_dict().items()
    }
    save_file({**wanted, "fc.weight": torch.zeros(1000, 512)}, path)
    found = (
        attrs.evolve(config, weights=path).build(InputSpec(shape=(3, 32, 32))).model.state_dict()
    )
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("name", ["junk.safetensors", "junk.pth", "list.pth"])
def test_files_that_are_no_weights_are_named(tmp_path, name):
    path = tmp_path / name
    if name == "list.pth":
        torch.save([torch.zeros(1)], path)
    else:
        path.write_bytes(b"not at all")
    with pytest.raises(AssemblyError, match=f"backbone.weights: .*{name}"):
        TimmModel(model="resnet10t", weights=path).build(InputSpec(shape=(3, 32, 32)))


def test_an_unknown_tag_of_weights_is_named():
    with pytest.raises(AssemblyError, match=r"timm cannot create 'resnet18\.nope'"):
        TimmModel(model="resnet18.nope").build(InputSpec(shape=(3, 32, 32)))


@pytest.mark.parametrize("hidden", [(-1,), (8, 0)])
def test_layers_have_a_width(hidden):
    with pytest.raises(ValueError, match="hidden: expected a whole number of at least 1"):
        MLP(hidden=hidden)


def test_a_saved_model_needs_no_file_of_starting_weights(tmp_path):
    config = TimmModel(model="resnet10t", weights=tmp_path / "gone.safetensors")
    assert config.blank() == TimmModel(model="resnet10t")
    assert TimmModel(model="resnet10t", download=True).blank() == config.blank()
    with pytest.raises(ValueError, match=r"download: got true with `weights`, .*use one of them"):
        attrs.evolve(config, download=True)
    assert CasiaNet(width=0.5).blank() == CasiaNet(width=0.5)


def test_timm_weights_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"conv1.weight": torch.zeros(3)}, path)
    with pytest.raises(
        AssemblyError, match=r"does not fit the timm model .resnet10t. .*Missing key"
    ):
        TimmModel(model="resnet10t", weights=path).build(InputSpec(shape=(3, 32, 32)))
    with pytest.raises(AssemblyError, match="no file"):
        TimmModel(model="resnet10t", weights=tmp_path / "none.safetensors").build(
            InputSpec(shape=(3, 32, 32))
        )
