"""Record the operators that a component calls."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class Operators(TorchDispatchMode):
    """Count the operators called inside; store each custom one with its first arguments."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls = 0
        self.custom: dict[str, tuple[Any, tuple[Any, ...]]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.calls += 1
        if func.namespace not in ("aten", "prim", "prims") and not kwargs:
            self.custom.setdefault(str(func), (func, args))
        return func(*args, **(kwargs or {}))
