"""A start from the weights of another run."""

from pathlib import Path

import attrs
import torch
from torch import Tensor

from mtlkit.callbacks.parameter_selection import select_tensors
from mtlkit.errors import AssemblyError, RunError
from mtlkit.features.inputs import described_inputs
from mtlkit.model import MultiTaskModel
from mtlkit.ops.row_shard import RowShard
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe import WarmStart
from mtlkit.runs.prediction.saved_model import read_assembly, read_weights
from mtlkit.runs.storage.folder import open_run
from mtlkit.training.sharding.held_rows import stored_part
from mtlkit.training.sharding.whole_model import row_shards

SHOWN = 5
"""Number of names of each kind in the line of a report."""


@attrs.frozen(kw_only=True)
class WarmStartReport:
    """The tensors of a model that were taken from another run, and those that were not."""

    run: str
    weights: str  # the checksum of that run's model
    parts: tuple[str, ...]
    taken: tuple[str, ...]
    missing: tuple[str, ...]  # which that run lacks
    other_shape: tuple[str, ...]
    other_classes: tuple[str, ...]  # of a head whose classes differ in that run
    other_inputs: str  # how the normalization of inputs differs, or empty

    def line(self) -> str:
        """Return the report in a line."""
        kept = {
            "not in that run": self.missing,
            "of another shape": self.other_shape,
            "with other classes": self.other_classes,
        }
        total = len(self.taken) + sum(map(len, kept.values()))
        notes = [
            f"{kind}: {', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"
            for kind, names in kept.items()
            if names
        ]
        notes += [self.other_inputs] if self.other_inputs else []
        parts = "the model" if self.parts == ("*",) else ", ".join(self.parts)
        text = f"warm start from {self.run}: {len(self.taken)} of {total} tensors of {parts}"
        return "; ".join([text, *notes])


def warm_start(
    model: MultiTaskModel, options: WarmStart, base: Path, catalog: Catalog
) -> WarmStartReport:
    """Give the selected tensors of `model` the values of another run; return what was taken.

    A tensor keeps its new value if that run lacks it, has another shape of it, or has other classes
    of its head. A relative path starts at `base`. Raises `AssemblyError` if the folder holds no
    trained model, if a part selects nothing, or if nothing could be taken.
    """
    try:
        folder = open_run(base / options.run)
        saved = read_weights(folder)
        then = read_assembly(folder, catalog)
    except RunError as cause:  # of another run, so this one has nothing to be resumed
        raise AssemblyError(*cause.lines_at("warm_start.run")) from cause
    names = select_tensors(model, options.parts, "warm_start.parts")
    current = model.state_dict()
    changed = {
        f"heads.{task}_head."
        for task, target in model.assembly.targets.items()
        if then.targets.get(task, target) != target
    }
    classes = [name for name in names if name.startswith(tuple(changed))]
    names = [name for name in names if name not in classes]
    missing = [name for name in names if name not in saved]
    names = [name for name in names if name in saved]
    shards = row_shards(model)
    whole = {name: _shape(current[name], shards.get(name)) for name in names}
    shapes = [name for name in names if saved.shape(name) != whole[name]]
    taken = [name for name in names if name not in shapes]
    inputs = model.assembly.inputs
    now, before = described_inputs(inputs), described_inputs(then.inputs)
    report = WarmStartReport(
        run=str(options.run),
        weights=folder.status().checksums[folder.model.name],
        parts=options.parts,
        taken=tuple(taken),
        missing=tuple(missing),
        other_shape=tuple(shapes),
        other_classes=tuple(classes),
        other_inputs=f"inputs are {now}, there {before}" if then.inputs != inputs else "",
    )
    if not taken:
        raise AssemblyError(
            f"warm_start: nothing of {options.run} fits; {report.line()}; choose a run of the same "
            f"backbone, or other `parts`"
        )
    parts = {name: stored_part(saved, name, current[name], shards.get(name)) for name in taken}
    model.load_state_dict({**current, **parts})
    return report


def _shape(current: Tensor, shard: RowShard | None) -> torch.Size:
    """Return the shape of the whole tensor, of which this process may hold some rows."""
    return current.shape if shard is None else torch.Size((shard.total, *current.shape[1:]))
