"""The worker: executes one run in a separate process and returns its outcome."""

import os
import platform
import shutil
import signal
import sys
import threading
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path

import attrs
import torch

from mtlkit.data.source import Loading
from mtlkit.errors import InterruptedRunError, RunError, error_text
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe import Recipe
from mtlkit.runs.fit_once import fit_once
from mtlkit.runs.storage.folder import RunFolder
from mtlkit.runs.storage.lock import LOCK, lock_folder

PATIENCE = 60.0
"""Seconds to wait for a lock held by the worker of a comparison that was killed."""


@attrs.frozen(kw_only=True)
class Job:
    """A run to execute and its device; can be sent to another process.

    A worker on a machine without the file `shared` does not have the folder of the study.
    """

    recipe: Recipe
    path: Path
    catalog: Catalog
    loading: Loading
    shared: Path | None = None
    device: str | None = None  # such as cuda:1; None: that of the recipe


@attrs.frozen(kw_only=True)
class Outcome:
    """Outcome of a run: success, or an `error`; `interrupted` if the run can be resumed.

    If the worker or its machine was `lost`, the run itself has not failed. `retries` counts how
    often the run was lost and started again.
    """

    error: str | None = None
    interrupted: bool = False
    lost: bool = False
    retries: int = 0

    def unfinished(self, *, stopping: bool) -> bool:
        """Return whether to resume the run without counting; while `stopping`, also a lost one."""
        return self.interrupted or (self.lost and stopping)


def run_job(job: Job) -> Outcome:
    """Start or resume the run; return errors in the outcome instead of raising them."""
    if job.shared is not None and not job.shared.is_file():
        return Outcome(
            error=f"the machine {platform.node()} has no {job.shared}; mount the study's folder "
            f"there under the same path",
            lost=True,
        )
    if job.device is not None and job.device.startswith("cuda"):
        torch.cuda.set_device(torch.device(job.device))
    folder = RunFolder(job.path)
    try:
        _await(folder)
    except RunError as cause:  # such as the worker on a machine that no longer answers
        return Outcome(error=error_text(cause), lost=True)
    try:
        fit_once(
            job.recipe,
            job.path,
            catalog=job.catalog,
            loading=job.loading,
            report=job.recipe.train.test,  # the report of a trial is drawn on demand
        )
        # a finished run needs no checkpoints, and a study has many runs
        shutil.rmtree(folder.checkpoints, ignore_errors=True)
    except (InterruptedRunError, KeyboardInterrupt):
        return Outcome(interrupted=True)
    except Exception as cause:  # also errors of plugins: they are the outcome of the run
        return Outcome(error=error_text(cause, longest=10_000))
    return Outcome()


def _await(folder: RunFolder) -> None:
    """Wait for the end of a lost worker; `RunError` if it still works in the folder."""
    if (folder.path / LOCK).exists():
        with lock_folder(folder.path, "run", timeout=PATIENCE):
            pass


def work(job: Job, results: Connection) -> None:
    """Run a local worker: execute the run and send its outcome into `results`."""
    if sys.platform != "win32":
        os.setsid()  # Ctrl-C goes to the comparison, which then stops its workers
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    results.send(run_job(job))
    results.close()


def _end_with_parent() -> None:
    """Exit when the comparison exits; the run is resumed from its checkpoint."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
