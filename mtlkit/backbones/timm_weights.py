"""Pretrained weights of timm models: files of several forms, and the images that they expect."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from mtlkit.errors import AssemblyError, error_text
from mtlkit.features.pretrained import PretrainedImages

WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "backbone")
"""Keys of checkpoints that hold the weights, in order of preference."""

PREFIXES = ("module.", "_orig_mod.", "model.", "router.", "backbone.", "encoder.", "net.")
"""Starts of the names of weights that wrappers of models add."""

LONGEST = 600
"""Number of characters of timm's reasons that a message shows."""


def pretrained_images(model: str) -> PretrainedImages | None:
    """Return the preprocessing of the pretrained weights of `model`; None if timm has none.

    All models of timm read RGB.
    """
    import timm

    if not timm.is_model(model.partition(".")[0]):
        return None  # the error is raised when the model is built
    config = timm.get_pretrained_cfg(model)
    if config is None or not config.mean or not config.std:
        return None
    return PretrainedImages(
        mean=tuple(255 * value for value in config.mean),
        std=tuple(255 * value for value in config.std),
        interpolation=config.interpolation or "bicubic",
        crop=float(config.crop_pct or 1.0),
    )


def pretrained_overlay(
    path: Path, model: str, expected: Iterable[str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the overlay of a model's pretrained configuration that makes timm load `path`.

    The second value are notes about tensors that are not used.

    timm then converts the weights: the first layer to the number of channels, and the embeddings of
    positions to the size of the images. The weights of the classifier are left out, and `expected`
    are the names of the others. Raises `AssemblyError` for a file without weights.
    """
    import timm

    config = timm.get_pretrained_cfg(model)
    classifiers = config.classifier if config is not None else None
    names = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers or ())
    without = {f"{name}.{part}" for name in names for part in ("weight", "bias")}
    state, others = without_prefixes(read_weights(path), frozenset(expected))
    notes: tuple[str, ...] = ()
    if others:
        shown = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
        notes = (
            f"backbone.weights: {path} also has {len(others)} tensors of other parts, which are "
            f"not used: {shown}",
        )
    kept = {name: value for name, value in state.items() if name not in without}
    # equal numbers of classes make timm refuse missing and unexpected names
    return {"state_dict": kept, "num_classes": 0, "label_offset": 0}, notes


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file or a torch checkpoint, without its wrapper."""
    if not path.is_file():
        raise AssemblyError(f"backbone.weights: no file {str(path.absolute())!r}")
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as cause:
        why = error_text(cause, LONGEST).partition(". ")[0]
        raise AssemblyError(
            f"backbone.weights: {str(path)!r} is not a file of weights, or holds code or objects, "
            f"which are not loaded: {why}; save the model's state_dict"
        ) from cause
    except Exception as cause:  # torch and safetensors raise many types for other files
        why = error_text(cause).partition(". ")[0]  # omits torch's advice on unsafe loading
        raise AssemblyError(
            f"backbone.weights: {str(path)!r} is not a file of weights: {why}"
        ) from cause
    while isinstance(state, Mapping):
        wrapped = [state[key] for key in WRAPPERS if isinstance(state.get(key), Mapping)]
        if not wrapped:
            break
        state = wrapped[0]
    named = isinstance(state, Mapping) and all(isinstance(v, Tensor) for v in state.values())
    if not named or not state:
        raise AssemblyError(
            f"backbone.weights: expected a mapping of names to tensors in {str(path)!r}, alone or "
            f"under {', '.join(WRAPPERS)}; save the model's state_dict"
        )
    empty = [name for name, value in state.items() if value.is_meta]
    if empty:
        raise AssemblyError(
            f"backbone.weights: {len(empty)} of {len(state)} tensors in {str(path)!r} have no "
            f"values (meta tensors), such as {empty[0]!r}; save the state_dict after loading the "
            f"weights"
        )
    return dict(state)


def without_prefixes(
    state: Mapping[str, Tensor], expected: frozenset[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """Return `state` without the prefixes of wrappers, and the names that lack such a prefix.

    >>> state = {"module.model.fc.bias": torch.zeros(1), "module.loss": torch.zeros(1)}
    >>> without_prefixes(state, frozenset({"fc.bias"}))
    ({'fc.bias': tensor([0.])}, ['loss'])
    """
    others: list[str] = []
    named = dict(state)
    while True:
        prefix = next((p for p in PREFIXES if _is_wrapper(p, named, expected)), None)
        if prefix is None:
            return named, others
        others += [name for name in named if not name.startswith(prefix)]
        named = {
            name.removeprefix(prefix): value
            for name, value in named.items()
            if name.startswith(prefix)
        }


def _is_wrapper(prefix: str, state: Mapping[str, Tensor], expected: frozenset[str]) -> bool:
    """Return True if `prefix` starts names of `state` but none of the model's own."""
    return (
        any(name.startswith(prefix) for name in state)
        and not any(name.startswith(prefix) for name in expected)
        and not expected & state.keys()
    )


def is_download_error(cause: BaseException) -> bool:
    """Return True for an error of the network, or of the cache of the hub."""
    packages = {kind.__module__.partition(".")[0] for kind in type(cause).__mro__}
    return isinstance(cause, OSError) or bool(
        packages & {"huggingface_hub", "httpx", "requests", "urllib", "urllib3"}
    )
