"""The writer of checkpoints of format 2, as mtlkit had it; it does not change."""

import json

import torch
import xxhash
from safetensors.torch import save

from mtlkit.training.optimization.optimizer_state import OptimizerState

PROGRESS = ("meter", "seconds", "peak_memory_bytes", "untrained", "logs")


def digest(content):
    return xxhash.xxh3_128(content).hexdigest()


def sealed(value):
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return json.dumps({**value, "checksum": digest(text.encode())}, indent=2)


def stored(value, key, tensors):
    if isinstance(value, torch.Tensor):
        tensors[key] = value
        return {"tensor": key}
    if isinstance(value, list | tuple):
        items = [stored(item, f"{key}/{n}", tensors) for n, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    return value


def numbered_state(optimizer, *_):
    """Tensors of parameters are named ``<number>.<name>``."""
    state = optimizer.state_dict()
    tensors, values = {}, {}
    for parameter, entries in state["state"].items():
        for name, value in entries.items():
            key = f"{parameter}.{name}"
            if isinstance(value, torch.Tensor):
                tensors[key] = value
            else:
                values[key] = stored(value, key, tensors)
    groups = [
        {key: stored(value, f"group.{n}.{key}", tensors) for key, value in group.items()}
        for n, group in enumerate(state["param_groups"])
    ]
    more = {
        name: stored(value, name, tensors)
        for name, value in state.items()
        if name not in ("state", "param_groups")
    }
    return OptimizerState(tensors, {"state": values, "groups": groups, "more": more})


def save_checkpoint(folder, checkpoint, *_):
    path = folder / f"step-{checkpoint.step:08d}"
    path.mkdir(parents=True)
    parts = {
        "model": checkpoint.model,
        "weighting": checkpoint.weighting,
        "optimizer": checkpoint.optimizer.tensors,
        "callbacks": checkpoint.callbacks,
    }
    files = {
        f"{part}.safetensors": save({k: v.detach().cpu().contiguous() for k, v in values.items()})
        for part, values in parts.items()
    }
    for name, content in files.items():
        (path / name).write_bytes(content)
    state = {
        "format": 2,
        "step": checkpoint.step,
        "torch": checkpoint.torch,
        "optimizer": checkpoint.optimizer.values,
        "progress": {key: checkpoint.progress[key] for key in PROGRESS},
        "files": {name: digest(content) for name, content in files.items()},
    }
    (path / "state.json").write_text(f"{sealed(state)}\n")
    return path
