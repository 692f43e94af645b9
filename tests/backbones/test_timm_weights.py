"""Pretrained weights of timm: their preprocessing, timm's conversion, and files of all forms."""

from pathlib import Path

import attrs
import numpy as np
import pytest
import timm
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from PIL import Image
from safetensors.torch import save_file

import mtlkit
from mtlkit.backbones import TimmModel
from mtlkit.data import Images, InputSpec, LabelMaps
from mtlkit.errors import AssemblyError
from mtlkit.runs import RunFolder

NAME = "resnet10t"


@pytest.fixture(scope="module")
def weights():
    """The weights of a classifier of three classes."""
    torch.manual_seed(0)
    return timm.create_model(NAME, num_classes=3).state_dict()


def built(path, channels=3, **options):
    spec = InputSpec(shape=(channels, 32, 32))
    return TimmModel(model=NAME, weights=path, **options).build(spec).eval()


FORMS = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"epoch": 3, "state_dict": state},
    "model": lambda state: {"model": state, "optimizer": {"lr": 0.1}},
    "module.": lambda state: {f"module.{name}": value for name, value in state.items()},
    "lightning": lambda state: {
        "state_dict": {f"model.{name}": value for name, value in state.items()}
    },
    "compiled": lambda state: {f"module._orig_mod.{name}": v for name, v in state.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_checkpoints_of_all_forms_give_the_same_weights(weights, tmp_path, form):
    path = tmp_path / "weights.pth"
    torch.save(FORMS[form](weights), path)
    state = built(path).model.state_dict()
    assert all(torch.equal(state[name], weights[name]) for name in state)
    assert set(weights) - set(state) == {"fc.weight", "fc.bias"}


@pytest.mark.parametrize("features", ["map", "pyramid"])
def test_maps_have_the_weights_of_the_file(weights, tmp_path, features):
    save_file(weights, tmp_path / "weights.safetensors")
    module = built(tmp_path / "weights.safetensors", features=features)
    model = timm.create_model(NAME, num_classes=3).eval()
    model.load_state_dict(weights)
    images = torch.randn(2, 3, 32, 32)
    last = module.model(images)[-1]
    torch.testing.assert_close(last, model.forward_features(images))


def test_gray_images_sum_the_weights_of_the_colors(weights, tmp_path):
    """A gray image has the features of the same image in three equal colors."""
    save_file(weights, tmp_path / "weights.safetensors")
    gray, color = (built(tmp_path / "weights.safetensors", channels) for channels in (1, 3))
    images = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(gray(images), color(images.expand(-1, 3, -1, -1)))


def test_embeddings_of_positions_are_resampled_by_timm(tmp_path):
    name = "vit_tiny_patch16_224"
    model = timm.create_model(name, num_classes=0)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    config = TimmModel(model=name, weights=tmp_path / "weights.safetensors")
    embeddings = config.build(InputSpec(shape=(3, 64, 64))).model.pos_embed
    expected = timm.layers.resample_abs_pos_embed(model.pos_embed, [4, 4], num_prefix_tokens=1)
    torch.testing.assert_close(embeddings, expected)


def test_missing_and_unexpected_weights_are_named(weights, tmp_path):
    path = tmp_path / "weights.safetensors"
    state = {name: value for name, value in weights.items() if name != "layer1.0.conv1.weight"}
    save_file({**state, "strange": torch.zeros(1)}, path)
    for features in ("vector", "pyramid"):
        with pytest.raises(AssemblyError) as caught:
            built(path, features=features)
        assert str(caught.value) == (
            f"backbone.weights: {str(path)!r} does not fit the timm model 'resnet10t' for images "
            f"of shape (3, 32, 32): RuntimeError: Error(s) in loading state_dict for ResNet: "
            f'Missing key(s) in state_dict: "layer1.0.conv1.weight". Unexpected key(s) in '
            f'state_dict: "strange".'
        )


def test_tensors_of_other_parts_are_named(weights, tmp_path):
    state = {f"model.{name}": value for name, value in weights.items()}
    save_file({**state, "loss.margin": torch.zeros(1)}, tmp_path / "w.safetensors")
    [note] = built(tmp_path / "w.safetensors").notes
    assert note.endswith("has 1 tensors of other parts, which are not used: loss.margin")


def test_the_model_of_a_run_gives_its_backbone(weights, tmp_path):
    state = {f"router.backbone.model.{name}": value for name, value in weights.items()}
    save_file({**state, "heads.kind_head.weight": torch.zeros(1)}, tmp_path / "w.safetensors")
    [note] = built(tmp_path / "w.safetensors").notes
    assert note.endswith("not used: heads.kind_head.weight")


def test_an_error_of_the_hub_names_the_network_and_the_file(monkeypatch):
    def offline(*_, **__):
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(AssemblyError) as caught:
        TimmModel(model=NAME, download=True).build(InputSpec(shape=(3, 32, 32)))
    assert str(caught.value) == (
        "backbone.download: timm cannot download the weights of 'resnet10t': "
        "LocalEntryNotFoundError: no connection; repeat with a network (the files stay in the "
        "cache of the hub), or pass a file as `weights`"
    )


def test_images_are_prepared_as_timm_prepares_them(weights, tmp_path):
    """The pixels of the source, normalized by the network, are those of timm's transform.

    timm resizes to 28 / 0.875 = 32 pixels, a whole number, and then crops 28.
    """
    save_file(weights, tmp_path / "weights.safetensors")
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        pixels.resize((80, 64), Image.Resampling.BICUBIC).save(tmp_path / f"x_{number}.png")
    recipe = mtlkit.Recipe(
        data=Images(folder=tmp_path, size=28, pattern="x_{kind}.png", numeric=("kind",)),
        backbone=TimmModel(model=NAME, weights=tmp_path / "weights.safetensors"),
        tasks={"kind": mtlkit.Task(head=mtlkit.heads.Regression())},
        train=mtlkit.Train(epochs=1, batch=8, threads=1, device="cpu"),
    )
    run = mtlkit.fit(recipe, tmp_path / "run", quiet=True, report=False)
    saved = mtlkit.load_model(run.path)
    data = saved.recipe.data
    assert (data.interpolation, data.crop) == ("bicubic", 0.875)
    assert data.mean == pytest.approx([255 * x for x in (0.485, 0.456, 0.406)])
    assert saved.network.assembly.inputs.std == pytest.approx(
        [255 * x for x in (0.229, 0.224, 0.225)]
    )
    config = timm.data.resolve_data_config(
        {}, pretrained_cfg=timm.get_pretrained_cfg(NAME).to_dict()
    )
    prepare = timm.data.create_transform(**{**config, "input_size": (3, 28, 28)})
    file = tmp_path / "x_3.png"
    expected = prepare(Image.open(file))
    inputs = saved.network.normalization(saved.split(file).inputs)[0]
    torch.testing.assert_close(inputs, expected)
    assert RunFolder(run.path).recipe.read_text().count("interpolation: bicubic") == 1


def test_stated_values_are_kept_and_labels_of_pixels_keep_the_whole_image(tmp_path):
    backbone = TimmModel(model=NAME, weights=Path("weights.safetensors"))
    images = backbone.pretrained_images()
    source = Images(folder=tmp_path, size=32, pattern="{kind}.png", mean=(0.0,), crop=0.5)
    stated = source.for_pretrained(images)
    assert (stated.mean, stated.std, stated.crop) == ((0.0,), None, 0.5)
    maps = {"depth": LabelMaps(files="{stem}.npy")}
    plain = attrs.evolve(source, mean=None, crop=None, maps=maps).for_pretrained(images)
    assert (plain.crop, plain.interpolation) == ("whole", "bicubic")
    gray = attrs.evolve(source, mean=None, channels=1).for_pretrained(images)
    assert gray.mean == pytest.approx([255 * (0.485 + 0.456 + 0.406) / 3])
    assert TimmModel(model=NAME).pretrained_images() is None
