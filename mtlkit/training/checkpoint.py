"""Checkpoints: the complete state of a run, for an exact resume, without pickle."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from mtlkit.atomic_files import disk_errors, write_folder
from mtlkit.checksums import checksum, file_checksum, sealed, unsealed
from mtlkit.errors import RunError
from mtlkit.regular_files import LARGEST_JSON, read_regular
from mtlkit.training.optimization.optimizer_state import OptimizerState
from mtlkit.training.saved_steps import saved_steps

FORMAT = 2
"""The format of the checkpoints that this version writes."""

KEEP = 2
"""Number of checkpoints to keep: the newest, and the one before in case the newest is damaged."""

STATE = "state.json"

PARTS = ("model", "weighting", "optimizer", "callbacks")
"""The files of tensors of a checkpoint."""


@attrs.frozen(eq=False, kw_only=True)
class Checkpoint:
    """State of a run after `step` updates: tensors, and all other values as JSON."""

    step: int
    model: Mapping[str, Tensor]
    weighting: Mapping[str, Tensor]
    optimizer: OptimizerState
    callbacks: Mapping[str, Tensor] = attrs.field(factory=dict)
    progress: Mapping[str, Any]
    torch: str = torch.__version__  # the version that wrote it


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of `module`; `RunError` if its state has other values."""
    state = module.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise RunError(
                f"{type(module).__name__}.{name}: the state is a {type(value).__name__}; a "
                f"checkpoint holds tensors only, so keep state in parameters and buffers"
            )
    return state


def tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Return `tensors` in the safetensors format."""
    encoded: bytes = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
    return encoded


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write `checkpoint` below `folder`, delete all but the newest `KEEP`, return the new folder.

    Raises `RunError` if writing fails; older checkpoints are kept in this case.
    """
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)  # not its parents: a run that was moved is not created again
    path = _path(folder, checkpoint.step)
    tensors = (
        checkpoint.model,
        checkpoint.weighting,
        checkpoint.optimizer.tensors,
        checkpoint.callbacks,
    )
    files = {
        f"{part}.safetensors": tensor_bytes(values)
        for part, values in zip(PARTS, tensors, strict=True)
    }
    state = {
        "format": FORMAT,
        "step": checkpoint.step,
        "torch": checkpoint.torch,
        "optimizer": checkpoint.optimizer.values,
        "progress": checkpoint.progress,
        "files": {name: checksum([content]) for name, content in files.items()},
    }
    write_folder(path, {**files, STATE: f"{sealed(state, indent=2)}\n".encode()})
    for old in saved_steps(folder)[:-KEEP]:
        shutil.rmtree(_path(folder, old), ignore_errors=True)
    return path


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the newest checkpoint below `folder`, or None if there is none.

    Raises `RunError` if the newest is damaged or was written by a mtlkit with another format.
    """
    steps = saved_steps(folder)
    if not steps:
        return None
    path = _path(folder, steps[-1])
    try:
        state = unsealed(read_regular(path / STATE, LARGEST_JSON))
        if state["format"] != FORMAT:
            raise RunError(
                f"{path}: is a checkpoint of format {state['format']}, this mtlkit reads {FORMAT}; "
                f"resume with the mtlkit that wrote it"
            )
        if state["step"] != steps[-1]:
            raise ValueError(f"{STATE} is of step {state['step']}")
        for name, recorded in state["files"].items():
            if file_checksum(path / name) != recorded:
                raise ValueError(f"the checksum of {name} does not match {STATE}")
        model, weighting, optimizer, callbacks = (
            load_file(path / f"{part}.safetensors") for part in PARTS
        )
        return Checkpoint(
            step=state["step"],
            model=model,
            weighting=weighting,
            optimizer=OptimizerState(optimizer, state["optimizer"]),
            callbacks=callbacks,
            progress=state["progress"],
            torch=state["torch"],
        )
    except (OSError, ValueError, KeyError, SafetensorError) as cause:
        raise RunError(
            f"{path}: the checkpoint is damaged ({cause}); delete this folder to resume "
            f"from the one before it"
        ) from cause


def _path(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}"
