"""Isolation of a plugin's code: its output, its changes to torch's settings, and Ctrl-C."""

import contextlib
import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mtlkit.plugins.torch_patches import torch_patches_undone


class UserInterruptError(KeyboardInterrupt):
    """Ctrl-C while a plugin was loading, as opposed to a `KeyboardInterrupt` that it raised."""


@contextmanager
def isolated() -> Iterator[list[str]]:
    """Run a plugin's module; yield a list that afterwards holds what it did to the process.

    What it prints does not reach standard output, whose reader may expect JSON, and settings and
    functions of torch are restored. Ctrl-C raises `UserInterruptError`; any other exception passes
    unchanged.
    """
    effects: list[str] = []
    printed = io.StringIO()
    try:
        with contextlib.ExitStack() as stack:
            # only one thread may redirect standard output and signals, which the process shares
            if threading.current_thread() is threading.main_thread():
                stack.enter_context(_marked_interrupts())
                stack.enter_context(contextlib.redirect_stdout(printed))
            stack.enter_context(torch_patches_undone(effects))
            stack.enter_context(torch_settings_kept(effects))
            yield effects
    finally:
        text = " ".join(printed.getvalue().split())
        if text:
            effects.append(f"prints on import ({text[:60]!r}); use logging instead")


@contextmanager
def torch_settings_kept(changes: list[str]) -> Iterator[None]:
    """Restore the settings of torch afterwards; append a text to `changes` for each change."""
    before = {name: read() for name, (read, _, _) in _settings().items()}
    try:
        yield
    finally:
        for name, (read, restore, initial) in _settings().items():
            now, value = read(), before.get(name, initial)
            if now != value:
                restore(value)
                changes.append(f"sets torch's {name} to {now}; it was restored to {value}")


def _settings() -> Mapping[str, tuple[Callable[[], Any], Callable[[Any], object], Any]]:
    """Return how each setting of torch is read and set, and its value after the import of torch.

    Empty before torch is imported.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    return {
        "default dtype": (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
        "gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled, True),
        "deterministic algorithms": (
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
            False,
        ),
        "float32 matmul precision": (
            torch.get_float32_matmul_precision,
            torch.set_float32_matmul_precision,
            "highest",
        ),
    }


@contextmanager
def _marked_interrupts() -> Iterator[None]:
    """Raise `UserInterruptError` on Ctrl-C, unless the program handles it in another way."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def interrupt(_number: int, _frame: object) -> None:
        raise UserInterruptError

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
