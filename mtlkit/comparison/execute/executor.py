"""The interface of executors, and the executor that runs local processes."""

import multiprocessing
import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import attrs

from mtlkit.comparison.execute.worker import Job, Outcome, work
from mtlkit.errors import RunError, error_text

MODULE = "mtlkit.comparison.execute.worker"
"""Module that workers need, imported once for all of them."""


class Executor(ABC):
    """Executes several runs at once, each in a separate process."""

    slots: int  # runs at once

    @abstractmethod
    def submit(self, key: str, job: Job) -> None:
        """Start the run `key`; requires a free slot."""

    @abstractmethod
    def ended(self, seconds: float) -> list[tuple[str, Outcome]]:
        """Return the runs that have ended, after waiting at most `seconds` for one."""

    @abstractmethod
    def stop(self) -> None:
        """Ask every run to save a checkpoint and end."""

    @abstractmethod
    def close(self) -> None:
        """Terminate the remaining runs."""


@attrs.define(eq=False)
class _Worker:
    key: str
    slot: int
    process: BaseProcess
    results: Connection


class LocalProcesses(Executor):
    """Workers of this machine, on `devices` in turn.

    If the system supports it, they are forked from a process that has only imported the modules:
    each has separate memory, and starts in a tenth of a second rather than three.
    """

    def __init__(self, workers: int, devices: Sequence[str | None] = (None,)) -> None:
        self.slots = workers
        self._devices = devices
        methods = multiprocessing.get_all_start_methods()
        how = "forkserver" if "forkserver" in methods else "spawn"
        self._context: Any = multiprocessing.get_context(how)
        if how == "forkserver":
            self._context.set_forkserver_preload([MODULE])
        self._workers: list[_Worker] = []

    def submit(self, key: str, job: Job) -> None:
        slot = min(set(range(self.slots)) - {worker.slot for worker in self._workers})
        job = attrs.evolve(job, device=self._devices[slot % len(self._devices)])
        results, sender = self._context.Pipe(duplex=False)
        process = self._started(key, job, sender)
        sender.close()  # leaves the worker's end as the only one, so its exit is detected
        self._workers.append(_Worker(key, slot, process, results))

    def _started(self, key: str, job: Job, sender: Connection) -> BaseProcess:
        """Return a started worker; start anew, once, the server that workers are forked from."""
        for attempt in range(2):
            process: BaseProcess = self._context.Process(
                target=work, args=(job, sender), name=f"mtlkit {key}"
            )
            try:
                process.start()
            except (EOFError, OSError) as cause:  # the server was killed
                if attempt:
                    raise RunError(
                        f"{key}: no worker could be started ({error_text(cause)}); free some "
                        f"memory and repeat the command, which continues"
                    ) from cause
            else:
                break
        return process

    def ended(self, seconds: float) -> list[tuple[str, Outcome]]:
        if not self._workers:
            return []
        ready = wait([worker.results for worker in self._workers], timeout=seconds)
        gone = [worker for worker in self._workers if worker.results in ready]
        self._workers = [worker for worker in self._workers if worker not in gone]
        return [(worker.key, _outcome(worker)) for worker in gone]

    def stop(self) -> None:
        for worker in self._workers:
            worker.process.terminate()

    def close(self) -> None:
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
            worker.results.close()
        self._workers = []


def _outcome(worker: _Worker) -> Outcome:
    """Return the outcome that a worker sent, or one from its exit code if it sent none."""
    try:
        outcome: Outcome = worker.results.recv()
    except (EOFError, OSError):
        worker.process.join()
        code = worker.process.exitcode or 0
        return Outcome(error=_exit_text(code), lost=code == UNKNOWN or -code in LOST)
    finally:
        worker.results.close()
    worker.process.join()
    return outcome


UNKNOWN = 255
"""Exit code of a worker whose own code is unknown, because the server that forked it was killed."""

LOST = tuple(
    getattr(signal, name)
    for name in ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT")
    if name in dir(signal)
)
"""Signals that others send. A process causes the others itself, such as SIGSEGV."""


def _exit_text(code: int) -> str:
    """Return a message about the exit code of a process that sent no outcome.

    >>> _exit_text(-15)
    'the worker was killed by SIGTERM'
    """
    if code >= 0:
        return f"the worker ended with the exit code {code} and sent no result"
    name = signal.Signals(-code).name
    memory = ", as the system does when memory runs out; use fewer `--workers`"
    return f"the worker was killed by {name}{memory if name == 'SIGKILL' else ''}"
