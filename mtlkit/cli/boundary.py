"""The boundary of the command line: every exception becomes a message and an exit code.

| exit code | meaning |
|---|---|
| 0 | success |
| 1 | a check of `mtlkit plugins doctor` failed, or the reader of the output is gone |
| 2 | an error that the user can fix |
| 70 | a defect: the message names a file with the traceback (``EX_SOFTWARE`` of sysexits.h) |
| 75 | a run or a study was interrupted and can be resumed (``EX_TEMPFAIL``) |
| 130 | interrupted, and nothing can be resumed |
"""

import io
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import click

from mtlkit.atomic_files import reason_of
from mtlkit.errors import MtlkitError, RecipeError, error_text
from mtlkit.printable import echo

INTERRUPTED = 130
DEFECT = 70


class CommandState:
    """State of the running command, which sets it while it starts."""

    traceback = False  # True to raise errors instead of printing them
    owner = "mtlkit"  # the distribution of the command, to which a defect is reported


def exit_code(command: Callable[[], object], state: CommandState) -> int:
    """Run `command`, print its error if it raises one, and return the exit code."""
    stdout = sys.stdout
    try:
        code = command()
        sys.stdout.flush()  # detects a reader that is gone while its error can be handled
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        usage = shown.getvalue().partition("Error: ")[0].split("\n")[:-1]
        _print(*usage, f"Error: {error.format_message()}")
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        if isinstance(error.__cause__, EOFError):  # click raises `Abort` for it, too
            return _defect(error.__cause__, state.owner)
        _print("mtlkit: interrupted")
        return INTERRUPTED
    except MtlkitError as error:
        if state.traceback:
            raise
        _print(*_lines(error))
        return error.exit_code
    except BrokenPipeError:
        _discard_output()
        return 1
    except MemoryError as error:
        _print(f"mtlkit: error: memory ran out ({error_text(error)}); use smaller sizes")
        return 2
    except OSError as error:
        if not _flushed():
            _discard_output()
        place = "" if error.filename is None else f"{os.fsdecode(error.filename)[:300]}: "
        _print(
            f"mtlkit: error: {place}{reason_of(error)}; check the path, its permissions and the "
            f"disk, then repeat the command"
        )
        return 2
    except SystemExit as end:
        if sys.stdout is not stdout:  # click has met a BrokenPipeError and replaced it
            _discard_output()
            return 1
        if state.owner != "mtlkit":  # a plugin's command may end as it likes
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        return _defect(end, state.owner)
    except BaseException as error:
        if state.traceback:
            raise
        return _defect(error, state.owner)


def _defect(error: BaseException, owner: str) -> int:
    """Print one line about an unexpected exception, and keep its traceback in a file.

    The distribution in whose code it was raised is named in place of the command's `owner`. A
    plugin that called mtlkit there may have given it wrong values, and is named, too.
    """
    from mtlkit.plugins.defect_reports import distributions_in, report_address

    text = "".join(traceback.format_exception(error))
    summary = f"mtlkit: error: unexpected {error_text(error)}"
    owner, *callers = distributions_in(error) or [owner]
    owner += f" ({address})" if (address := report_address(owner)) else ""
    if plugins := [name for name in callers if name != "mtlkit"]:
        owner += f", whose code {plugins[0]} called,"
    try:
        handle, name = tempfile.mkstemp(prefix="mtlkit-traceback-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        _print(f"{summary}; report this to the authors of {owner}:", *text.split("\n"))
        return DEFECT
    _print(f"{summary}; this is a defect: report it to the authors of {owner} with {Path(name)}")
    return DEFECT


def _lines(error: MtlkitError) -> list[str]:
    """Return the lines of an error; each line of a recipe's mistakes starts with its place."""
    lines = list(error.message_lines)
    head = -1 if isinstance(error, RecipeError) else 0
    lines[head] = f"mtlkit: error: {lines[head]}"
    return lines


def _print(*lines: str) -> None:
    """Print to standard error; nothing is left to do if that fails."""
    try:
        echo(*lines, err=True)
    except (OSError, ValueError):
        return


def _flushed() -> bool:
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return False
    return True


def _discard_output() -> None:
    """Send the rest of standard output to nowhere, so that closing it at exit cannot fail."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # standard output is not a file
        return
