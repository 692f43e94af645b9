"""Where a study is computed."""

import os
import platform
import re
from collections.abc import Callable

import attrs

from mtlkit.comparison.execute.executor import Executor, LocalProcesses
from mtlkit.errors import RunError

Devices = tuple[str | None, ...]
"""Devices such as cuda:0, in turn; None: as the recipe says."""

DEVICE = re.compile(r"cpu|cuda(:\d+)?")


def _every_device() -> Devices:
    """The GPUs in turn, for recipes that choose one where there is any."""
    import torch

    return tuple(f"cuda:{number}" for number in range(torch.cuda.device_count())) or (None,)


def _here(workers: int, threads: int, devices: Devices) -> Executor:
    return LocalProcesses(workers, devices)


@attrs.frozen(kw_only=True)
class Place:
    """How many runs at once, on which devices, by what: `make` takes workers, threads, devices."""

    workers: int | None = None  # None: one for each GPU, or else for each core, but at most eight
    devices: tuple[str, ...] = ()  # empty: as the recipes say
    make: Callable[[int, int, Devices], Executor] = _here
    default: Callable[[], Devices] = _every_device  # where no devices are named

    @property
    def at_once(self) -> int:
        """How many runs there are at once."""
        named = self.devices or tuple(device for device in self.default() if device is not None)
        return self.workers or len(named) or min(cores(), 8)

    @property
    def threads(self) -> int:
        """The threads of each run, so that the cores are shared out."""
        return max(1, cores() // self.at_once)

    @property
    def kind(self) -> str | None:
        """What the devices are, cpu or cuda; None where the recipes say it."""
        return self.devices[0].partition(":")[0] if self.devices else None

    def executor(self) -> Executor:
        """What makes the runs."""
        return self.make(self.at_once, self.threads, self.devices or self.default())


def place_of(workers: int | None, devices: str, *, on_ray: bool) -> Place:
    """The place that the command line names; `RunError` for devices that are none."""
    named = tuple(name.strip() for name in devices.split(",")) if devices else ()
    for name in named:
        if not DEVICE.fullmatch(name):
            raise RunError(f"--devices: {name!r} is no device; expected cpu, or cuda:0,cuda:1")
    if len({name.partition(":")[0] for name in named}) > 1:
        raise RunError(
            f"--devices: {devices} are of two kinds, whose results differ in their last bits; "
            f"expected one kind"
        )
    place = Place(workers=workers, devices=named)
    return attrs.evolve(place, make=_on_ray, default=_none) if on_ray else place


def _on_ray(workers: int, threads: int, devices: Devices) -> Executor:
    from mtlkit.comparison.execute.ray_executor import RayTasks

    return RayTasks(workers, gpus=int(devices[0] is not None and devices[0] != "cpu"), cpus=threads)


def _none() -> Devices:
    """No device: a task of Ray has a GPU where it asks for one, wherever it is run."""
    return (None,)


def cores() -> int:
    """The cores that this process may use."""
    if platform.system() == "Linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
