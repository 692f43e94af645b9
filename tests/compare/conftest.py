"""The tiny problem, as every process of these tests imports it."""

import importlib
import os
import random
import signal
from pathlib import Path

import attrs
import pytest

from mtlkit.compare.executor import Executor
from mtlkit.compare.place import Place
from mtlkit.compare.read_comparison import load_comparison
from mtlkit.compare.study import run_study
from mtlkit.compare.worker import Outcome, run_job
from mtlkit.data.configs import Loading
from mtlkit.run import evaluate

collect_ignore = ["tiny.py", "killed_study.py"]

FILE = """
problems: {plane: recipe.yaml}
weightings: [gls]
seeds: 1
without: {log: so many, tuned: so many, rlw: so many}
"""


@pytest.fixture
def tiny(monkeypatch):
    """The module."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("tiny")


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


@attrs.frozen
class Bench:
    """A folder with a recipe, in which comparisons are written and run."""

    folder: Path
    tiny: object
    worker = InThisProcess

    def load(self, text=FILE):
        """The comparison of the file `text`."""
        (self.folder / "recipe.yaml").write_text(self.tiny.RECIPE)
        (self.folder / "comparison.yaml").write_text(text)
        return load_comparison(self.folder / "comparison.yaml", self.tiny.catalog())

    def run(self, comparison, name="study", *, place=None, executor=None, **options):
        """The study's folder."""
        options = {"quiet": True, "loading": Loading(), "catalog": self.tiny.catalog()} | options
        if place is None:
            executor = executor or InThisProcess(2)
            place = Place(workers=executor.slots, make=lambda *_: executor)
        return run_study(comparison, self.folder / name, place=place, **options)


@pytest.fixture
def bench(tmp_path, tiny, monkeypatch):
    # drawing a run's report takes longer than all its training
    monkeypatch.setattr(evaluate, "write_report", lambda *_: None)
    return Bench(tmp_path, tiny)
