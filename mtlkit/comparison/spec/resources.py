"""Resources that each run of a comparison needs of the machine that executes it."""

import re
from typing import Any

import attrs

from mtlkit.component import Rule, above, between, optional

_UNITS = {"MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(_UNITS)})")


def _size(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None or not float(match[1]):
        raise ValueError(f"{field.name}: expected a size such as '4 GiB', got {value!r}")


@attrs.frozen(kw_only=True)
class Resources:
    """CPU cores, GPUs and main memory of one run; None leaves the choice to the executor.

    They limit how many runs a machine executes at once; no run is stopped for using more. A run
    computes on one GPU at most: with 0.5 two runs share it.

    >>> Resources(memory="1.5 GiB").memory_bytes
    1610612736
    """

    cpus: float | None = attrs.field(default=None, validator=optional(above(0)))
    gpus: float | None = attrs.field(default=None, validator=optional(between(0.01, 1)))
    memory: str | None = attrs.field(
        default=None, validator=optional(Rule(_size, {"pattern": f"^{_SIZE.pattern}$"}))
    )

    @property
    def memory_bytes(self) -> int | None:
        """The memory in bytes."""
        match = None if self.memory is None else _SIZE.fullmatch(self.memory)
        return None if match is None else int(float(match[1]) * _UNITS[match[2]])
