"""Observe a study of another process: its tables, and its workers."""

import time
from pathlib import Path

import attrs

from mtlkit.comparison.results.record import read_results
from mtlkit.comparison.results.summary import summary
from mtlkit.runs.storage.folder import RunFolder

LONG = """
problems:
  plane:
    recipe: recipe.yaml
    set:
      - train.epochs=8
      - train.checkpoint_every=2
      - "callbacks=[{type: gate, step: 5, until: GATE}]"
weightings: [gls]
seeds: 2
without: {log: for speed, tuned: for speed, rlw: for speed, single-task: for speed}
"""
"""A comparison whose runs wait at step 5 until the file GATE exists."""

CLOCKS = {"seconds", "peak_memory_bytes", "retries"}
"""Columns that depend on the clock and on what happened to workers."""


def tables(folder):
    """Everything that a study reports but for times: its runs, and its tables."""
    runs = [
        "; ".join(f"{name}={value!r}" for name, value in attrs.asdict(record).items()
                  if name not in CLOCKS)
        for record in sorted(read_results(folder.results), key=lambda record: record.key)
    ]  # fmt: skip
    files = {
        path.name: path.read_bytes()
        for path in sorted((folder.path / "tables").iterdir())
        if path.name != "cost.csv"
    }
    return runs, summary(folder), files


def wait_until(condition):
    """The first value of `condition` that is true."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.005)
    raise AssertionError("timed out")


def workers_in_training(study):
    """The processes of runs that have a checkpoint and are not finished."""
    workers = []
    for file in study.path.glob("runs/*/*/*/status.json"):
        run = RunFolder(file.parent)
        status = run.status()
        if status.state.value == "running" and any(run.checkpoints.glob("*")):
            workers += [status.pid] if is_alive(status.pid) else []
    return workers


def is_alive(process):
    """Return whether the process exists and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
