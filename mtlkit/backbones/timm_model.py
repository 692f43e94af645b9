"""Any timm model as a backbone."""

from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mtlkit.backbones.base import Backbone, BackboneModule
from mtlkit.component import between
from mtlkit.errors import AssemblyError


@attrs.frozen(kw_only=True)
class TimmModel(Backbone):
    """Any timm model by name, without its classifier.

    `weights` is a local file of pretrained weights (safetensors, or a torch file of tensors),
    relative to the working directory. `download` allows timm to download pretrained weights.
    """

    model: str
    weights: Path | None = None
    download: bool = False
    dropout: float = attrs.field(default=0.0, validator=between(0, 1))

    def build(self, sample_shape: tuple[int, ...]) -> "BackboneModule":
        return TimmBackbone(self, sample_shape)

    def blank(self) -> Backbone:
        return attrs.evolve(self, weights=None, download=False)


class TimmBackbone(BackboneModule):
    """Maps images (N, C, H, W) to the pooled features of a timm model.

    The model is created for the data's channel count and, if it depends on it, image size. Raises
    `AssemblyError` if the model is unknown, or the weights file or the images do not fit.
    """

    def __init__(self, config: TimmModel, sample_shape: tuple[int, ...]) -> None:
        super().__init__()
        if len(sample_shape) != 3:
            raise AssemblyError(f"timm expects images (C, H, W), found samples {sample_shape}")
        self.model = _create(config, sample_shape)
        self.dropout = nn.Dropout(config.dropout)
        if config.weights is not None:
            _load_weights(self.model, config)
        self.features = _feature_count(self.model, config, sample_shape)

    def forward(self, inputs: Tensor) -> Tensor:
        features: Tensor = self.dropout(self.model(inputs))
        return features


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
        "num_classes": 0,
        "in_chans": channels,
    }
    try:
        try:  # models with position embeddings need `img_size`; others do not accept it
            model: nn.Module = timm.create_model(config.model, img_size=(height, width), **options)
        except TypeError:
            model = timm.create_model(config.model, **options)
    except (RuntimeError, AssertionError, ValueError) as cause:
        raise AssemblyError(
            f"timm cannot create {config.model!r} for images of shape {sample_shape}: {cause}"
        ) from cause
    return model


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


def _feature_count(model: nn.Module, config: TimmModel, sample_shape: tuple[int, ...]) -> int:
    """Return the width of the pooled features, measured because not all timm models declare it."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            features = model(torch.zeros(1, *sample_shape))
    except (RuntimeError, AssertionError, ValueError) as cause:
        raise AssemblyError(
            f"the timm model {config.model!r} failed on images of shape {sample_shape}: {cause}"
        ) from cause
    finally:
        model.train(training)
    if features.dim() != 2:
        raise AssemblyError(
            f"got features of shape {tuple(features.shape[1:])} from the timm model "
            f"{config.model!r}, expected one vector per image"
        )
    return int(features.shape[1])
