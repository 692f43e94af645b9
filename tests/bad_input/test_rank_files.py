"""Checkpoints in files of several processes: whole, damaged, and on a disk that is full."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

from mtlkit.errors import RunError
from mtlkit.runs.storage.folder import RunFolder
from mtlkit.training import checkpoint
from mtlkit.training.checkpoint import newest_checkpoint, save_checkpoint, saved_steps
from mtlkit.training.optimization.optimizer_state import OptimizerState
from mtlkit.training.sharding.held_rows import HeldRows
from mtlkit.training.update import Updater

WORLD = 3


@attrs.frozen
class Threads:
    """Ranks that are threads of this process, with what each of them returned."""

    rank: int
    world: int
    barrier: threading.Barrier
    results: list

    @property
    def first(self):
        return self.rank == 0

    def together(self, work, device):
        try:
            self.results[self.rank] = work()
        except RunError as error:
            self.results[self.rank] = error
        self.barrier.wait()
        results = list(self.results)
        self.barrier.wait()
        for result in results:
            if isinstance(result, RunError):
                raise result
        return results


def held(stored, rank):
    """The rows of `rank` of all matrices, and every other tensor whole."""

    def rows(value):
        start, stop = rank * len(value) // WORLD, (rank + 1) * len(value) // WORLD
        return HeldRows(value[start:stop], start)

    return {key: rows(value) if value.dim() == 2 else value for key, value in stored.items()}


def divide(folder, step=None):
    """Write the newest checkpoint as `WORLD` processes do; return what each raised, or None."""
    saved = newest_checkpoint(folder)
    barrier, results = threading.Barrier(WORLD), [None] * WORLD

    def write(rank):
        part = attrs.evolve(
            saved,
            step=step or saved.step,
            model=held(saved.model, rank),
            weighting=held(saved.weighting, rank),
            optimizer=OptimizerState(held(saved.optimizer.tensors, rank), saved.optimizer.values),
        )
        try:
            save_checkpoint(folder, part, Threads(rank, WORLD, barrier, results))
        except RunError as error:
            return error

    with ThreadPoolExecutor(WORLD) as pool:
        return list(pool.map(write, range(WORLD)))


@pytest.fixture
def folder(home, call, monkeypatch):
    """The newest checkpoint of a stopped run, in files of several processes."""
    update = Updater.update

    def stopped(self, step, *rest):
        if step == 5:
            raise KeyboardInterrupt
        return update(self, step, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Updater, "update", stopped)
        assert call("train", "good.yaml", "--out", "run", "--quiet")[0] == 75
    checkpoints = RunFolder(home / "run").checkpoints
    assert divide(checkpoints) == [None] * WORLD
    return checkpoints / "step-00000004"


def resumed(home, call, whole):
    """Return whether one process continues the run to the weights of an uninterrupted one."""
    assert call("resume", "run", "--quiet")[0] == 0
    name = "model.safetensors"
    return (home / "run" / name).read_bytes() == (whole / name).read_bytes()


def test_one_process_continues_from_the_files_of_several(home, call, folder, whole):
    names = {path.name for path in folder.iterdir()}
    assert {f"optimizer.process-{rank}-of-3.safetensors" for rank in range(3)} < names
    assert resumed(home, call, whole)


def missing(path):
    path.unlink()
    return f"{path.name} is missing"


def truncated(path):
    path.write_bytes(path.read_bytes()[:-3])
    return f"the checksum of {path.name} does not match state.json"


def of_another_process(path):
    shutil.copy(path.with_name(path.name.replace("process-1", "process-2")), path)
    return f"the checksum of {path.name} does not match state.json"


def of_another_number_of_processes(path):
    other = path.with_name("model.process-1-of-2.safetensors")
    shutil.copy(path, other)
    return f"{other.name} is not one of its files"


@pytest.mark.parametrize("part", ["model", "optimizer"])
@pytest.mark.parametrize(
    "spoil", [missing, truncated, of_another_process, of_another_number_of_processes]
)
def test_a_bad_file_is_named_and_nothing_is_lost(home, call, folder, whole, spoil, part):
    copy = shutil.copytree(folder, home / "copy")
    message = spoil(folder / f"{part}.process-1-of-3.safetensors")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code, out, err = call("resume", "run", "--quiet")
    assert (code, out) == (2, "")
    assert f"step-00000004: the checkpoint is damaged ({message}); delete this folder" in err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    shutil.rmtree(folder)
    shutil.move(copy, folder)
    assert resumed(home, call, whole)


def test_the_one_before_is_used_as_the_message_says(home, call, folder, whole):
    missing(folder / "model.process-0-of-3.safetensors")
    shutil.rmtree(folder)
    assert saved_steps(folder.parent) == [2]
    assert resumed(home, call, whole)


def test_folders_of_machines_that_share_no_disk_are_refused(folder, home):
    other = shutil.copytree(folder.parent, home / "other machine")
    shutil.rmtree(other / folder.name)
    barrier, results = threading.Barrier(3), [None] * 3
    folders = (folder.parent, other, home / "new")

    def read(rank):
        with pytest.raises(RunError) as caught:
            newest_checkpoint(folders[rank], Threads(rank, 3, barrier, results))
        return str(caught.value)

    with ThreadPoolExecutor(3) as pool:
        for message in pool.map(read, range(3)):
            assert message.endswith(
                "got process 0 the checkpoint of step 4, process 1 the checkpoint of step 2, "
                "process 2 no checkpoint, expected the same on every machine; put the run's "
                "folder on a disk that all of them share"
            )


@pytest.mark.parametrize("part", ["model.process-2", "weighting.safetensors", "state.json"])
def test_a_full_disk_of_one_process_is_an_error_of_all(folder, monkeypatch, part):
    """All processes get the error; one without it would wait for the others."""
    before = {path: path.read_bytes() for path in folder.parent.rglob("*.*") if path.is_file()}
    write, write_bytes = checkpoint.write_tensors, type(folder).write_bytes

    def full(function):
        def writing(path, *rest):
            if path.name.startswith(part):
                raise OSError(28, os.strerror(28))
            return function(path, *rest)

        return writing

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_tensors", full(write))
        patch.setattr(type(folder), "write_bytes", full(write_bytes))
        errors = divide(folder.parent, step=5)
    for error in errors:
        assert "step-00000005: could not be written: the disk is full" in str(error)
    after = {path: path.read_bytes() for path in folder.parent.rglob("*.*") if path.is_file()}
    assert after == before
    assert divide(folder.parent, step=5) == [None] * WORLD
    assert saved_steps(folder.parent) == [4, 5]
