"""Checks that a resumed or evaluated run still has the recipe, data and logs that it began with."""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from mtlkit.assembly import Assembly
from mtlkit.checksums import checksum
from mtlkit.data.dataset import Data
from mtlkit.errors import DataError, RunError
from mtlkit.plugins.catalog import Catalog
from mtlkit.runs.prediction.saved_model import read_assembly, read_stored, save_assembly
from mtlkit.runs.storage.changes import (
    Change,
    log_changes,
    rank_changes,
    recipe_changes,
    record_changes,
    refuse_changes,
    version_changes,
)
from mtlkit.runs.storage.data_fingerprint import Fingerprint, data_changes, data_fingerprint
from mtlkit.runs.storage.folder import RunFolder, read_json, stored_values
from mtlkit.runs.warm_start import WarmStartReport
from mtlkit.task import Task
from mtlkit.training.checkpoint import Checkpoint
from mtlkit.training.progress import Progress
from mtlkit.training.saved_steps import saved_steps

SHOWN = 3
"""Number of changed parts of the data that a message lists before it counts the rest."""


def check_start(
    folder: RunFolder, then: Mapping[str, Any], now: Mapping[str, Any], accept: Collection[str]
) -> None:
    """Compare the provenance `then` of the run with that of the process that resumes it.

    Raises `RunError` for a changed recipe, version of mtlkit or a plugin, or number of processes.
    """
    changes = [
        *recipe_changes(folder, then),
        *version_changes(then, now),
        *rank_changes(then, now["ranks"]),
    ]
    refuse_changes(folder, changes, accept)
    facts = {name: now[name] for name in ("components", "versions", "ranks")}
    facts["recipe"] = checksum([folder.recipe.read_bytes()])
    record_changes(folder, changes, _step(folder), **facts)


def require_same_recipe(folder: RunFolder, text: str) -> None:
    """Raise `RunError` if the run in `folder` is not that of the resolved recipe `text`."""
    stored = folder.recipe.read_bytes().decode(errors="replace")
    if stored == text:
        return
    lines = list(difflib.ndiff(stored.splitlines(), text.splitlines()))
    was, now = (
        next((line[2:].strip() for line in lines if line.startswith(sign)), "no such line")
        for sign in ("- ", "+ ")
    )
    raise RunError(
        f"{folder.path}: holds the run of another recipe: got `{now}`, expected `{was}`; choose "
        f"another folder, or undo the change, which another version of mtlkit, a plugin or Optuna "
        f"can also make"
    )


def check_data(
    folder: RunFolder,
    data: Data,
    tasks: Mapping[str, Task],
    assembly: Assembly,
    catalog: Catalog,
    accept: Collection[str],
    progress: Progress,
) -> None:
    """Store assembly and fingerprint of the data of a new run; compare them in a resumed run.

    Raises `DataError` if the data has changed. Inputs with other values, which may come from
    another decoder, are a warning.
    """
    now = data_fingerprint(data, tasks, assembly)
    if not folder.assembly.exists():
        save_assembly(folder, assembly, now, data.preprocessing, catalog)
        return
    if read_assembly(folder, catalog) != assembly:
        raise DataError(
            f"{folder.path}: the data is no longer what the run began with: its labels, sample "
            f"shape or normalization differ from {folder.assembly.name}; bring the old data back, "
            f"or start a new run"
        )
    changes = _data_changes(folder, now)
    if changes:
        refuse_changes(folder, changes, accept)
        record_changes(folder, changes, _step(folder))
        save_assembly(folder, assembly, now, data.preprocessing, catalog)
    elif others := data_changes(read_stored(folder)["data"], now, content=True):
        progress.write(
            f"warning: the values of the inputs differ from those that the run began with: "
            f"{', '.join(others)}; another version of a decoder can be the reason"
        )


def changes_of_data(
    folder: RunFolder, data: Data, tasks: Mapping[str, Task], assembly: Assembly
) -> list[Change]:
    """Return the change of `data` since the run began, if there is one."""
    return _data_changes(folder, data_fingerprint(data, tasks, assembly))


def _data_changes(folder: RunFolder, now: Fingerprint) -> list[Change]:
    changed = data_changes(read_stored(folder)["data"], now)
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    is_now = f"other {', '.join(changed[:SHOWN])}{more}"
    return [Change("data", "the data that the run began with", is_now)] if changed else []


def check_warm_start(folder: RunFolder, report: WarmStartReport, accept: Collection[str]) -> None:
    """Refuse other weights of the run that this one starts from than in an earlier attempt.

    Raises `DataError`; without a checkpoint, a resumed run takes these weights anew.
    """
    began = read_json(folder.provenance).get("warm_start")
    if began is not None and began.get("weights", report.weights) != report.weights:
        was = f"the weights of {report.run} that the run began with"
        changes = [Change("data", was, "other weights")]
        refuse_changes(folder, changes, accept)
        record_changes(folder, changes, 0)


def check_logs(folder: RunFolder, checkpoint: Checkpoint, accept: Collection[str]) -> None:
    """Raise `RunError` if a log has lost what it held at the checkpoint."""
    with stored_values(folder.checkpoints):
        changes = log_changes(folder, checkpoint.progress["logs"])
    refuse_changes(folder, changes, accept)
    record_changes(folder, changes, checkpoint.step)


def _step(folder: RunFolder) -> int:
    return max(saved_steps(folder.checkpoints), default=0)
