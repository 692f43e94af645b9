"""What a worker does: one run, in a process of its own, and what it tells of it."""

import os
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
from mtlkit.errors import InterruptedRunError
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe import Recipe
from mtlkit.runs.fit_once import fit_once
from mtlkit.runs.folder import RunFolder
from mtlkit.runs.lock import LOCK, lock_folder

PATIENCE = 60.0
"""Seconds that a run may still be held by the worker of a comparison that was killed."""


@attrs.frozen(kw_only=True)
class Job:
    """A run to be made, and where it computes; it can be sent to another process."""

    recipe: Recipe
    path: Path
    catalog: Catalog
    loading: Loading
    device: str | None = None  # such as cuda:1; None: as the recipe says


@attrs.frozen(kw_only=True)
class Outcome:
    """How a run ended: well, or with an `error`; `interrupted` where it can still go on.

    One that was `killed` said nothing itself.
    """

    error: str | None = None
    interrupted: bool = False
    killed: bool = False

    def unfinished(self, *, stopping: bool) -> bool:
        """Whether the run can go on: where all are `stopping`, killing it was no fault of it."""
        return self.interrupted or (self.killed and stopping)


def run_job(job: Job) -> Outcome:
    """Make the run, or go on with it; whatever goes wrong is told, not raised."""
    if job.device is not None and job.device.startswith("cuda"):
        torch.cuda.set_device(torch.device(job.device))
    folder = RunFolder(job.path)
    try:
        _await(folder)
        fit_once(
            job.recipe,
            job.path,
            catalog=job.catalog,
            loading=job.loading,
            report=job.recipe.train.test,  # that of a trial is drawn when somebody asks for it
        )
        # a finished run goes on from nowhere, and a study has many
        shutil.rmtree(folder.checkpoints, ignore_errors=True)
    except (InterruptedRunError, KeyboardInterrupt):
        return Outcome(interrupted=True)
    except Exception as cause:  # also a stranger's: it is what became of the run
        return Outcome(error=f"{type(cause).__name__}: {cause}")
    return Outcome()


def _await(folder: RunFolder) -> None:
    """Wait until the worker of a comparison that was killed has ended."""
    if (folder.path / LOCK).exists():
        with lock_folder(folder.path, "run", timeout=PATIENCE):
            pass


def work(job: Job, results: Connection) -> None:
    """The whole life of a local worker: the run, and its outcome into `results`."""
    if sys.platform != "win32":
        os.setsid()  # Ctrl-C is for the comparison, which then asks its workers to stop
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    results.send(run_job(job))
    results.close()


def _end_with_parent() -> None:
    """End at once when the comparison is gone: its next session goes on from the checkpoint."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
