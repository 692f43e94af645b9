"""Where runs are made: one seam, and behind it processes of this machine."""

import multiprocessing
import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import attrs

from mtlkit.comparison.execute.worker import Job, Outcome, work

MODULE = "mtlkit.comparison.execute.worker"
"""What a worker needs, imported once for all of them."""


class Executor(ABC):
    """Makes several runs at once, each in a process of its own."""

    slots: int  # how many

    @abstractmethod
    def submit(self, key: str, job: Job) -> None:
        """Begin with the run `key`; there is a slot free."""

    @abstractmethod
    def ended(self, seconds: float) -> list[tuple[str, Outcome]]:
        """The runs that have ended, after waiting at most so long for one."""

    @abstractmethod
    def stop(self) -> None:
        """Ask every run to save a checkpoint and end."""

    @abstractmethod
    def close(self) -> None:
        """End whatever is still there."""


@attrs.define(eq=False)
class _Worker:
    key: str
    slot: int
    process: BaseProcess
    results: Connection


class LocalProcesses(Executor):
    """Workers of this machine, on `devices` in turn.

    They are forked from a process that has done nothing but import, where the system can do that:
    each has its memory to itself, and its birth takes a tenth of a second rather than three.
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
        results, told = self._context.Pipe(duplex=False)
        process = self._context.Process(target=work, args=(job, told), name=f"mtlkit {key}")
        process.start()
        told.close()  # so that the worker's end is the only one, and its death is noticed
        self._workers.append(_Worker(key, slot, process, results))

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
    """What a worker told, or what became of one that told nothing."""
    try:
        found: Outcome = worker.results.recv()
    except (EOFError, OSError):
        worker.process.join()
        return Outcome(error=_killed(worker.process.exitcode or 0), killed=True)
    finally:
        worker.results.close()
    worker.process.join()
    return found


def _killed(code: int) -> str:
    """What the exit code of a process that told nothing says.

    >>> _killed(-15)
    'the worker was killed by SIGTERM'
    """
    if code >= 0:
        return f"the worker ended with the exit code {code} and told nothing"
    name = signal.Signals(-code).name
    memory = ", as the system does when memory runs out; use fewer `--workers`"
    return f"the worker was killed by {name}{memory if name == 'SIGKILL' else ''}"
