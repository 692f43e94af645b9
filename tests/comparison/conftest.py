"""The tiny problem, as every process of these tests imports it."""

import importlib
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
import torch

from mtlkit.comparison.execute.executor import Executor
from mtlkit.comparison.execute.executor_config import ExecutorConfig
from mtlkit.comparison.execute.worker import Outcome, run_job
from mtlkit.comparison.spec.load import load_comparison
from mtlkit.comparison.study import run_study
from mtlkit.data import Loading
from mtlkit.runs import evaluate

collect_ignore = ["tiny.py", "killed_study.py", "observed.py"]

FILE = """
problems: {plane: recipe.yaml}
weightings: [gls]
seeds: [3]
tuning: {trials: 2, search: {optimizer.lr: {low: 0.01, high: 0.2, log: true}}}
without: {log: for speed, tuned: for speed, rlw: for speed}
"""


@pytest.fixture(scope="session")
def tiny():
    """The module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        yield importlib.import_module("tiny")


@pytest.fixture(scope="session")
def observed(tiny):
    """The module, which is next to that of `tiny`."""
    return importlib.import_module("observed")


class InThisProcess(Executor):
    """Runs jobs one by one when somebody waits, in an order drawn from `seed`."""

    def __init__(self, slots, seed=0, interrupt_after=None):
        self.slots, self.interrupt_after, self.stopped = slots, interrupt_after, False
        self.random, self.jobs, self.made, self.most = random.Random(seed), {}, [], 0

    def submit(self, key, job):
        self.jobs[key] = job
        self.most = max(self.most, len(self.jobs))

    def ended(self, seconds):
        if not self.jobs:
            return []
        key = self.random.choice(sorted(self.jobs))
        if self.interrupt_after == len(self.made):
            self.interrupt_after = None
            os.kill(os.getpid(), signal.SIGINT)
            self.jobs.pop(key)
            return [(key, Outcome(interrupted=True))]
        if self.stopped:
            self.jobs.pop(key)
            return [(key, Outcome(interrupted=True))]
        self.made.append(key)
        return [(key, run_job(self.jobs.pop(key)))]

    def stop(self):
        self.stopped = True

    def close(self):
        pass


@attrs.define
class OnRecord(Executor):
    """Ends runs in order with the outcomes it was given; with `signals`, after a Ctrl-C."""

    outcomes: list[Outcome]
    signals: bool = False
    slots: int = 1
    waiting: list[str] = attrs.field(factory=list)
    begun: list[str] = attrs.field(factory=list)

    def submit(self, key, job):
        self.waiting.append(key)
        self.begun.append(key)

    def ended(self, seconds):
        if not self.waiting:
            return []
        if self.signals:
            os.kill(os.getpid(), signal.SIGINT)
            self.signals = False
        return [(self.waiting.pop(0), self.outcomes.pop(0))]

    def stop(self):
        pass

    def close(self):
        pass


@attrs.frozen
class Bench:
    """A folder with a recipe, in which comparisons are written and run."""

    folder: Path
    tiny: object
    worker = InThisProcess
    on_record = OnRecord
    file = FILE

    def load(self, text=FILE):
        """The comparison of the file `text`."""
        (self.folder / "recipe.yaml").write_text(self.tiny.RECIPE)
        (self.folder / "comparison.yaml").write_text(text)
        return load_comparison(self.folder / "comparison.yaml", self.tiny.catalog())

    def run(self, comparison, name="study", *, executor_config=None, executor=None, **options):
        """The study's folder."""
        options = {"quiet": True, "loading": Loading(), "catalog": self.tiny.catalog()} | options
        if executor_config is None:
            executor = executor or InThisProcess(2)
            executor_config = ExecutorConfig(workers=executor.slots, factory=lambda *_: executor)
        return run_study(comparison, self.folder / name, executor_config=executor_config, **options)

    def begin(self, lines, *arguments):
        """A process that runs the comparison, once it has written so many lines."""
        process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("killed_study.py"), self.folder, *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        results = self.folder / "study" / "results.jsonl"
        while not results.exists() or results.read_bytes().count(b"\n") < lines:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        return process


@contextmanager
def no_report_of_a_run():
    """Drawing it takes longer than all of the training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "write_report", lambda *_: None)
        yield


@pytest.fixture(autouse=True)
def _quickly():
    with no_report_of_a_run():
        yield


@pytest.fixture
def bench(tmp_path, tiny):
    return Bench(tmp_path, tiny)


@pytest.fixture(scope="session")
def made(tmp_path_factory, tiny):
    """A whole study, made by one worker, for tests that only look; its keys in the order made."""
    torch.set_num_threads(1)
    bench, worker = Bench(tmp_path_factory.mktemp("made"), tiny), InThisProcess(1)
    with no_report_of_a_run():
        return bench.run(bench.load(FILE), executor=worker), worker.made
