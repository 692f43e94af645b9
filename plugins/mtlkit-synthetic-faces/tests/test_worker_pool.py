"""Worker processes: they need no guarded script, and end with their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from mtlkit_synthetic_faces import FaceSet, render_set, worker_pool
from mtlkit_synthetic_faces.plan import plan
from mtlkit_synthetic_faces.worker_pool import WorkerError, rendered_by_workers

SMALL = FaceSet(subjects=3, size=32, sessions=2, images_per_subject=6, lights_per_geometry=2)

# no `if __name__ == "__main__":`, as in a notebook or the README
SCRIPT = """
import sys
from mtlkit_synthetic_faces import FaceSet, render_set
print("started")
faces = FaceSet(subjects=34, images_per_subject=12, size=32, sessions=1)
rendered = render_set(faces, cache=None, workers=2)
assert len(rendered.rows) > 400
print(rendered.images.sum())
"""

# prints the ids of its workers, then renders for longer than the test waits
LONG = """
import subprocess
from mtlkit_synthetic_faces import FaceSet, render_set
start = subprocess.Popen.__init__
def start_and_print(self, *args, **options):
    start(self, *args, **options)
    print(self.pid, flush=True)
subprocess.Popen.__init__ = start_and_print
def progress(done, total):
    print("working", flush=True)
render_set(FaceSet(subjects=5000, images_per_subject=4, size=32), cache=None, workers=2,
           progress=progress)
"""


def lives(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_an_unguarded_script_may_use_workers(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/json.py").write_text("raise SystemExit('a module of the user')")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        cwd=tmp_path / "elsewhere", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    started, total = done.stdout.split()
    assert started == "started"
    faces = FaceSet(subjects=34, images_per_subject=12, size=32, sessions=1)
    assert int(total) == render_set(faces, cache=None, workers=1).images.sum()


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_render_what_one_process_renders(workers: int) -> None:
    class More(FaceSet):
        """A data source is a face set with more options."""

    one = render_set(SMALL, cache=None, workers=1)
    many = render_set(More(subjects=3, size=32, sessions=2, images_per_subject=6,
                           lights_per_geometry=2), cache=None, workers=workers)  # fmt: skip
    assert np.array_equal(one.images, many.images)


def test_a_worker_ends_with_its_input() -> None:
    command = [sys.executable, "-P", "-c", worker_pool._PROGRAM, *sys.path]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = worker.communicate(b'{"size": 32}\n[[0, 0, 6, 0, 0], [0, 0, 7, 0, 0]]\n', timeout=60)
    assert worker.returncode == 0
    rows = FaceSet(size=32)
    assert len(out) == 2 * rows.size * rows.size


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_workers_end_with_the_program_however_it_ends(ending: signal.Signals) -> None:
    # a shell's background job ignores SIGINT, and so would what it starts
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    with subprocess.Popen(
        [sys.executable, "-c", heed + LONG],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        workers = [int(program.stdout.readline()) for _ in range(2)]
        assert program.stdout.readline() == "working\n"
        assert all(map(lives, workers))
        program.send_signal(ending)
        _, errors = program.communicate(timeout=20)
    assert program.returncode != 0
    if ending == signal.SIGINT:
        assert errors.rstrip().endswith("KeyboardInterrupt")
    deadline = time.monotonic() + 10
    while any(map(lives, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(lives, workers))


def test_leaving_the_rendering_ends_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    start = subprocess.Popen

    def recorded(*args, **options):  # type: ignore[no-untyped-def]
        started.append(start(*args, **options))
        return started[-1]

    monkeypatch.setattr(worker_pool.subprocess, "Popen", recorded)
    rows = plan(SMALL)
    groups = [np.flatnonzero((rows.subject == s) & (rows.session == t))
                for s in range(3) for t in range(2)]  # fmt: skip
    finished = rendered_by_workers(SMALL, rows, groups, 2)
    next(finished)
    finished.close()
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)


DYING = (
    "import sys, os; sys.stdin.buffer.readline(); sys.stderr.write('no more memory\\n'); exit(3)"
)


class TestADyingWorker:
    @pytest.fixture(autouse=True)
    def dying(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker_pool, "_PROGRAM", DYING)

    def test_is_an_error_with_its_last_message(self) -> None:
        with pytest.raises(
            WorkerError, match=r"ended with code 3 after the message 'no more memory'"
        ):
            render_set(SMALL, cache=None, workers=2)

    def test_leaves_nothing_in_the_cache(self, tmp_path: Path) -> None:
        with pytest.raises(WorkerError):
            render_set(SMALL, cache=tmp_path, workers=2)
        assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_worker_that_cannot_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", os.devnull)
    with pytest.raises(WorkerError, match=r"could not be started: .*; use workers=1"):
        render_set(SMALL, cache=None, workers=2)


def test_systems_without_affinity_use_all_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    from mtlkit_synthetic_faces import rendered

    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert rendered._worker_count(None, 9, 1000) == 5
    assert rendered._worker_count(None, 3, 1000) == 3
    assert rendered._worker_count(None, 9, 100) == 1
