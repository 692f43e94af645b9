"""Encoder-decoders return maps of the images' resolution; timm returns maps and pyramids."""

import pytest
import torch
import torch.nn.functional as F

from mtlkit.backbones import MapFeatures, PyramidFeatures, SegNet, TimmModel, UNet
from mtlkit.data import InputSpec
from mtlkit.errors import AssemblyError

IMAGE = InputSpec(shape=(3, 64, 64))


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 38)])
@pytest.mark.parametrize("config", [UNet(channels=2, depth=3), SegNet(width=0.03125)])
def test_maps_have_the_size_of_the_images(config, size):
    backbone = config.build(InputSpec(shape=(1, *size))).eval()
    assert backbone.features == MapFeatures(channels=2)
    assert backbone(torch.zeros(1, 1, *size)).shape == (1, 2, *size)


def test_unet_has_the_papers_size():
    # 1x1 outputs excluded; 3x3 convolutions, up-convolutions and the shifts of figure 1
    widths, convolutions = [64, 128, 256, 512, 1024], 0
    for before, width in zip([1, *widths[:-1]], widths, strict=True):
        convolutions += 9 * (before * width + width * width)
    for width in widths[:-1]:
        convolutions += 9 * (2 * width * width + width * width) + 4 * 2 * width * width
    with torch.device("meta"):
        backbone = UNet().build(InputSpec(shape=(1, 572, 572)))
    kernels = sum(p.numel() for p in backbone.parameters() if p.dim() == 4)
    assert kernels == convolutions


def test_segnet_has_13_convolutions_in_each_half():
    with torch.device("meta"):
        backbone = SegNet().build(InputSpec(shape=(3, 360, 480)))
    for half in (backbone.encoder, backbone.decoder):
        assert sum(isinstance(layer, torch.nn.Conv2d) for layer in half.modules()) == 13
    # the encoder has the kernels of VGG16's convolutions
    assert sum(p.numel() for p in backbone.encoder.parameters() if p.dim() == 4) == 14_710_464


def test_segnet_places_values_where_the_encoder_pooled_them():
    maps = torch.randn(1, 1, 4, 4)
    pooled, indices = F.max_pool2d(maps, 2, return_indices=True)
    sparse = F.max_unpool2d(pooled, indices, 2, output_size=maps.shape[2:])
    assert torch.equal(sparse[sparse != 0], maps[sparse != 0])


def test_timm_maps_are_those_of_its_last_level():
    torch.manual_seed(0)
    backbone = TimmModel(model="resnet10t", features="map").build(IMAGE).eval()
    assert backbone.features == MapFeatures(channels=512, stride=32)
    torch.manual_seed(0)
    dilated = TimmModel(model="resnet10t", features="map", output_stride=8).build(IMAGE)
    assert dilated.features == MapFeatures(channels=512, stride=8)


def test_timm_pyramids_have_the_maps_of_its_levels():
    config = TimmModel(model="resnet10t", features="pyramid", levels=(1, 2, 4))
    backbone = config.build(IMAGE).eval()
    assert isinstance(backbone.features, PyramidFeatures)
    assert [(x.channels, x.stride) for x in backbone.features.levels] == [
        (64, 4), (128, 8), (512, 32),
    ]  # fmt: skip
    images = torch.randn(2, *IMAGE.shape)
    maps = backbone.features.split(backbone(images))
    for part, expected in zip(maps, backbone.model(images), strict=True):
        assert torch.equal(part, expected)


def test_timm_maps_of_channels_last_models_are_channels_first():
    config = TimmModel(model="swin_tiny_patch4_window7_224", features="map")
    with torch.device("cpu"):
        backbone = config.build(InputSpec(shape=(3, 224, 224))).eval()
    assert backbone.features == MapFeatures(channels=768, stride=32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": (1,)}, "levels: expected `features: pyramid`; remove `levels`"),
        (
            {"features": "pyramid", "levels": (2, 1)},
            "levels: expected increasing numbers of at least 0, got [2, 1]",
        ),
    ],
)
def test_levels_are_checked(options, message):
    with pytest.raises(ValueError, match="levels") as caught:
        TimmModel(model="resnet10t", **options)
    assert str(caught.value) == message


def test_a_level_that_the_model_lacks_is_refused():
    with pytest.raises(AssemblyError, match="timm cannot create 'resnet10t'"):
        TimmModel(model="resnet10t", features="pyramid", levels=(1, 9)).build(IMAGE)
