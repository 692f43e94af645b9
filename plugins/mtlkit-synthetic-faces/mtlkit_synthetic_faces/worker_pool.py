"""The worker processes that render a set.

`subprocess` starts them, because children of `multiprocessing` run the caller's script again up to
its `if __name__ == "__main__":`, and endlessly if it has none.
"""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.plan import FacePlan

Index = npt.NDArray[np.intp]
Images = npt.NDArray[np.uint8]
# with the caller's module path, and without the current folder (-P), which may hold a json.py
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:]; from mtlkit_synthetic_faces.worker import main; main()"
)


class WorkerError(RuntimeError):
    """A worker process failed to start, or died."""


class _Worker:
    """One worker process, for one caller at a time."""

    def __init__(self, faces: FaceSet) -> None:
        self._shape = (faces.channels, faces.size, faces.size)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (close() closes it)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
            )
        except OSError as error:
            self._stderr.close()
            raise WorkerError(
                f"render_set: a worker process could not be started: {error}; use workers=1"
            ) from error
        # a subclass may have other options
        values = {field.name: getattr(faces, field.name) for field in attrs.fields(FaceSet)}
        self._unsent: tuple[object, ...] = (values,)

    def render(self, rows: FacePlan) -> Images:
        """Return pictures (N,C,H,W) of rows of one (subject, session); raises WorkerError."""
        table = (rows.subject, rows.session, rows.pose, rows.light, rows.expression)
        requests, responses = self._process.stdin, self._process.stdout
        assert requests is not None and responses is not None  # noqa: PT018 (both are pipes)
        size = len(rows) * math.prod(self._shape)
        try:
            for message in (*self._unsent, np.stack(table, 1).tolist()):
                requests.write(json.dumps(message).encode() + b"\n")
            requests.flush()
            self._unsent = ()
            response = responses.read(size)
        except BrokenPipeError:
            response = b""
        if len(response) != size:
            raise WorkerError(self._exit_message())
        return np.frombuffer(response, np.uint8).reshape(-1, *self._shape)

    def _exit_message(self) -> str:
        code = self._process.wait()
        self._stderr.seek(0)
        output = self._stderr.read().decode(errors="replace").strip()
        last = f" after the message {output.splitlines()[-1]!r}" if output else ""
        return (
            f"render_set: a worker process ended with code {code}{last}; use workers=1, or free "
            f"memory if the system killed it"
        )

    def kill(self) -> None:
        """Kill the process; a call that waits for its response raises WorkerError."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close the pipes and the error file of an ended process."""
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except BrokenPipeError:
                pass  # unread input
        self._stderr.close()


def rendered_by_workers(
    faces: FaceSet, rows: FacePlan, groups: list[Index], workers: int
) -> Generator[tuple[Index, Images], None, None]:
    """Yield (index, pictures) of each of the `groups` of `rows`, as they finish.

    Closing the iterator ends all workers. Raises WorkerError if a worker dies.
    """
    started: list[_Worker] = []
    idle: SimpleQueue[_Worker] = SimpleQueue()
    pool = ThreadPoolExecutor(workers)  # each thread waits for one worker

    def render(index: Index) -> tuple[Index, Images]:
        worker = idle.get()
        try:
            return index, worker.render(rows.take(index))
        finally:
            idle.put(worker)

    try:
        for _ in range(workers):
            started.append(_Worker(faces))
            idle.put(started[-1])
        for future in as_completed([pool.submit(render, index) for index in groups]):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in started:
            worker.kill()
        pool.shutdown(wait=True)
        for worker in started:
            worker.close()
