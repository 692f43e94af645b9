"""A study goes on from whatever a crash, another place or a strange text left of it."""

import json
from pathlib import Path

import attrs
import pytest

from mtlkit.atomic_files import TEMPORARY
from mtlkit.comparison import study as studies
from mtlkit.comparison.execute.executor_config import ExecutorConfig
from mtlkit.comparison.execute.plan import method_jobs, ready_runs
from mtlkit.comparison.results.record import Record, Stage, read_results, record_to_line
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.data import Loading
from mtlkit.errors import RunError
from mtlkit.recipe_io import dump_recipe
from mtlkit.runs.fit_once import fit_once, is_made
from mtlkit.runs.storage.folder import RunFolder
from mtlkit.runs.storage.lock import LOCK

SMALL = """
problems: {plane: recipe.yaml}
weightings: [gls]
seeds: 1
without: {log: speed, tuned: speed, rlw: speed, single-task: speed}
"""

TWO = """
problems:
  stated: {recipe: recipe.yaml, set: [train.threads=2]}
  free: {recipe: recipe.yaml, set: [train.threads=auto]}
without: {log: speed, tuned: speed, rlw: speed, single-task: speed}
seeds: 1
"""


def test_recipes_that_differ_in_their_threads_can_be_gone_on_with(bench, monkeypatch):
    monkeypatch.setattr("mtlkit.comparison.execute.executor_config.available_cores", lambda: 3)
    comparison = bench.load(TWO)
    folder = bench.run(comparison, executor=bench.worker(1))
    assert json.loads(folder.study.read_text())["threads"] == 3
    assert "threads: 3" in folder.recipe("free").read_text()
    assert "threads: 2" in folder.recipe("stated").read_text()
    nobody = bench.worker(3)  # for which the place gives each run one thread
    bench.run(comparison, executor=nobody)
    assert nobody.made == []


def test_the_cores_of_this_machine_do_not_limit_a_cluster(bench, monkeypatch):
    monkeypatch.setattr("mtlkit.training.devices.cores.available_cores", lambda: 1)
    comparison, folder = bench.load(TWO), StudyFolder(bench.folder / "study")
    with pytest.raises(RunError, match=r"train\.threads: got 2, expected at most 1"):
        studies.resolved(comparison, folder, ExecutorConfig())
    kept = studies.resolved(comparison, folder, ExecutorConfig(cluster=True))
    assert kept.problems["stated"].recipe.train.threads == 2


@pytest.mark.parametrize(
    "name",
    [
        LOCK,
        "comparison.yaml",
        "recipes",
        *(f"{TEMPORARY}{n}" for n in ("comparison.yaml", "study.json")),
    ],
)
def test_a_study_killed_at_its_very_beginning_is_begun_again(bench, name):
    folder = bench.folder / "study"
    folder.mkdir()
    if name == "recipes":
        (folder / name).mkdir()
        (folder / name / f"{TEMPORARY}plane.yaml").touch()
    else:
        (folder / name).touch()
    begun = StudyFolder(folder)
    studies.begin(begun, {"fixed": {}}, "whole", {"plane": "a recipe"})
    assert begun.comparison.read_text() == "whole"


@pytest.mark.parametrize(
    "names",
    [
        (),
        (LOCK,),
        (f"{TEMPORARY}provenance.json",),
        ("provenance.json",),
        (LOCK, "provenance.json", f"{TEMPORARY}recipe.yaml"),
    ],
)
def test_a_run_killed_before_it_had_its_recipe_is_begun_again(bench, tiny, names):
    recipe, path = bench.load(SMALL).problems["plane"].recipe, bench.folder / "run"
    path.mkdir()
    for name in names:
        (path / name).touch()
    fit_once(recipe, path, catalog=tiny.catalog(), loading=Loading(), report=False)
    assert is_made(RunFolder(path), dump_recipe(recipe, tiny.catalog()))
    assert not list(path.glob(f"{TEMPORARY}*"))


def test_what_is_not_a_runs_is_left_where_a_run_should_be(bench, tiny):
    recipe, path = bench.load(SMALL).problems["plane"].recipe, bench.folder / "run"
    path.mkdir()
    (path / "letter.txt").touch()
    with pytest.raises(RunError, match="is not empty"):
        fit_once(recipe, path, catalog=tiny.catalog(), loading=Loading(), report=False)
    assert (path / "letter.txt").exists()


FAILED = Record(
    problem="plane",
    method="equal",
    stage=Stage.FINAL,
    seed=0,
    error="a\u2028b\u2029c\x85d\r\n\u00e9",
)


def test_an_error_may_hold_any_line_break(tmp_path):
    file = tmp_path / "results.jsonl"
    plain = json.dumps(json.loads(record_to_line(FAILED)), ensure_ascii=False)  # as once written
    file.write_text(f"{record_to_line(FAILED)}\n{plain}\n", encoding="utf-8")
    assert read_results(file) == [FAILED, FAILED]


def test_a_line_torn_inside_a_character_is_left_out_and_mended(tmp_path):
    folder, line = StudyFolder(tmp_path), record_to_line(FAILED)
    torn = '{"problem": "\u00e9'.encode()[:-1]
    folder.results.write_bytes(f"{line}\n".encode() + torn)
    assert read_results(folder.results) == [FAILED]
    folder.mend()
    assert folder.results.read_bytes() == f"{line}\n".encode()
    folder.results.write_bytes(torn + f"\n{line}\n".encode())
    with pytest.raises(RunError, match="line 1: is not a record of a run"):
        read_results(folder.results)


def test_a_trial_made_again_does_not_part_the_seeds_of_a_method(bench):
    comparison = bench.load(bench.file.replace("[3]", "[3, 4]"))
    method_job = next(s for s in method_jobs(comparison) if s.method.name == "gls")
    first, second, final = (
        method_job.trial(0, 0),
        method_job.trial(1, 0),
        method_job.final(3, comparison.budgets[0]),
    )
    known = {
        first.key: attrs.evolve(first, score=1.0, settings={"optimizer.lr": 0.05}),
        # it failed when the first seed was trained, and is the best one now
        second.key: attrs.evolve(second, score=0.5, settings={"optimizer.lr": 0.1}),
        final.key: attrs.evolve(final, settings={"optimizer.lr": 0.05}),
    }
    (other,) = ready_runs(method_job, comparison, known)
    assert (other.record.seed, other.record.settings) == (4, {"optimizer.lr": 0.05})


def test_workers_get_paths_that_hold_in_any_working_directory(bench, monkeypatch):
    monkeypatch.chdir(bench.folder)
    here = attrs.evolve(bench, folder=Path())
    executor, jobs = bench.worker(2), []
    submit = executor.submit
    monkeypatch.setattr(executor, "submit", lambda k, job: (jobs.append(job), submit(k, job)))
    found = here.run(here.load(SMALL), executor=executor, loading=Loading(cache=Path("cache")))
    assert found.path == Path("study")
    assert len(jobs) == 2
    for job in jobs:
        assert job.path.is_absolute()
        assert job.loading.base == bench.folder
        assert job.loading.cache == bench.folder / "cache"


def test_the_first_error_is_the_one_to_see(bench, monkeypatch):
    def reports(_folder, _catalog):
        raise RunError("the disk is full")

    def run(_runner):
        raise ZeroDivisionError

    monkeypatch.setattr(studies, "write_reports", reports)
    with pytest.raises(RunError, match="the disk is full"):
        bench.run(bench.load(SMALL))
    monkeypatch.setattr(studies.Runner, "run", run)
    with pytest.raises(ZeroDivisionError):
        bench.run(bench.load(SMALL))


def test_equal_time_needs_epochs(bench):
    text = SMALL.replace(
        "{plane: recipe.yaml}", "{plane: {recipe: recipe.yaml, set: [train.steps=3]}}"
    )
    comparison = bench.load(f"{text.replace('log: speed, ', '')}budgets: [epochs, time]\n")
    with pytest.raises(RunError, match=r"problems.plane: train.steps: got 3, expected null with"):
        bench.run(comparison, executor=bench.worker(1))
