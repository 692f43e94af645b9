"""Checkpoints: the complete state of a run, for an exact resume, without pickle.

A checkpoint is a folder of files of tensors, and of the JSON file `STATE`, which lists them with
their checksums. Each process writes the rows that it holds of divided tensors.
"""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from mtlkit.atomic_files import TEMPORARY, disk_errors, replaced_folder
from mtlkit.checksums import file_checksum, sealed, unsealed
from mtlkit.errors import RunError
from mtlkit.regular_files import LARGEST_JSON, read_regular
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.optimization.optimizer_state import OptimizerState
from mtlkit.training.saved_steps import saved_steps
from mtlkit.training.sharding.held_rows import Held, HeldRows
from mtlkit.training.tensor_files import StoredTensors, write_tensors

FORMAT = 3
"""The format of the checkpoints that this version writes."""

READABLE = (2, FORMAT)
"""The formats that this version reads. Format 2 numbers the parameters of optimizers, and holds
whole tensors only."""

KEEP = 2
"""Number of checkpoints to keep: the newest, and the one before in case the newest is damaged."""

STATE = "state.json"

PARTS = ("model", "weighting", "optimizer", "callbacks")
"""The files of tensors of a checkpoint."""

_ALONE, _CPU = Ranks(), torch.device("cpu")


@attrs.frozen(eq=False, kw_only=True)
class Checkpoint:
    """State of a run after `step` updates: tensors, and all other values as JSON.

    A checkpoint to write has a mapping of names to what this process holds of each tensor. One that
    was read has `StoredTensors`, which read whole tensors or rows on access.
    """

    step: int
    model: Any
    weighting: Any
    optimizer: OptimizerState
    callbacks: Any = attrs.field(factory=dict)
    progress: Mapping[str, Any]
    torch: str = torch.__version__  # the version that wrote it

    def parts(self) -> dict[str, Mapping[str, Held]]:
        """Return the tensors by the name of their file in `PARTS`."""
        tensors = (self.model, self.weighting, self.optimizer.tensors, self.callbacks)
        return dict(zip(PARTS, tensors, strict=True))


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


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, ranks: Ranks = _ALONE, device: torch.device = _CPU
) -> Path:
    """Write `checkpoint` below `folder`, delete all but the newest `KEEP`, return the new folder.

    Every process calls this with what it holds; messages between them go through `device`. Raises
    `RunError` on all if writing fails on one; older checkpoints are kept in this case.
    """
    path = _path(folder, checkpoint.step)
    partial = path.with_name(f"{TEMPORARY}{path.name}")
    with ExitStack() as stack:

        def begin() -> None:
            if ranks.first:
                with disk_errors(folder):
                    folder.mkdir(exist_ok=True)  # not its parents: a run may have been moved
                with disk_errors(path):
                    stack.enter_context(replaced_folder(path))

        def write_rows() -> Mapping[str, Any]:
            with disk_errors(path):
                return _write_rows(partial, checkpoint, ranks)

        def finish() -> None:
            if ranks.first:
                with disk_errors(path):
                    _write_whole(partial, checkpoint, divided)
                    stack.close()  # syncs and renames the folder

        ranks.together(begin, device)
        divided = ranks.together(write_rows, device)
        ranks.together(finish, device)
    if ranks.first:
        for old in saved_steps(folder)[:-KEEP]:
            shutil.rmtree(_path(folder, old), ignore_errors=True)
    return path


def _write_rows(folder: Path, checkpoint: Checkpoint, ranks: Ranks) -> dict[str, Any]:
    """Write the rows that this process holds; return their checksums and first rows by file."""
    files = {}
    for part, tensors in checkpoint.parts().items():
        held = {key: value for key, value in tensors.items() if isinstance(value, HeldRows)}
        if held:
            name = f"{part}.process-{ranks.rank}-of-{ranks.world}.safetensors"
            written = write_tensors(folder / name, {key: v.rows for key, v in held.items()})
            starts = {key: value.start for key, value in held.items()}
            files[name] = {"checksum": written, "starts": starts}
    return files


def _write_whole(
    folder: Path, checkpoint: Checkpoint, divided: Sequence[Mapping[str, Any]]
) -> None:
    """Write the tensors that are not divided, and at last the list of all files."""
    files: dict[str, Any] = {}
    for part, tensors in checkpoint.parts().items():
        name = f"{part}.safetensors"
        whole = {key: value for key, value in tensors.items() if isinstance(value, Tensor)}
        files[name] = {"checksum": write_tensors(folder / name, whole), "starts": {}}
    for of_process in divided:
        files |= of_process
    state = {
        "format": FORMAT,
        "step": checkpoint.step,
        "torch": checkpoint.torch,
        "optimizer": checkpoint.optimizer.values,
        "progress": checkpoint.progress,
        "files": files,
    }
    (folder / STATE).write_bytes(f"{sealed(state, indent=2)}\n".encode())


def newest_checkpoint(
    folder: Path, ranks: Ranks = _ALONE, device: torch.device = _CPU
) -> Checkpoint | None:
    """Return the newest checkpoint below `folder`, or None if there is none.

    Every process calls this, and compares the checksums of some of the files. Raises `RunError` on
    all of them if the newest is damaged, or was written by a mtlkit with another format.
    """
    steps = ranks.together(lambda: max(saved_steps(folder), default=None), device)
    if len(set(steps)) > 1:
        texts = ("no checkpoint" if s is None else f"the checkpoint of step {s}" for s in steps)
        lines = ", ".join(f"process {rank} {text}" for rank, text in enumerate(texts))
        raise RunError(
            f"{folder}: got {lines}, expected the same on every machine; put the run's folder on a "
            f"disk that all of them share"
        )
    if steps[0] is None:
        return None
    opened: list[Checkpoint] = []
    ranks.together(lambda: opened.append(_opened(folder, steps[0], ranks)), device)
    return opened[0]


def _opened(folder: Path, step: int, ranks: Ranks) -> Checkpoint:
    """Return the checkpoint of `step`, after the checks of this process."""
    path = _path(folder, step)
    try:
        state = unsealed(read_regular(path / STATE, LARGEST_JSON))
        if state["format"] not in READABLE:
            raise RunError(
                f"{path}: is a checkpoint of format {state['format']}, this mtlkit reads "
                f"{' and '.join(map(str, READABLE))}; resume with the mtlkit that wrote it"
            )
        if state["step"] != step:
            raise ValueError(f"{STATE} is of step {state['step']}")
        files: dict[str, Any] = state["files"]
        if state["format"] == 2:
            files = {name: {"checksum": value, "starts": {}} for name, value in files.items()}
        for name in sorted({*files, *(file.name for file in path.glob("*.safetensors"))}):
            if name not in files:
                raise ValueError(f"{name} is not one of its files")
            if not (path / name).is_file():
                raise ValueError(f"{name} is missing")
        for name in sorted(files)[ranks.rank :: ranks.world]:
            if file_checksum(path / name) != files[name]["checksum"]:
                raise ValueError(f"the checksum of {name} does not match {STATE}")
        model, weighting, optimizer, callbacks = (
            StoredTensors(
                (path / name, facts["starts"])
                for name, facts in files.items()
                if name.partition(".")[0] == part
            )
            for part in PARTS
        )
        return Checkpoint(
            step=step,
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
