"""Trackers, each against the real package with a local store; skipped without the package."""

import json
import os
import sqlite3
import struct
import sys
from importlib.util import find_spec

import attrs
import pytest

import mtlkit
from mtlkit.callbacks import EvaluationEvent, JsonLines, MLflow, Trackio, WandB, read_events
from mtlkit.errors import InterruptedRunError, MissingExtraError, RunError
from mtlkit.loggers.curves import curves
from mtlkit.loggers.tracker import TrackerWriter, flat
from mtlkit.testing import add_small_data, small_recipe
from mtlkit.training.update import Updater

# of the packages themselves, and of what they import
pytestmark = pytest.mark.filterwarnings("ignore")
CATALOG = add_small_data(mtlkit.load_catalog("none"))


def records_of(file):
    """The records of a file of W&B, which has the format of LevelDB's logs."""
    from wandb.proto.wandb_internal_pb2 import Record

    content = file.read_bytes()
    place, part = 7, b""
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        size, kind = struct.unpack_from("<HB", content, place + 4)
        part += content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # a whole record, or its last part
            record = Record()
            record.ParseFromString(part)
            yield record
            part = b""


def read_wandb(folder):
    runs, points, config, images = set(), [], {}, []
    for file in sorted((folder / "run" / "wandb").glob("offline-run-*/*.wandb")):
        for record in records_of(file):
            if record.WhichOneof("record_type") == "run":
                runs.add(record.run.run_id)
                config = {
                    item.key: json.loads(item.value_json) for item in record.run.config.update
                }
            if record.WhichOneof("record_type") == "history":
                items = {
                    tuple(item.nested_key) or (item.key,): json.loads(item.value_json)
                    for item in record.history.item
                }
                images += [name for name, *rest in items if rest == ["_type"]]
                step = items["_step",]
                values = {name: v for (name, *rest), v in items.items() if not rest}
                points += [(k, step, v) for k, v in values.items() if not k.startswith("_")]
    return runs, points, config, images


def read_mlflow(folder):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("mtlkit")
    runs = client.search_runs([experiment.experiment_id])
    [run] = runs
    points = [
        (name, one.step, one.value)
        for name in run.data.metrics
        for one in client.get_metric_history(run.info.run_id, name)
    ]
    images = [file.path for file in client.list_artifacts(run.info.run_id)]
    assert run.info.status == "FINISHED"
    return {run.info.run_id}, points, run.data.params, images


def read_trackio(folder):
    store = sqlite3.connect(os.path.join(os.environ["TRACKIO_DIR"], f"{folder.name}.db"))
    rows = store.execute("select run_name, step, metrics from metrics order by id").fetchall()
    points, images = [], []
    for _, step, text in rows:
        for name, value in json.loads(text).items():
            if isinstance(value, dict):
                images.append(name)
            else:
                points.append((name, step, value))
    [config] = store.execute("select config from configs").fetchall()
    return {name for name, *_ in rows}, points, json.loads(config[0]), images


ABSENT = {
    "trackio": "the development environment has Pillow 13, and Trackio 0.43 requires pillow<13"
}

TRACKERS = {
    "wandb": (lambda _, **o: WandB(mode="offline", system_metrics=False, **o), read_wandb),
    "mlflow": (lambda f, **o: MLflow(tracking_uri=f"sqlite:///{f}/mlflow.db", **o), read_mlflow),
    "trackio": (lambda f, **o: Trackio(project=f.name, **o), read_trackio),
}


@pytest.fixture(scope="module", autouse=True)
def _stores(tmp_path_factory):
    """Keep everything that a tracker writes in a folder of the test."""
    kept = dict(os.environ)
    os.environ["TRACKIO_DIR"] = str(tmp_path_factory.mktemp("trackio"))
    os.environ["WANDB_SILENT"] = os.environ["DO_NOT_TRACK"] = "true"
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture(params=list(TRACKERS))
def tracker(request, tmp_path, monkeypatch):
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed; {ABSENT.get(request.param, 'install it')}")
    monkeypatch.chdir(tmp_path)
    return TRACKERS[request.param]


def recipe_of(logger, **train):
    recipe = small_recipe()
    train = attrs.evolve(recipe.train, loggers=(JsonLines(), logger), **train)
    return attrs.evolve(recipe, train=train)


def logged(folder):
    """The values in the run's own log, by curve and step."""
    return {
        (name, event.step): value
        for event in read_events(folder / "run" / "log.jsonl")
        for name, value in curves(event).items()
    }


def matching(points):
    """Values of the reproducible events by curve and step, each of which was sent once."""
    own = [point for point in points if not point[0].startswith(("speed/", "system/"))]
    result = {(name.replace("_ ", ", "), step): value for name, step, value in own}
    assert len(result) == len(own)
    return result


def test_a_run_has_the_curves_of_its_log_and_its_recipe(tracker, tmp_path):
    build, read = tracker
    mtlkit.fit(recipe_of(build(tmp_path)), tmp_path / "run", catalog=CATALOG, quiet=True)
    runs, points, config, images = read(tmp_path)
    assert len(runs) == 1
    assert matching(points) == pytest.approx(logged(tmp_path))
    assert {name for name, *_ in points} > {"system/cpu percent", "speed/samples per second"}
    assert str(flat(config)["train.batch"]) == "16"
    assert not images


def test_a_resumed_run_continues_the_tracker_s(tracker, tmp_path, monkeypatch):
    build, read = tracker
    recipe = recipe_of(build(tmp_path), checkpoint_every=2)
    update = Updater.update

    def stopped(self, step, stop_request=None):
        if step == 3:  # the log is ahead of the checkpoint
            raise KeyboardInterrupt
        return update(self, step, stop_request)

    monkeypatch.setattr(Updater, "update", stopped)
    with pytest.raises(InterruptedRunError):
        mtlkit.fit(recipe, tmp_path / "run", catalog=CATALOG, quiet=True)
    assert max(step for _, step in logged(tmp_path)) == 3
    monkeypatch.setattr(Updater, "update", update)
    mtlkit.resume(tmp_path / "run", catalog=CATALOG, quiet=True)
    runs, points, _, _ = read(tmp_path)
    assert len(runs) == 1
    assert matching(points) == pytest.approx(logged(tmp_path))


class Silent(TrackerWriter):
    def send(self, values, step):
        pass

    def send_pictures(self, pictures, step):
        pass

    def close(self):
        pass


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"sent": 3}', b"[" * 100_000])
def test_a_damaged_file_of_a_tracker_is_named(content, tmp_path):
    (tmp_path / "odd.json").write_bytes(content)
    with pytest.raises(RunError, match=r"odd.json: is damaged .*; delete it to continue the logs"):
        Silent(tmp_path, "odd")


def test_figures_are_sent_on_request(tracker, tmp_path):
    build, read = tracker
    logger = build(tmp_path, figures=True)
    mtlkit.fit(recipe_of(logger), tmp_path / "run", catalog=CATALOG, quiet=True)
    assert any("report" in name for name in read(tmp_path)[-1])


@pytest.mark.parametrize("name", list(TRACKERS))
def test_a_missing_package_names_the_extra(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"'{name}' needs .* 'mtlkit\[{name}\]'"):
        TRACKERS[name][0](tmp_path).open(tmp_path, 0)
    assert not list(tmp_path.iterdir())


def test_a_tracker_that_fails_leaves_a_run_to_resume(tmp_path):
    pytest.importorskip("trackio", reason=ABSENT["trackio"])
    writer = Trackio(project=tmp_path.name).open(tmp_path, 0)
    writer._run.log = lambda *_, **__: 1 / 0
    event = EvaluationEvent(step=1, epoch=1.0, metrics={"a": 0.5})
    with pytest.raises(
        RunError, match=r"train\.loggers: trackio: could not log the run .*division"
    ):
        writer.write(event)
    writer.close()
