"""Workers, devices, resources and executor of a study."""

import functools
import re
from collections.abc import Callable

import attrs

from mtlkit.comparison.execute.executor import Executor, LocalProcesses
from mtlkit.comparison.execute.retries import OnLost, Retrying
from mtlkit.comparison.spec.resources import Resources
from mtlkit.data.memory_limit import GIB, available_memory
from mtlkit.errors import RunError
from mtlkit.training.devices.cores import available_cores, refuse_too_many_workers

Devices = tuple[str | None, ...]
"""Devices such as cuda:0, in turn; None: that of the recipe."""

DEVICE = re.compile(r"cpu|cuda(:\d+)?")


def _all_gpus() -> Devices:
    """Return the GPUs in turn, for recipes that choose a GPU if one is available."""
    import torch

    return tuple(f"cuda:{number}" for number in range(torch.cuda.device_count())) or (None,)


def _local(config: "ExecutorConfig") -> Executor:
    for name, need, there in config.limits():
        if need > there:
            raise RunError(
                f"resources: got {need:g} {name} for a run, expected at most {there:.3g}, which "
                f"this machine has free; lower it"
            )
    return LocalProcesses(config.slots, config.devices or _all_gpus())


@attrs.frozen(kw_only=True)
class ExecutorConfig:
    """Configuration of the execution: number of workers, devices and executor.

    `cluster` states that other machines execute the runs, whose cores and GPUs are unknown here.
    """

    workers: int | None = None  # None: as many as `resources` and the GPUs, or else cores, allow
    devices: tuple[str, ...] = ()  # empty: those of the recipes
    resources: Resources = attrs.field(factory=Resources)  # of each run
    cluster: bool = False
    factory: Callable[["ExecutorConfig"], Executor] = _local

    @property
    def slots(self) -> int:
        """The number of runs at once on this machine: at most eight unless something states it."""
        if self.workers:
            return self.workers
        named = [device for device in self.devices or _all_gpus() if device is not None]
        gpus = [device for device in named if device != "cpu"]
        fitting = [there / need for _, need, there in self.limits()]
        if gpus:
            fitting.append(len(gpus) / (self.resources.gpus or 1))
        elif not self.resources.cpus:
            fitting.append(len(named) or min(available_cores(), 8))
        return max(1, int(min(fitting)))

    def limits(self) -> list[tuple[str, float, float]]:
        """Return the stated resources by name: what a run needs, and what this machine has."""
        limits, free = [], available_memory()
        if self.resources.cpus:
            limits.append(("cpus", self.resources.cpus, float(available_cores())))
        if self.resources.memory_bytes and free is not None:
            limits.append(("GiB of memory", self.resources.memory_bytes / GIB, free / GIB))
        return limits

    @property
    def threads(self) -> int:
        """The threads of each run: the stated cores, or an equal part of those of this machine."""
        if self.resources.cpus or self.cluster:
            return max(1, int(self.resources.cpus or 1))
        return max(1, available_cores() // self.slots)

    @property
    def device_type(self) -> str | None:
        """The type of the devices, cpu or cuda; None if the recipes choose it."""
        return self.devices[0].partition(":")[0] if self.devices else None

    def executor(self, on_lost: OnLost = lambda key, reason: None) -> Executor:
        """Return the executor of the runs, which starts lost ones again and reports them."""
        return Retrying(self.factory(self), on_lost)


def parse_executor_config(
    workers: int | None, devices: str, *, ray: bool, address: str | None = None
) -> ExecutorConfig:
    """Return the configuration of the command line; `RunError` for invalid devices.

    `address` is that of a Ray cluster; None leaves it to Ray's own settings.
    """
    named = tuple(name.strip() for name in devices.split(",")) if devices else ()
    for name in named:
        if not DEVICE.fullmatch(name):
            raise RunError(f"--devices: {name!r} is not a device; expected cpu, or cuda:0,cuda:1")
    if len({name.partition(":")[0] for name in named}) > 1:
        raise RunError(
            f"--devices: {devices} are of two kinds, whose results differ in their last bits; "
            f"expected one kind"
        )
    config = ExecutorConfig(workers=workers, devices=named)
    if not ray:  # the workers of a cluster are on other machines
        refuse_too_many_workers("--workers", workers)
        return config
    if any(":" in name for name in named):
        raise RunError(f"--devices: got {devices} with Ray, which assigns GPUs itself; use cuda")
    return attrs.evolve(config, cluster=True, factory=functools.partial(_on_ray, address))


def _on_ray(address: str | None, config: ExecutorConfig) -> Executor:
    from mtlkit.comparison.execute.ray_executor import RayTasks

    return RayTasks(config, address)
