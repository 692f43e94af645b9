"""Any timm model as a backbone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mtlkit.backbones.base import Backbone, BackboneModule
from mtlkit.component import at_least, between, one_of, optional
from mtlkit.errors import AssemblyError
from mtlkit.features.base import FeatureSpec
from mtlkit.features.inputs import Batch, InputSpec, InputSpecs, image_input
from mtlkit.features.maps import MapFeatures
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

    `weights` is a local file of pretrained weights (safetensors, or a torch file of tensors),
    relative to the working directory. `download` allows timm to download pretrained weights.
    """

    model: str
    features: str = attrs.field(default="vector", validator=one_of(*KINDS))
    output_stride: int | None = attrs.field(default=None, validator=optional(at_least(1)))
    levels: tuple[int, ...] | None = None
    weights: Path | None = None
    download: bool = False
    dropout: float = attrs.field(default=0.0, validator=between(0, 1))

    def __attrs_post_init__(self) -> None:
        if self.levels is not None and self.features != "pyramid":
            raise ValueError("levels: expected `features: pyramid`; remove `levels`")
        if self.levels is not None and (
            list(self.levels) != sorted(set(self.levels)) or min(self.levels, default=-1) < 0
        ):
            raise ValueError(
                f"levels: expected increasing numbers of at least 0, found {list(self.levels)}"
            )

    @property
    def gives(self) -> type[FeatureSpec]:
        return KINDS[self.features]

    def build(self, inputs: InputSpecs) -> "BackboneModule":
        spec = image_input(inputs, "timm")
        return TimmBackbone(self, spec) if self.features == "vector" else TimmMaps(self, spec)

    def blank(self) -> Backbone:
        return attrs.evolve(self, weights=None, download=False)


class TimmBackbone(BackboneModule):
    """Maps images (N, C, H, W) to the pooled features of a timm model.

    The model is created for the data's channel count and, if it depends on it, image size. Raises
    `AssemblyError` if the model is unknown, or the weights file or the images do not fit.
    """

    def __init__(self, config: TimmModel, inputs: InputSpec) -> None:
        super().__init__()
        self.model = _create(config, inputs.shape)
        self.dropout = nn.Dropout(config.dropout)
        if config.weights is not None:
            _load_weights(self.model, config)
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
        self.model = _create(config, inputs.shape)
        self.dropout = nn.Dropout2d(config.dropout)
        if config.weights is not None:
            _load_weights(self.model, config)
        maps = _probe(self.model, config, inputs.shape)
        self.channels_last = [_channels_last(self.model, number) for number in range(len(maps))]
        self.levels = tuple(
            _level(self._channels_first(part, number), inputs.shape)
            for number, part in enumerate(maps)
        )
        pyramid = config.features == "pyramid"
        self.features = PyramidFeatures(levels=self.levels) if pyramid else self.levels[-1].maps

    def forward(self, inputs: Batch) -> Tensor:
        outputs = enumerate(self.model(inputs))
        maps = [self.dropout(self._channels_first(part, number)) for number, part in outputs]
        return self.features.join(maps) if isinstance(self.features, PyramidFeatures) else maps[-1]

    def _channels_first(self, maps: Tensor, number: int) -> Tensor:
        return maps.movedim(-1, 1) if self.channels_last[number] else maps


def _channels_last(model: nn.Module, number: int) -> bool:
    """Return True if the maps of a level of `model` are (N, H, W, C)."""
    layout = getattr(model, "output_fmt", None)  # of timm's wrappers of models
    return str(getattr(layout, "value", layout)) == "NHWC"


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


def _create(config: TimmModel, sample_shape: tuple[int, ...]) -> nn.Module:
    import timm  # seconds, which only the building of such a backbone takes

    if not timm.is_model(config.model.partition(".")[0]):
        near = timm.list_models(f"*{config.model}*")[:5]
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise AssemblyError(
            f"timm {timm.__version__} has no model named {config.model!r}{hint} "
            f"`python -c 'import timm; print(timm.list_models())'` lists all"
        )
    channels, height, width = sample_shape
    options: dict[str, Any] = {
        "pretrained": config.download,
        "in_chans": channels,
        **_feature_options(config),
    }
    try:
        try:  # models with position embeddings need `img_size`; others do not accept it
            model: nn.Module = timm.create_model(config.model, img_size=(height, width), **options)
        except TypeError:
            model = timm.create_model(config.model, **options)
    except (RuntimeError, AssertionError, ValueError, TypeError, IndexError) as cause:
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


def _load_weights(model: nn.Module, config: TimmModel) -> None:
    path = config.weights
    assert path is not None
    if not path.is_file():
        raise AssemblyError(f"backbone.weights: no file {str(path.absolute())!r}")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as cause:  # torch and safetensors raise many types for other files
        why = str(cause).partition(". ")[0]  # omits torch's advice on unsafe loading
        raise AssemblyError(
            f"backbone.weights: {str(path)!r} is not a file of weights: "
            f"{type(cause).__name__}: {why}"
        ) from cause
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise AssemblyError(
            f"backbone.weights: expected a mapping of names to tensors in {str(path)!r}; save the "
            f"model's state_dict"
        )
    expected = model.state_dict()
    # ignore additional tensors, such as those of a classifier
    fitting = {k: v for k, v in state.items() if k in expected and v.shape == expected[k].shape}
    missing = sorted(set(expected) - set(fitting))
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise AssemblyError(
            f"backbone.weights: {str(path)!r} has {len(fitting)} of the {len(expected)} tensors of "
            f"{config.model!r}; missing or of another shape: {shown}"
        )
    model.load_state_dict(fitting)


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
