"""Heartbeats of the processes of a run, so that none waits for one that is lost.

Each process counts its beats in the store of torchrun. The first process reads the counts of all
others, which read that of the first. A process whose count rests is lost. How the first process
ended, lost or by an error, is written to the store for all others.

Beats come from a separate thread, so they also state how far the main thread is: the number of
joint steps, updates and waits for others, that it began and ended and, between these, the seconds
of CPU time. If no process makes progress, one of them hangs and the others wait for it.
"""

import contextlib
import json
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from mtlkit.errors import InterruptedRunError, RunError, error_text
from mtlkit.printable import echo
from mtlkit.training.signals import stop_on_signal

BEAT = 0.5
"""Seconds between two beats of a process."""

SILENCE = 60.0
"""Seconds without a beat after which a process is lost."""

SILENCE_AFTER_ERROR = 3.0
"""The same after an operation with the other processes has failed."""

GRACE = 60.0
"""Seconds that a process has to end after another one did, before it is ended."""

END = "end"
"""Key of the store for how the first process ended."""

LEFT = b"left"
"""In place of the beats of a process that has left without an error."""


class Heartbeat:
    """Beats of the process `rank` of `world` in `store`, and its view of the others.

    `before_exit` is called with the error if the process is ended because it waits in vain. If no
    main thread makes progress for `hang_timeout` seconds, the run ends as interrupted.
    """

    def __init__(self, store: Any, rank: int, world: int, hang_timeout: float = math.inf) -> None:
        self._store, self._rank, self._world = store, rank, world
        self._hang_timeout = hang_timeout
        self._main_thread = threading.get_ident()
        self._marks, self._joint = 0, False
        self._still, self._progress = 0, ""  # own beats without progress, and the progress seen
        self._name = f"process {rank} (pid {os.getpid()} on {socket.gethostname()})"
        store.set_timeout(timedelta(seconds=SILENCE))
        store.set(f"name of {rank}", self._name)
        store.set(f"beats of {rank}", "0")
        others = range(1, world) if rank == 0 else (0,)
        self._counts = dict.fromkeys(others, b"")
        self._silent = dict.fromkeys(others, 0)  # own beats since the last one of each
        self._limit = SILENCE
        self._beats = 0
        self._end: RunError | None = None
        self.before_exit: Callable[[RunError], None] = lambda _: None

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Beat until the body ends; all processes must have made their `Heartbeat`.

        A process whose body ends without an error is not lost, while others may still work.
        """
        stopped = threading.Event()
        thread = threading.Thread(target=self._beat, args=[stopped], name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()
        with contextlib.suppress(RuntimeError):  # the store may be lost
            self._store.set(f"beats of {self._rank}", LEFT.decode())

    @contextmanager
    def joint_step(self) -> Iterator[None]:
        """Count the body as a step of all processes, in which CPU time is not progress.

        A process that waits for others may use CPU time: CUDA waits in a loop.
        """
        before = self._joint
        self._marks, self._joint = self._marks + 1, True
        try:
            yield
        finally:
            self._marks, self._joint = self._marks + 1, before

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Report an error in the body to the other processes, and raise it as in `explaining`."""
        try:
            with self.explaining():
                yield
        except BaseException as error:
            with contextlib.suppress(RuntimeError):  # the store may be lost
                if isinstance(error, (InterruptedRunError, KeyboardInterrupt)):
                    self._put(f"{self._name} was stopped", interrupted=True)
                else:
                    text = f"another process of this run failed: {self._name}: {error_text(error)}"
                    self._put(text, interrupted=False)
            raise

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Raise the end of another process in place of the `RuntimeError` that it causes here.

        It is an `InterruptedRunError` if the run can be resumed.
        """
        try:
            yield
        except RuntimeError as cause:
            end = self._awaited_end()
            if end is None:
                raise
            raise end from cause

    def _awaited_end(self) -> RunError | None:
        """Return how another process ended, or None once all others were heard again."""
        self._limit = SILENCE_AFTER_ERROR
        until = self._beats + 2 + SILENCE_AFTER_ERROR / BEAT
        deadline = time.monotonic() + 10 * SILENCE_AFTER_ERROR  # the store may not answer
        with stop_on_signal():  # torchrun sends one to all others when a process has ended
            while self._end is None and self._beats < until and time.monotonic() < deadline:
                time.sleep(BEAT / 5)
        self._limit = SILENCE
        return self._end

    def _beat(self, stopped: threading.Event) -> None:
        left = GRACE
        while not stopped.wait(BEAT):
            try:
                progress = self._own_progress()
                self._store.set(f"beats of {self._rank}", f"{self._beats}/{progress}")
                self._listen()
                self._watch(progress)
            except RuntimeError as cause:
                self._end = InterruptedRunError(
                    f"the store of torchrun was lost: its process was killed, or its machine "
                    f"failed ({error_text(cause)})"
                )
            self._beats += 1
            if self._end is not None:
                left -= BEAT
                if left < 0:  # the main thread waits in vain
                    self.before_exit(self._end)
                    echo(f"mtlkit: error: {self._end}", err=True)
                    os._exit(self._end.exit_code)

    def _listen(self) -> None:
        """Read the beats of the others, and how the first process ended."""
        for rank, before in self._counts.items():
            count = self._counts[rank] = self._store.get(f"beats of {rank}")
            heard = count != before or count == LEFT
            self._silent[rank] = 0 if heard else self._silent[rank] + 1
            if self._silent[rank] * BEAT >= self._limit:
                name = self._store.get(f"name of {rank}").decode()
                self._put(
                    f"{name} was lost: it was killed, for example because memory ran out, or its "
                    f"machine failed",
                    interrupted=True,
                )
        if self._end is None and self._store.check([END]):
            end = json.loads(self._store.get(END))
            kind = InterruptedRunError if end["interrupted"] else RunError
            self._end = kind(end["text"])

    def _own_progress(self) -> str:
        """Return how far the main thread is; called in the thread of the heartbeat."""
        # the heartbeat also uses CPU time
        seconds = 0 if self._joint else int(time.process_time() - time.thread_time())
        return f"{self._marks} {seconds}"

    def _watch(self, progress: str) -> None:
        """End the run if this process, with its `progress`, and all others make no progress.

        The first process decides. Before, each one writes what its main thread executes.
        """
        others = (count.decode().partition("/")[2] for count in self._counts.values())
        progress = "; ".join([progress, *others])
        self._still = self._still + 1 if progress == self._progress else 0
        self._progress = progress
        if self._still * BEAT >= self._hang_timeout / 2:
            place = f"{self._name} is in {_position(self._main_thread)}"
            self._store.set(f"place of {self._rank}", place)
        if self._rank == 0 and self._still * BEAT >= self._hang_timeout:
            keys = [f"place of {rank}" for rank in range(self._world)]
            places = [self._store.get(key).decode() for key in keys if self._store.check([key])]
            self._put(
                f"no process made progress for {self._hang_timeout / 60:g} minutes: "
                f"{'; '.join(places)}. One of them hangs; if a single update or a wait for data "
                f"takes longer, raise `train.hang_timeout`",
                interrupted=True,
            )

    def _put(self, text: str, *, interrupted: bool) -> None:
        """Write how a process ended to the store, unless another one ended before."""
        end = json.dumps({"text": text, "interrupted": interrupted})
        self._store.compare_set(END, "", end)


def _position(thread: int) -> str:
    """Return the file, line and function that the thread executes."""
    frame = sys._current_frames()[thread]
    place = "/".join(Path(frame.f_code.co_filename).parts[-2:])
    return f"{frame.f_code.co_name} ({place}:{frame.f_lineno})"
