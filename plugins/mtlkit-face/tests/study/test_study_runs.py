"""A study from its command to its report: each run once, also after interrupts."""

import math
import os
import signal

import attrs
import pytest
from mtlkit_face.study.arms import ARMS, ESTIMATED, SIDE_WEIGHTS, select_arms
from mtlkit_face.study.claim_parts import ClaimState, search_results
from mtlkit_face.study.claims import judge_all
from mtlkit_face.study.estimated_poses import estimator_job, write_estimates
from mtlkit_face.study.hypotheses import HYPOTHESES
from mtlkit_face.study.results import read_runs, run_folder
from mtlkit_face.study.run_study import StudyRequest, run_study
from mtlkit_face.study.sizes import Size

from mtlkit import fit, load_catalog
from mtlkit.comparison import ExecutorConfig
from mtlkit.data import Loading
from mtlkit.plugins import InterruptedRunError, RunError

TINY = Size(
    name="tiny",
    about="for a test",
    seeds=1,
    subjects=3,
    width=0.1,
    settings=(
        "data.subjects=3",
        "data.test_subjects=3",
        "data.images_per_subject=14",
        "data.size=32",
        "data.lights_per_geometry=2",
        "data.sessions=2",
        "train.epochs=1",
        "train.batch=16",
        "train.threads=1",
    ),
    sure=0.0,
    estimator=(
        "data.subjects=4",
        "data.test_subjects=2",
        "data.images_per_subject=14",
        "data.test_images_per_subject=2",
        "data.poses=13",
        "backbone.width=0.1",
        "train.epochs=1",
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


def run(folder, arms, seeds=(0,), size=TINY, **options):
    lines: list[str] = []
    request = StudyRequest(folder=folder / "study", size=size, arms=arms, seeds=seeds, **options)
    loading = Loading(cache=folder / "cache", workers=1)
    return run_study(
        request, load_catalog(), loading, ExecutorConfig(workers=2), lines.append
    ), lines


def executed(lines):
    """The lines without those of the rendering."""
    return [line for line in lines if not line.startswith("faces of")]


def test_a_study_executes_each_run_once_and_accepts_more_arms_later(folder):
    study, lines = run(folder, [ARMS["s-cnn"]])
    lines = executed(lines)
    assert lines[0] == "1 run, 2 at once; 0 already finished"
    assert study.missing == 0
    study, lines = run(folder, [ARMS["m-cnn"]])
    lines = executed(lines)
    assert lines[0] == "1 run, 2 at once; 0 already finished"
    assert [line.partition(":")[0] for line in lines[1:]] == ["[1/1] m-cnn, seed 0"]
    assert "trace/weight/pose" in study.runs["m-cnn"][0]
    assert set(study.runs) == {"s-cnn", "m-cnn"}  # earlier runs stay in the report
    assert "2 of 2 runs are finished" in (folder / "study" / "report.md").read_text()


def test_a_failed_run_is_reported_and_does_not_stop_the_others(folder):
    broken = attrs.evolve(ARMS["m-cnn-equal"], settings=("optimizer.lr=1e30",))
    study, lines = run(folder, [broken, ARMS["s-cnn"]], seeds=(1,))
    (key,) = study.failed
    assert key == "m-cnn-equal, seed 1"
    assert "NotFiniteError" in study.failed[key]
    assert 1 not in study.runs.get("m-cnn-equal", {})
    assert any(line.startswith("m-cnn-equal, seed 1: failed: ") for line in lines)


def test_an_interrupted_study_resumes_and_repeats_no_run(tmp_path):
    class Stop(list):
        """Send Ctrl-C at the line of the first finished run."""

        def append(self, line: str) -> None:
            super().append(line)
            if line.startswith("[1/3]"):
                os.kill(os.getpid(), signal.SIGINT)

    arms = [ARMS[name] for name in ("s-cnn", "s-cnn-pose", "s-cnn-l2")]
    request = StudyRequest(folder=tmp_path / "study", size=TINY, arms=arms, seeds=(0,))
    loading = Loading(cache=tmp_path / "cache", workers=1)
    lines = Stop()
    with pytest.raises(InterruptedRunError):
        run_study(request, load_catalog(), loading, ExecutorConfig(workers=1), lines.append)
    (first,) = [line for line in lines if line.startswith("[")]
    assert "1 of 3 runs are finished" in (tmp_path / "study" / "report.md").read_text()
    again: list[str] = []
    study = run_study(request, load_catalog(), loading, ExecutorConfig(workers=1), again.append)
    assert executed(again)[0] == "3 runs, 1 at once; 1 already finished"
    assert study.missing == 0
    assert first.partition("] ")[2].partition(":")[0] not in "\n".join(again)


def test_a_study_of_another_size_is_refused(folder):
    with pytest.raises(RunError, match="holds a study of the size 'tiny'; choose another folder"):
        run(folder, [ARMS["s-cnn"]], size=attrs.evolve(TINY, name="other"))


def test_poses_are_estimated_once_and_used_for_training(folder):
    study, lines = run(folder, [ESTIMATED])
    assert executed(lines)[0] == "training a network that estimates poses, on other people"
    assert "of the training faces have an estimated pose" in study.poses["0"]
    rows = (folder / "study" / "poses-0.csv").read_text().splitlines()
    assert rows[0] == "file,pose-group"
    assert len(rows) == 1 + 3 * 14
    assert rows[1].startswith("subject0-")
    _, again = run(folder, [ESTIMATED])
    assert executed(again) == ["1 run, 2 at once; 1 already finished"]


def test_a_run_of_another_recipe_is_refused(folder):
    changed = attrs.evolve(ARMS["s-cnn"], settings=("optimizer.lr=0.5",))
    with pytest.raises(RunError, match="has another recipe than the study"):
        run(folder, [changed])


@pytest.mark.parametrize("name", ["m-cnn-side-block", "p-cnn"])
def test_arms_with_their_own_components_are_evaluated(folder, name):
    study, _ = run(folder, [ARMS[name]])
    assert study.failed == {}
    metrics = study.runs[name][0]
    assert "face/energy/rank1/x" in metrics
    assert ("face/pose-errors/0.2/best/rank1" in metrics) == (name == "p-cnn")


def test_a_study_continues_from_records_on_a_fresh_machine(tmp_path):
    first, _ = run(tmp_path / "first", [ARMS["s-cnn"]])
    records = tmp_path / "first/study/results.csv"
    fresh, lines = run(tmp_path, [ARMS["s-cnn"]], records=records)
    assert lines == ["1 run, 2 at once; 1 already finished"]
    assert not (tmp_path / "study/runs").exists()
    finite = {k: v for k, v in first.runs["s-cnn"][0].items() if math.isfinite(v)}
    assert fresh.runs == {"s-cnn": {0: finite}}
    study, lines = run(tmp_path, [ARMS["s-cnn"]], seeds=(0, 1))  # the folder keeps the records
    assert executed(lines)[0] == "2 runs, 2 at once; 1 already finished"
    assert lines[0] == "faces of 1 of 1 sets"
    assert sorted(study.runs["s-cnn"]) == [0, 1]
    rows = (tmp_path / "study/results.csv").read_text().splitlines()
    assert {row.split(",")[1] for row in rows[1:]} == {"0", "1"}
    for text, message in (
        ("arm,seed,metric,value,size\ns-cnn,0,x,1.0,small\n", "2: got a run of the size 'small'"),
        ("arm,seed\n", "got the columns arm, seed, expected arm, seed, metric, value, size"),
        ("arm,seed,metric,value\ns-cnn,x,m,1\n", "cannot be read as records of a study"),
    ):
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(RunError, match=message):
            run(tmp_path, [ARMS["s-cnn"]], records=tmp_path / "bad.csv")


def test_every_arm_is_trained_and_gives_what_the_claims_compare(folder):
    """Every network of the list at tiny size; no claim lacks a metric afterwards."""
    # the search evaluates 20 subjects; settings for few updates are applied too
    size = attrs.evolve(TINY, subjects=22, short=True)
    catalog, study = load_catalog(), folder / "every"
    loading = Loading(cache=folder / "cache", workers=1, base=study)
    study.mkdir()
    estimator = estimator_job(study, size, catalog, loading)
    fit(estimator.recipe, estimator.path, loading=loading, quiet=True, report=False)
    write_estimates(study, size, 0, catalog, loading)
    arms = select_arms(("all",), size)
    assert {"s-cnn-ensemble", "m-cnn-fast-gate", "search-0.1"} < {arm.name for arm in arms}
    for arm in arms:
        path = run_folder(study, arm.name, 0)
        fit(size.recipe(arm, 0, catalog), path, loading=loading, quiet=True, report=False)
    runs = read_runs(study, arms, [0])
    assert len(search_results(runs)) == len(SIDE_WEIGHTS)
    two_seeds = {arm: {0: seeds[0], 1: seeds[0]} for arm, seeds in runs.items()}
    results = judge_all(HYPOTHESES, two_seeds)
    missing = {result.name for result in results if result.state is ClaimState.NOT_RUN}
    assert missing <= {"H3"}  # three updates move no gate
