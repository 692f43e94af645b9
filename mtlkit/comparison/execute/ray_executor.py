"""Execution on a Ray cluster, whose machines share the study's folder and the data."""

from typing import Any

from mtlkit.comparison.execute.executor import Executor
from mtlkit.comparison.execute.worker import Job, Outcome, run_job
from mtlkit.errors import MissingExtraError, RunError


class RayTasks(Executor):
    """Execute each run as a Ray task in a separate process; Ray chooses the machine and the GPU.

    Connects to the cluster that `address` or Ray's own settings name, or else starts one on this
    machine. Raises `MissingExtraError` without Ray.
    """

    def __init__(self, workers: int, gpus: int, cpus: int, address: str | None = None) -> None:
        self._ray = require_ray()
        self.slots = workers
        self._mine = not self._ray.is_initialized()
        if self._mine:
            try:
                self._ray.init(address=address, include_dashboard=False, log_to_driver=False)
            except ConnectionError as cause:
                raise RunError(
                    f"no Ray cluster answers at {address}: {cause}; start one with `ray start "
                    f"--head`, or leave the address out"
                ) from cause
        options = {"num_cpus": cpus, "num_gpus": gpus, "max_calls": 1, "max_retries": 0}
        self._task = self._ray.remote(**options)(run_job)
        self._keys: dict[Any, str] = {}

    def submit(self, key: str, job: Job) -> None:
        self._keys[self._task.remote(job)] = key

    def ended(self, seconds: float) -> list[tuple[str, Outcome]]:
        if not self._keys:
            return []
        done, _ = self._ray.wait(list(self._keys), num_returns=1, timeout=seconds)
        return [(self._keys.pop(task), self._outcome(task)) for task in done]

    def _outcome(self, task: Any) -> Outcome:
        try:
            outcome: Outcome = self._ray.get(task)
        except self._ray.exceptions.TaskCancelledError:
            return Outcome(interrupted=True)
        except self._ray.exceptions.RayError as cause:
            first = next(iter(str(cause).strip().splitlines()), "")
            return Outcome(error=f"the worker was lost: {type(cause).__name__}: {first}",
                           killed=True)  # fmt: skip
        return outcome

    def stop(self) -> None:
        for task in self._keys:
            self._ray.cancel(task, force=False)

    def close(self) -> None:
        for task in self._keys:
            self._ray.cancel(task, force=True)
        self._keys = {}
        if self._mine:
            self._ray.shutdown()


def require_ray() -> Any:
    """Return the module of Ray; `MissingExtraError` if it is not installed."""
    try:
        import ray
    except ImportError as cause:
        raise MissingExtraError(
            "a comparison on Ray needs Ray, which is not installed; run `pip install 'mtlkit[ray]'`"
        ) from cause
    return ray
