"""Any timm model as a backbone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from mtlkit.backbones.base import Backbone, BackboneModule
from mtlkit.backbones.timm_weights import (
    LONGEST,
    is_download_error,
    pretrained_images,
    pretrained_overlay,
)
from mtlkit.component import at_least, between, one_of, optional
from mtlkit.errors import AssemblyError, did_you_mean, error_text
from mtlkit.features.base import FeatureSpec
from mtlkit.features.inputs import Batch, InputSpec, InputSpecs, image_input
from mtlkit.features.maps import MapFeatures
from mtlkit.features.pretrained import PretrainedImages
from mtlkit.features.pyramid import PyramidFeatures, PyramidLevel
from mtlkit.features.vectors import VectorFeatures

KINDS: Mapping[str, type[FeatureSpec]] = {
    "vector": VectorFeatures,
    "map": MapFeatures,
    "pyramid": PyramidFeatures,
}
"""Kinds of features by the option `features`."""


@attrs.frozen(kw_only=True)
class TimmModel(Backbone):
    """Any timm model by name, without its classifier.

    `features` selects the pooled vector, the last map, or a pyramid of the maps of all levels,
    finest first. `output_stride` replaces the strides of later levels by dilation, for models that
    support it; `levels` lists the levels of a pyramid, 0 being the finest of the model.

    `weights` is a local file of pretrained weights (safetensors, or a torch checkpoint), relative
    to the working directory. `download` gets those of timm, from the cache of the hub if possible.
    timm converts weights to other numbers of channels and sizes of images. With either, images
    are normalized, and by the source `images` resized and cropped, as the weights expect (timm's
    `pretrained_cfg` of the model), unless the data states its own `mean` and `std`.
    """

    model: str
    features: str = attrs.field(default="vector", validator=one_of(*KINDS))
    output_stride: int | None = attrs.field(default=None, validator=optional(at_least(1)))
    levels: tuple[int, ...] | None = None
    weights: Path | None = None
    download: bool = False
    dropout: float = attrs.field(default=0.0, validator=between(0, 1))

    def __attrs_post_init__(self) -> None:
        if self.weights is not None and self.download:
            raise ValueError(
                "download: got true with `weights`, which is another source of the weights; "
                "use one of them"
            )
        if self.levels is not None and self.features != "pyramid":
            raise ValueError("levels: expected `features: pyramid`; remove `levels`")
        if self.levels is not None and (
            list(self.levels) != sorted(set(self.levels)) or min(self.levels, default=-1) < 0
        ):
            raise ValueError(
                f"levels: expected increasing numbers of at least 0, got {list(self.levels)}"
            )

    @property
    def gives(self) -> type[FeatureSpec]:
        return KINDS[self.features]

    def setting_for(self, kinds: tuple[type[FeatureSpec], ...]) -> str | None:
        """Return the first value of `features` that selects one of the `kinds`.

        >>> TimmModel(model="resnet18").setting_for((MapFeatures,))
        'features: map'
        """
        return next((f"features: {k}" for k, v in KINDS.items() if issubclass(v, kinds)), None)

    def build(self, inputs: InputSpecs) -> "BackboneModule":
        spec = image_input(inputs, "timm")
        return TimmBackbone(self, spec) if self.features == "vector" else TimmMaps(self, spec)

    def pretrained_images(self) -> PretrainedImages | None:
        pretrained = self.download or self.weights is not None
        return pretrained_images(self.model) if pretrained else None

    def blank(self) -> Backbone:
        return attrs.evolve(self, weights=None, download=False)


class TimmBackbone(BackboneModule):
    """Maps images (N, C, H, W) to the pooled features of a timm model.

    The model is created for the data's channel count and, if it depends on it, image size. Raises
    `AssemblyError` if the model is unknown, or the weights file or the images do not fit.
    """

    def __init__(self, config: TimmModel, inputs: InputSpec) -> None:
        super().__init__()
        self.model, self.notes = _create(config, inputs.shape)
        self.dropout = nn.Dropout(config.dropout)
        features = _probe(self.model, config, inputs.shape)
        if not isinstance(features, Tensor) or features.dim() != 2:
            raise AssemblyError(
                f"got features of shape {_shapes(features)} from the timm model "
                f"{config.model!r}, expected one vector per image; use `features: map`"
            )
        self.features = VectorFeatures(width=int(features.shape[1]))

    def forward(self, inputs: Batch) -> Tensor:
        features: Tensor = self.dropout(self.model(inputs))
        return features


class TimmMaps(BackboneModule):
    """Maps images (N, C, H, W) to the last map, or to a pyramid, of a timm model.

    Raises `AssemblyError` if the model returns no maps.
    """

    def __init__(self, config: TimmModel, inputs: InputSpec) -> None:
        super().__init__()
        self.model, self.notes = _create(config, inputs.shape)
        self.dropout = nn.Dropout2d(config.dropout)
        maps = _probe(self.model, config, inputs.shape)
        layout = getattr(self.model, "output_fmt", None)  # of timm's wrappers of models
        self.channels_last = str(getattr(layout, "value", layout)) == "NHWC"
        self.levels = tuple(_level(self._channels_first(part), inputs.shape) for part in maps)
        pyramid = config.features == "pyramid"
        self.features = PyramidFeatures(levels=self.levels) if pyramid else self.levels[-1].maps

    def forward(self, inputs: Batch) -> Tensor:
        maps = [self.dropout(self._channels_first(part)) for part in self.model(inputs)]
        return self.features.join(maps) if isinstance(self.features, PyramidFeatures) else maps[-1]

    def _channels_first(self, maps: Tensor) -> Tensor:
        return maps.movedim(-1, 1) if self.channels_last else maps


def _level(maps: Tensor, sample_shape: tuple[int, ...]) -> PyramidLevel:
    channels, height, width = (int(size) for size in maps.shape[1:])
    return PyramidLevel(
        channels=channels,
        stride=max(1, round(sample_shape[1] / height)),
        height=height,
        width=width,
    )


def _shapes(features: object) -> object:
    parts = [features] if isinstance(features, Tensor) else list(features)  # type: ignore[call-overload]
    return ", ".join(str(tuple(part.shape[1:])) for part in parts)


def _create(config: TimmModel, sample_shape: tuple[int, ...]) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the model, and notes about its weights."""
    import timm  # seconds, which only the building of such a backbone takes

    if not timm.is_model(config.model.partition(".")[0]):
        near = timm.list_models(f"*{config.model}*")[:5]
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        hint = hint or did_you_mean(config.model, timm.list_models())
        raise AssemblyError(
            f"backbone.model: timm {timm.__version__} has no model named {config.model!r}{hint}; "
            f"`python -c 'import timm; print(timm.list_models())'` lists all"
        )
    options = {"in_chans": sample_shape[0], **_feature_options(config)}
    if config.weights is None:
        return _created(config, sample_shape, pretrained=config.download, **options), ()
    # timm does not check the names for every kind of features, but does for the plain model
    plain = {**options, "features_only": False, "num_classes": 0}
    plain.pop("out_indices", None)
    names = _created(config, sample_shape, **plain).state_dict()
    overlay, notes = pretrained_overlay(config.weights, config.model, names)
    loaded = {"pretrained": True, "pretrained_cfg_overlay": overlay}
    model = _created(config, sample_shape, **plain, **loaded)
    if config.features == "vector":
        return model, notes
    return _created(config, sample_shape, **options, **loaded), notes


def _created(config: TimmModel, sample_shape: tuple[int, ...], **options: Any) -> nn.Module:
    """Return a model of timm; `AssemblyError` if it cannot be created or its weights loaded."""
    import timm

    size = sample_shape[1:]
    try:
        try:  # models with position embeddings need `img_size`; others do not accept it
            model: nn.Module = timm.create_model(config.model, img_size=size, **options)
        except TypeError:
            model = timm.create_model(config.model, **options)
    except Exception as cause:  # of many types: timm's, torch's, and those of the hub's client
        if config.download and config.weights is None and is_download_error(cause):
            raise AssemblyError(
                f"backbone.download: timm cannot download the weights of {config.model!r}: "
                f"{error_text(cause, LONGEST)}; repeat with a network (the files stay in the cache "
                f"of the hub), or pass a file as `weights`"
            ) from cause
        if not isinstance(
            cause, RuntimeError | AssertionError | ValueError | TypeError | LookupError
        ):
            raise
        if "pretrained_cfg_overlay" in options:
            raise AssemblyError(
                f"backbone.weights: {str(config.weights)!r} does not fit the timm model "
                f"{config.model!r} for images of shape {sample_shape}: {error_text(cause, LONGEST)}"
            ) from cause
        raise AssemblyError(
            f"timm cannot create {config.model!r} for images of shape {sample_shape}: {cause}"
        ) from cause
    return model


def _feature_options(config: TimmModel) -> dict[str, Any]:
    """Return the options of `timm.create_model` for the kind of features."""
    stride = {} if config.output_stride is None else {"output_stride": config.output_stride}
    if config.features == "vector":
        return {"num_classes": 0, **stride}
    if config.features == "map":
        return {"features_only": True, "out_indices": (-1,), **stride}
    levels = {} if config.levels is None else {"out_indices": config.levels}
    return {"features_only": True, **levels, **stride}


def _probe(model: nn.Module, config: TimmModel, sample_shape: tuple[int, ...]) -> Any:
    """Return the features of an image, measured because not all timm models declare them."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            return model(torch.zeros(1, *sample_shape))
    except (RuntimeError, AssertionError, ValueError) as cause:
        raise AssemblyError(
            f"the timm model {config.model!r} failed on images of shape {sample_shape}: {cause}"
        ) from cause
    finally:
        model.train(training)
