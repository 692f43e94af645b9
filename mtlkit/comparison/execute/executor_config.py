"""Workers, devices and executor of a study."""

import re
from collections.abc import Callable

import attrs

from mtlkit.comparison.execute.executor import Executor, LocalProcesses
from mtlkit.errors import RunError
from mtlkit.training.devices.cores import available_cores

Devices = tuple[str | None, ...]
"""Devices such as cuda:0, in turn; None: that of the recipe."""

DEVICE = re.compile(r"cpu|cuda(:\d+)?")


def _all_gpus() -> Devices:
    """Return the GPUs in turn, for recipes that choose a GPU if one is available."""
    import torch

    return tuple(f"cuda:{number}" for number in range(torch.cuda.device_count())) or (None,)


def _local(workers: int, threads: int, devices: Devices) -> Executor:
    return LocalProcesses(workers, devices)


@attrs.frozen(kw_only=True)
class ExecutorConfig:
    """Configuration of the execution: number of workers, devices and executor.

    `factory` takes the number of workers, the threads of each, and the devices.
    """

    workers: int | None = None  # None: one for each GPU, or else for each core, but at most eight
    devices: tuple[str, ...] = ()  # empty: those of the recipes
    factory: Callable[[int, int, Devices], Executor] = _local
    default_devices: Callable[[], Devices] = _all_gpus  # if no devices are given

    @property
    def slots(self) -> int:
        """The number of runs at once."""
        named = self.devices or tuple(
            device for device in self.default_devices() if device is not None
        )
        return self.workers or len(named) or min(available_cores(), 8)

    @property
    def threads(self) -> int:
        """The threads of each run, an equal part of the cores."""
        return max(1, available_cores() // self.slots)

    @property
    def device_type(self) -> str | None:
        """The type of the devices, cpu or cuda; None if the recipes choose it."""
        return self.devices[0].partition(":")[0] if self.devices else None

    def executor(self) -> Executor:
        """Return the executor of the runs."""
        return self.factory(self.slots, self.threads, self.devices or self.default_devices())


def parse_executor_config(workers: int | None, devices: str, *, ray: bool) -> ExecutorConfig:
    """Return the configuration of the command line; `RunError` for invalid devices."""
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
    return attrs.evolve(config, factory=_on_ray, default_devices=_no_device) if ray else config


def _on_ray(workers: int, threads: int, devices: Devices) -> Executor:
    from mtlkit.comparison.execute.ray_executor import RayTasks

    return RayTasks(workers, gpus=int(devices[0] is not None and devices[0] != "cpu"), cpus=threads)


def _no_device() -> Devices:
    """Return no device: Ray assigns a GPU to each task that requests one."""
    return (None,)
