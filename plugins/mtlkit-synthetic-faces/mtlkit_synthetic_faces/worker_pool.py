"""The worker processes of one rendering.

They are programs of their own and not of `multiprocessing`, whose children run the caller's script
again up to its `if __name__ == "__main__":`, and for ever where it has none.
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
from mtlkit_synthetic_faces.plan import Rows

Index = npt.NDArray[np.intp]
Images = npt.NDArray[np.uint8]
# with the caller's module path, and without the current folder (-P), where a json.py may lie
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:]; from mtlkit_synthetic_faces.worker import main; main()"
)


class WorkerError(RuntimeError):
    """A worker process could not be started, or died."""


class _Worker:
    """One worker process; it serves one caller at a time."""

    def __init__(self, faces: FaceSet) -> None:
        self._shape = (faces.channels, faces.size, faces.size)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (close() closes it)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
            )
        except OSError as error:
            self._said.close()
            raise WorkerError(
                f"render_set: a worker process could not be started: {error}; use workers=1"
            ) from error
        # of a subclass only what a FaceSet has
        values = {field.name: getattr(faces, field.name) for field in attrs.fields(FaceSet)}
        self._greeting: tuple[object, ...] = (values,)

    def render(self, rows: Rows) -> Images:
        """Pictures (N,C,H,W) of rows of one (subject, session); WorkerError when it died."""
        table = (rows.subject, rows.session, rows.pose, rows.light, rows.expression)
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None and answers is not None  # noqa: PT018 (both are pipes)
        size = len(rows) * math.prod(self._shape)
        try:
            for message in (*self._greeting, np.stack(table, 1).tolist()):
                requests.write(json.dumps(message).encode() + b"\n")
            requests.flush()
            self._greeting = ()
            answer = answers.read(size)
        except BrokenPipeError:
            answer = b""
        if len(answer) != size:
            raise WorkerError(self._obituary())
        return np.frombuffer(answer, np.uint8).reshape(-1, *self._shape)

    def _obituary(self) -> str:
        code = self._process.wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip()
        last = f" after saying {said.splitlines()[-1]!r}" if said else ""
        return (
            f"render_set: found a worker process that ended with code {code}{last}, expected it to "
            f"live; use workers=1, or less memory elsewhere if the system killed it"
        )

    def kill(self) -> None:
        """End the process, whatever it does; who waits for its answer gets WorkerError."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close what is left of a process that ended."""
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except BrokenPipeError:
                pass  # what it had not read yet
        self._said.close()


def rendered_by_workers(
    faces: FaceSet, rows: Rows, sittings: list[Index], workers: int
) -> Generator[tuple[Index, Images], None, None]:
    """(index, pictures) of each of the `sittings` of `rows`, in the order of being finished.

    No worker is alive when the iterator is closed. Raises WorkerError when a worker dies.
    """
    crew: list[_Worker] = []
    idle: SimpleQueue[_Worker] = SimpleQueue()
    pool = ThreadPoolExecutor(workers)  # threads only wait: for one worker each

    def render(index: Index) -> tuple[Index, Images]:
        worker = idle.get()
        try:
            return index, worker.render(rows.take(index))
        finally:
            idle.put(worker)

    try:
        for _ in range(workers):
            crew.append(_Worker(faces))
            idle.put(crew[-1])
        for future in as_completed([pool.submit(render, index) for index in sittings]):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in crew:
            worker.kill()
        pool.shutdown(wait=True)
        for worker in crew:
            worker.close()
