"""Execution on a Ray cluster, whose machines share the study's folder and the data."""

import faulthandler
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtlkit.comparison.execute.executor import Executor
from mtlkit.comparison.execute.executor_config import ExecutorConfig
from mtlkit.comparison.execute.worker import Job, Outcome, run_job
from mtlkit.data.memory_limit import GIB
from mtlkit.errors import RunError, error_text, import_extra
from mtlkit.recipe import Train

CONNECT = 10.0
"""Seconds to wait for an answer of the cluster's address."""


class RayTasks(Executor):
    """Execute each run as a Ray task in a separate process; Ray chooses the machine and the GPU.

    Connects to the cluster that `address` or Ray's own settings name, or else starts one on this
    machine. A run whose recipe may use a GPU requests one if the cluster has any. Raises
    `MissingExtraError` without Ray, and `RunError` if no cluster answers.
    """

    def __init__(self, config: ExecutorConfig, address: str | None = None) -> None:
        self._ray, self._config = require_ray(), config
        self._mine = not self._ray.is_initialized()
        if self._mine:
            try:
                _try_connection(address or "")
                self._ray.init(address=address, include_dashboard=False, log_to_driver=False)
            except OSError as cause:  # also the error of Ray
                raise RunError(
                    f"--ray: no Ray cluster answers at {address} ({error_text(cause)}); start one "
                    f"with `ray start --head`, or use `--ray local`"
                ) from cause
        # one process for each run; `Retrying` starts lost runs again, and counts them
        self._task = self._ray.remote(max_calls=1, max_retries=0)(_run_job)
        self._begun: dict[Any, tuple[str, Job]] = {}
        self._needs = self._needed_by(Train(device=config.device_type or "auto"))

    @property
    def slots(self) -> int:  # type: ignore[override]  # a cluster may grow
        """The number of runs like the last one that the cluster executes at once."""
        fitting = [
            int(min(machine.get(name, 0.0) / need for name, need in self._needs.items() if need))
            for machine in self._machines()
        ]
        return self._config.workers or max(1, sum(fitting))

    def submit(self, key: str, job: Job) -> None:
        self._needs = self._needed_by(job.recipe.train)
        self._require_machine()
        task = self._task.options(
            num_cpus=self._needs["CPU"],
            num_gpus=self._needs["GPU"],
            memory=self._needs["memory"] or None,
        )
        self._begun[task.remote(job)] = key, job

    def _machines(self) -> list[Mapping[str, float]]:
        """Return the resources of each machine of the cluster."""
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def _needed_by(self, train: Train) -> dict[str, float]:
        """Return what a run needs, by the names of Ray's resources."""
        stated = self._config.resources
        threads = train.threads if isinstance(train.threads, int) else self._config.threads
        return {
            "CPU": float(stated.cpus or threads),
            "GPU": self._gpus_for(train.device),
            "memory": float(stated.memory_bytes or 0),
        }

    def _gpus_for(self, device: str) -> float:
        """Return the GPUs that a run with the recipe's `device` requests."""
        kind, _, index = device.partition(":")
        if kind == "cpu":
            return 0.0
        if index:
            raise RunError(
                f"train.device: got {device!r} with Ray, which assigns GPUs; use {kind!r}"
            )
        stated = self._config.resources.gpus
        if kind == "auto" and stated is None and not any("GPU" in one for one in self._machines()):
            return 0.0
        return stated or 1.0

    def _require_machine(self) -> None:
        """Raise `RunError` if no machine of the cluster has so much: the run would wait forever."""
        needs = self._needs
        if not any(
            all(one.get(name, 0.0) >= needs[name] for name in needs) for one in self._machines()
        ):
            raise RunError(
                f"resources: got {needs['CPU']:g} cpus, {needs['GPU']:g} gpus and "
                f"{needs['memory'] / GIB:g} GiB for a run, which no machine of the Ray cluster "
                f"has; lower them, use `--devices cpu`, or start such a machine"
            )

    def ended(self, seconds: float) -> list[tuple[str, Outcome]]:
        if not self._begun:
            return []
        done, _ = self._ray.wait(list(self._begun), num_returns=1, timeout=seconds)
        return [(self._begun[task][0], self._outcome(task)) for task in done]

    def _outcome(self, task: Any) -> Outcome:
        """Return the outcome of a task; `run_job` raises no error, so an error of Ray is a loss."""
        errors = self._ray.exceptions
        _, job = self._begun.pop(task)
        try:
            outcome: Outcome = self._ray.get(task)
        except errors.TaskCancelledError:
            return Outcome(interrupted=True)
        except errors.RayError as cause:
            crash = _crash_text(job.path) if isinstance(cause, errors.WorkerCrashedError) else ""
            if crash:
                return Outcome(error=f"the worker crashed: {crash}")
            return Outcome(error=f"the worker was lost: {error_text(cause)}", lost=True)
        return outcome

    def stop(self) -> None:
        for task in self._begun:
            self._ray.cancel(task, force=False)

    def close(self) -> None:
        for task in self._begun:
            self._ray.cancel(task, force=True)
        self._begun = {}
        if self._mine:
            self._ray.shutdown()


def _try_connection(address: str) -> None:
    """Raise `OSError` if nothing listens at HOST:PORT, for which Ray itself waits very long."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():  # not a word such as auto or local
        socket.create_connection((host.strip("[]"), int(port) % 2**16), timeout=CONNECT).close()


def _run_job(job: Job) -> Outcome:
    """Execute the run; if its code crashes, as by SIGSEGV, a file next to it has the traceback.

    Ray does not report by which signal a worker ended.
    """
    file = _crash_file(job.path)
    if not file.parent.is_dir():
        return run_job(job)
    with file.open("w") as stream:
        faulthandler.enable(stream)
        outcome = run_job(job)
        faulthandler.disable()
    file.unlink(missing_ok=True)
    return outcome


def _crash_file(run: Path) -> Path:
    return run.with_name(f".{run.name}.crash")


def _crash_text(run: Path) -> str:
    """Return the first line of the traceback of a run that crashed; empty if there is none."""
    file = _crash_file(run)
    lines = file.read_text("utf-8", "replace").splitlines() if file.exists() else []
    return lines[0] if lines else ""


def require_ray() -> Any:
    """Return the module of Ray; `MissingExtraError` if it is not installed."""
    return import_extra("ray", "a comparison on Ray", "Ray", "ray")
