"""Forked children of the warm process, in which a fault may kill, print or hang."""

import contextlib
import gc
import io
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable

import attrs

SECONDS = 900
"""Time after which a child is stuck; a command takes two, but minutes on a machine with load 25."""


@attrs.frozen
class Child:
    """Result of a child: its exit code, negative for a signal, and its output."""

    code: int
    out: str
    err: str

    @property
    def stuck(self) -> bool:
        """True if the time ran out."""
        return self.code == -signal.SIGALRM

    @property
    def clear(self) -> bool:
        """True if it ended with an error that a user can fix."""
        return self.code == 2 and ("mtlkit: error:" in self.err or "Usage:" in self.err)


def in_child(act: Callable[[], object], seconds: int = SECONDS) -> Child:
    """Run `act` in a forked process, where `SystemExit` gives the exit code."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        gc.freeze()  # a collection in the child would copy the memory of this process
        pid = os.fork()
        if pid == 0:
            _run(act, out.fileno(), err.fileno(), seconds)
        _, status = os.waitpid(pid, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return Child(os.waitstatus_to_exitcode(status), *texts)


def _run(act: Callable[[], object], out: int, err: int, seconds: int) -> None:
    code = 1
    try:
        signal.alarm(seconds)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
        act()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def command(*arguments: object) -> Child:
    """Call the command line in this process."""
    from mtlkit.cli import main

    out, err = io.StringIO(), io.StringIO()
    code = 1
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
    return Child(code, out.getvalue(), err.getvalue())
