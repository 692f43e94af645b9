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
    """Any model of timm by its name, without its classifier.

    `weights` is a local file of pretrained weights (safetensors, or a torch file that holds
    tensors only), sought from the working directory. Nothing is downloaded unless `download` says
    so.
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
    """Images (N, C, H, W) to the pooled features of a timm model.

    The model is made for the channel count and, where it depends on it, the size of the data.
    Raises `AssemblyError` for an unknown model, a weights file that does not fit, or images that
    the model cannot take.
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
            f"`python -c 'import timm; print(timm.list_models())'` shows all"
        )
    channels, height, width = sample_shape
    options: dict[str, Any] = {
        "pretrained": config.download,
        "num_classes": 0,
        "in_chans": channels,
    }
    try:
        try:  # models with position embeddings want the image size; the others refuse the word
            model: nn.Module = timm.create_model(config.model, img_size=(height, width), **options)
        except TypeError:
            model = timm.create_model(config.model, **options)
    except (RuntimeError, AssertionError, ValueError) as cause:
        raise AssemblyError(
            f"timm cannot make {config.model!r} for images of shape {sample_shape}: {cause}"
        ) from cause
    return model


def _load_weights(model: nn.Module, config: TimmModel) -> None:
    path = config.weights
    assert path is not None
    if not path.is_file():
        raise AssemblyError(f"backbone.weights: there is no file {str(path.absolute())!r}")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as cause:  # torch and safetensors raise much for a file that is none of theirs
        why = str(cause).partition(". ")[0]  # torch goes on to advise unsafe loading
        raise AssemblyError(
            f"backbone.weights: {str(path)!r} is no file of weights: {type(cause).__name__}: {why}"
        ) from cause
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise AssemblyError(
            f"backbone.weights: {str(path)!r} holds no mapping of names to tensors; save the "
            f"model's state_dict"
        )
    own = model.state_dict()
    # a file made with a classifier has more tensors than the model: those are left alone
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    missing = sorted(set(own) - set(fitting))
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise AssemblyError(
            f"backbone.weights: {str(path)!r} gives {len(fitting)} of the {len(own)} tensors of "
            f"{config.model!r}; missing or of another shape: {shown}"
        )
    model.load_state_dict(fitting)


def _feature_count(model: nn.Module, config: TimmModel, sample_shape: tuple[int, ...]) -> int:
    """The width of the pooled features, found by asking the model: not all of timm declare it."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            features = model(torch.zeros(1, *sample_shape))
    except (RuntimeError, AssertionError, ValueError) as cause:
        raise AssemblyError(
            f"the timm model {config.model!r} cannot take images of shape {sample_shape}: {cause}"
        ) from cause
    finally:
        model.train(training)
    if features.dim() != 2:
        raise AssemblyError(
            f"the timm model {config.model!r} gives features of shape {tuple(features.shape[1:])}, "
            f"expected one vector for each image"
        )
    return int(features.shape[1])
