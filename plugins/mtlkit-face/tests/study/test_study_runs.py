"""A study from its command to its report: each run once, whatever stops it."""

import os
import signal

import attrs
import pytest
from mtlkit_face.study.arms import ARMS, ESTIMATED, Size
from mtlkit_face.study.run_study import Asked, run_study

from mtlkit import load_catalog
from mtlkit.comparison import ExecutorConfig
from mtlkit.data import Loading
from mtlkit.plugins import InterruptedRunError, RunError

TINY = Size(
    name="tiny",
    about="for a test",
    seeds=1,
    subjects=3,
    settings=(
        "data.subjects=3",
        "data.test_subjects=3",
        "data.images_per_subject=14",
        "data.size=32",
        "data.lights_per_geometry=2",
        "data.sessions=2",
        "backbone.width=0.1",
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


def run(folder, arms, seeds=(0,), size=TINY):
    said: list[str] = []
    asked = Asked(folder=folder / "study", size=size, arms=arms, seeds=seeds)
    loading = Loading(cache=folder / "cache", workers=1)
    return run_study(asked, load_catalog(), loading, ExecutorConfig(workers=2), said.append), said


def test_a_study_makes_each_run_once_and_takes_more_arms_later(folder):
    study, said = run(folder, [ARMS["s-cnn"]])
    assert said[0] == "1 run, 2 at once; 0 made before"
    assert study.missing == 0
    study, said = run(folder, [ARMS["m-cnn"]])
    assert said[0] == "1 run, 2 at once; 0 made before"
    assert [line.partition(":")[0] for line in said[1:]] == ["[1/1] m-cnn, seed 0"]
    assert "trace/weight/pose" in study.runs["m-cnn"][0]
    assert set(study.runs) == {"s-cnn", "m-cnn"}  # what was made before stays in the report
    assert "2 of 2 runs are finished" in (folder / "study" / "report.md").read_text()


def test_a_failed_run_is_reported_and_does_not_stop_the_others(folder):
    broken = attrs.evolve(ARMS["m-cnn-equal"], settings=("optimizer.lr=1e30",))
    study, said = run(folder, [broken, ARMS["s-cnn"]], seeds=(1,))
    (key,) = study.failed
    assert key == "m-cnn-equal, seed 1"
    assert "NotFiniteError" in study.failed[key]
    assert 1 not in study.runs.get("m-cnn-equal", {})
    assert any(line.startswith("m-cnn-equal, seed 1: failed: ") for line in said)


def test_a_study_that_is_stopped_goes_on_and_makes_no_run_twice(tmp_path):
    class Stop(list):
        """Sends Ctrl-C when told of the first run that ended."""

        def append(self, line: str) -> None:
            super().append(line)
            if line.startswith("[1/3]"):
                os.kill(os.getpid(), signal.SIGINT)

    arms = [ARMS[name] for name in ("s-cnn", "s-cnn-pose", "s-cnn-l2")]
    asked = Asked(folder=tmp_path / "study", size=TINY, arms=arms, seeds=(0,))
    loading = Loading(cache=tmp_path / "cache", workers=1)
    said = Stop()
    with pytest.raises(InterruptedRunError):
        run_study(asked, load_catalog(), loading, ExecutorConfig(workers=1), said.append)
    (first,) = [line for line in said if line.startswith("[")]
    assert "1 of 3 runs are finished" in (tmp_path / "study" / "report.md").read_text()
    again: list[str] = []
    study = run_study(asked, load_catalog(), loading, ExecutorConfig(workers=1), again.append)
    assert again[0] == "3 runs, 1 at once; 1 made before"
    assert study.missing == 0
    assert first.partition("] ")[2].partition(":")[0] not in "\n".join(again)


def test_a_study_of_another_size_is_refused(folder):
    with pytest.raises(RunError, match="holds a study of the size 'tiny'; choose another folder"):
        run(folder, [ARMS["s-cnn"]], size=attrs.evolve(TINY, name="other"))


def test_estimated_poses_are_made_once_and_reach_the_network(folder):
    study, said = run(folder, [ESTIMATED])
    assert said[0] == "training a network that estimates poses, on other people"
    assert "of the training faces have an estimated pose" in study.poses["0"]
    rows = (folder / "study" / "poses-0.csv").read_text().splitlines()
    assert rows[0] == "file,pose-group"
    assert len(rows) == 1 + 3 * 14
    assert rows[1].startswith("subject0-")
    _, again = run(folder, [ESTIMATED])
    assert again == ["1 run, 2 at once; 1 made before"]


def test_a_run_of_another_recipe_is_refused(folder):
    changed = attrs.evolve(ARMS["s-cnn"], settings=("optimizer.lr=0.5",))
    with pytest.raises(RunError, match="was made by another recipe than the study now has"):
        run(folder, [changed])


@pytest.mark.parametrize("name", ["m-cnn-side-block", "p-cnn"])
def test_arms_with_parts_of_their_own_come_to_their_evaluation(folder, name):
    study, _ = run(folder, [ARMS[name]])
    assert study.failed == {}
    found = study.runs[name][0]
    assert "face/energy/rank1/x" in found
    assert ("face/pose-errors/0.2/best/rank1" in found) == (name == "p-cnn")
