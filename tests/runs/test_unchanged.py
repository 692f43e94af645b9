"""A run is resumed, evaluated and shown only if its files and circumstances are as it left them."""

import importlib
import json
import random
import shutil
from pathlib import Path

import attrs
import pytest
import torch

from mtlkit.checksums import sealed, unsealed
from mtlkit.data import Categorical, Numeric
from mtlkit.errors import DataError, InterruptedRunError, MtlkitError, RunError
from mtlkit.runs.evaluate import evaluate
from mtlkit.runs.fit import fit, resume
from mtlkit.runs.prediction.predict import load_model
from mtlkit.runs.report import write_report
from mtlkit.runs.storage.folder import RunFolder, read_json, write_json
from mtlkit.training.update import Updater

FINISHED = (
    "recipe.yaml", "provenance.json", "assembly.json", "status.json", "model.safetensors",
    "log.jsonl", "speed.jsonl", "evaluation.json",
)  # fmt: skip
CHECKPOINT = ("state.json", "model.safetensors", "weighting.safetensors", "optimizer.safetensors")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run, and one that was stopped in its last epoch, after a checkpoint."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "training"))
        points = importlib.import_module("points")
        fit(points.PLAIN, root / "finished", catalog=points.catalog(), quiet=True)
        plain = Updater.update

        def update(self, step, stop_request):
            if step == 10:
                raise KeyboardInterrupt
            return plain(self, step, stop_request)

        patch.setattr(Updater, "update", update)
        with pytest.raises(InterruptedRunError):
            fit(points.PLAIN, root / "stopped", catalog=points.catalog(), quiet=True)
    return root


@pytest.fixture
def finished(runs, tmp_path):
    return RunFolder(shutil.copytree(runs / "finished", tmp_path / "finished"))


@pytest.fixture
def stopped(runs, tmp_path):
    return RunFolder(shutil.copytree(runs / "stopped", tmp_path / "stopped"))


@pytest.fixture
def resumed(points, stopped):
    """Resume the stopped run."""
    return lambda **options: resume(
        stopped.path, catalog=points.catalog(), quiet=True, report=False, **options
    )


def flipped(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << position % 8
    path.write_bytes(content)


def same_json(path, other):
    try:
        return json.loads(path.read_bytes()) == json.loads(other.read_bytes())
    except ValueError:
        return False


@pytest.mark.parametrize("name", FINISHED)
def test_a_flipped_bit_of_a_finished_run_is_never_shown(points, finished, runs, name):
    path, whole = finished.path / name, runs / "finished" / name
    chosen = random.Random(name).sample(range(path.stat().st_size), 12)
    for position in chosen:
        shutil.copy(whole, path)
        flipped(path, position)
        if path.suffix == ".json" and same_json(path, whole):
            continue  # only white space differs
        with pytest.raises(MtlkitError):
            use(finished, points.catalog())


def use(folder, catalog):
    """Read every file of a finished run."""
    load_model(folder.path, catalog)
    write_report(folder.path)


@pytest.mark.parametrize("name", CHECKPOINT)
def test_a_flipped_bit_of_a_checkpoint_is_refused(stopped, resumed, runs, name):
    path = stopped.checkpoints / "step-00000008" / name
    first = runs / "stopped" / "checkpoints" / "step-00000008" / name
    whole = path.read_bytes()
    for position in random.Random(name).sample(range(len(whole)), min(6, len(whole))):
        path.write_bytes(whole)
        flipped(path, position)
        if name == "state.json" and same_json(path, first):
            continue
        with pytest.raises(RunError, match="step-00000008: the checkpoint is damaged"):
            resumed()


def test_a_renamed_checkpoint_is_refused(stopped, resumed):
    (stopped.checkpoints / "step-00000008").rename(stopped.checkpoints / "step-00000011")
    with pytest.raises(
        RunError, match=r"step-00000011: the checkpoint is damaged \(state\.json is of step 8\)"
    ):
        resumed()


def test_the_weights_of_another_run_are_refused(points, finished, tmp_path):
    other = fit(
        attrs.evolve(points.PLAIN, seed=1), tmp_path / "o", catalog=points.catalog(), quiet=True
    )
    shutil.copy(other.model, finished.model)
    with pytest.raises(RunError, match=r"model\.safetensors: got other weights than the run"):
        load_model(finished.path, points.catalog())


def edit_recipe(stopped):
    text = stopped.recipe.read_text()
    stopped.recipe.write_text(text.replace("seed: 0", "seed: 1"))


def change_version(stopped):
    provenance = read_json(stopped.provenance)
    provenance["versions"]["mtlkit"] = "0.0.1"
    write_json(stopped.provenance, provenance)


def change_plugin(stopped):
    provenance = read_json(stopped.provenance)
    provenance["components"]["data/points"]["version"] = "3"
    write_json(stopped.provenance, provenance)


def change_ranks(stopped):
    write_json(stopped.provenance, {**read_json(stopped.provenance), "ranks": 2})


def remove_log(stopped):
    stopped.log.unlink()


def empty_log(stopped):
    stopped.log.write_bytes(b"")


def cut_log(stopped):
    lines = stopped.log.read_bytes().splitlines(keepends=True)
    stopped.log.write_bytes(b"".join(lines[1:]))


def edit_log(stopped):
    stopped.log.write_bytes(stopped.log.read_bytes().replace(b"0.0", b"0.1", 1))


CHANGES = {
    edit_recipe: ("recipe", r"recipe: got an edited recipe\.yaml .*, expected the text"),
    change_version: ("versions", r"versions: got mtlkit .*, expected mtlkit 0\.0\.1"),
    change_plugin: ("versions", r"versions: got points 0, expected points 3"),
    change_ranks: ("ranks", "ranks: got 1 process, expected 2 processes"),
    remove_log: ("log", r"log: got no file, expected \d+ bytes of log\.jsonl at the checkpoint"),
    empty_log: ("log", r"log: got 0 bytes, expected \d+ bytes of log\.jsonl"),
    cut_log: ("log", r"log: got another content, expected log\.jsonl as it was"),
    edit_log: ("log", r"log: got another content, expected log\.jsonl as it was"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_refused_unless_it_is_accepted(stopped, resumed, change):
    kind, message = CHANGES[change]
    change(stopped)
    before = {p: p.read_bytes() for p in stopped.path.rglob("*.safetensors")}
    with pytest.raises(
        RunError, match=rf"{message}.*`mtlkit resume {stopped.path} --accept {kind}`"
    ):
        resumed()
    assert {p: p.read_bytes() for p in stopped.path.rglob("*.safetensors")} == before
    resumed(accept=[kind])
    (accepted,) = read_json(stopped.provenance)["accepted"]
    assert (accepted["step"], accepted["kind"]) == (8, kind)


def shuffled(split):
    columns = dict(split.columns)
    columns["who"] = Categorical(columns["who"].codes.roll(1), columns["who"].names)
    return attrs.evolve(split, columns=columns)


def rescaled(split):
    age = Numeric(split.columns["age"].values * 1000)
    return attrs.evolve(split, columns={**split.columns, "age": age})


def reordered(split):
    return split.subset(torch.arange(len(split)).flip(0))


def halved(split):
    return split.subset(torch.arange(len(split) // 2))


def renamed(split):
    return attrs.evolve(split, ids=[f"{name}x" for name in split.ids])


def as_floats(split):
    return attrs.evolve(split, inputs=split.inputs.float())


DATA = {
    shuffled: "labels of 'who' of train",
    rescaled: "labels of 'age' of train",
    reordered: "ids of train",
    halved: "inputs of train",
    renamed: "ids of train",
}


def with_data(monkeypatch, points, change):
    plain = points.Points.load
    monkeypatch.setattr(
        points.Points,
        "load",
        lambda self, loading: (lambda data: attrs.evolve(data, train=change(data.train)))(
            plain(self, loading)
        ),
    )


@pytest.mark.parametrize("change", DATA)
def test_other_data_is_refused(points, stopped, resumed, finished, monkeypatch, change):
    with_data(monkeypatch, points, change)
    with pytest.raises(DataError, match=DATA[change]):
        resumed()
    with pytest.raises(DataError, match=DATA[change]):
        evaluate(finished.path, catalog=points.catalog())
    evaluate(finished.path, catalog=points.catalog(), accept=["data"])
    (accepted,) = read_json(finished.provenance)["accepted"]
    assert (accepted["step"], accepted["kind"]) == (12, "data")


def test_inputs_of_another_dtype_do_not_fit_the_network(
    points, stopped, resumed, finished, monkeypatch
):
    with_data(monkeypatch, points, as_floats)
    with pytest.raises(DataError, match="its labels, sample shape or normalization differ"):
        resumed()
    with pytest.raises(DataError, match=r"in uint8, .* now of shape .* in float32"):
        evaluate(finished.path, catalog=points.catalog(), accept=["data"])


def test_other_values_of_inputs_are_a_warning(points, stopped, monkeypatch, capsys):
    with_data(monkeypatch, points, lambda split: attrs.evolve(split, inputs=split.inputs ^ 1))
    resume(stopped.path, catalog=points.catalog(), report=False)
    printed = " ".join(capsys.readouterr().err.split())
    expected = "the values of the inputs differ from those that the run began with"
    assert f"warning: {expected}: content of train" in printed


def test_an_unknown_kind_is_refused(resumed):
    with pytest.raises(RunError, match="accept: got 'everything', expected some of recipe"):
        resumed(accept=["everything"])


def test_a_log_that_is_removed_while_the_run_writes_to_it(points, tmp_path, monkeypatch):
    plain = Updater.update

    def update(self, step, stop_request):
        if step == 6:
            (tmp_path / "run" / "log.jsonl").unlink()
        return plain(self, step, stop_request)

    monkeypatch.setattr(Updater, "update", update)
    with pytest.raises(RunError, match=r"log\.jsonl: got a file that was removed, replaced or cut"):
        fit(points.PLAIN, tmp_path / "run", catalog=points.catalog(), quiet=True)


def test_sealed_json_is_read_as_it_was_written():
    value = {"a": [1, 2.5, None, "é\u2028"], "b": {"c": True}, "n": -0.0}
    for text in (sealed(value), sealed(value, indent=2), sealed(value, ascii_only=True)):
        assert unsealed(text) == value
        assert unsealed(text.encode()) == value
    for broken in ("{}", '{"a": 1}', "[" * 100_000, sealed(value)[:-5]):
        with pytest.raises(ValueError, match=r"checksum|nested|JSON"):
            unsealed(broken)


OTHER_VERSION = "got other values than this version of mtlkit writes"


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("status.json", lambda v: v.pop("state"), OTHER_VERSION),
        ("status.json", lambda v: v.update(state="odd"), OTHER_VERSION),
        ("status.json", lambda v: v.update(seconds=None), OTHER_VERSION),
        ("status.json", lambda v: v.update(seconds="long"), OTHER_VERSION),
        ("status.json", lambda v: v.update(new=1), OTHER_VERSION),
        ("provenance.json", lambda v: v.pop("base"), OTHER_VERSION),
        ("provenance.json", lambda v: v.update(base=3), OTHER_VERSION),
        ("assembly.json", lambda v: v["inputs"].update(shape="x"), OTHER_VERSION),
        ("assembly.json", lambda v: v["inputs"].update(shape=[-1]), OTHER_VERSION),
        ("assembly.json", lambda v: v["inputs"].update(new=1), OTHER_VERSION),
        ("assembly.json", lambda v: v["inputs"].update(shape=[10**12]), "fit into memory"),
    ],
)
def test_values_of_another_version_are_refused_by_name(points, finished, file, change, words):
    values = read_json(finished.path / file)
    change(values)
    write_json(finished.path / file, values)
    with pytest.raises(MtlkitError, match=words) as caught:
        evaluate(finished.path, catalog=points.catalog())
    assert file in str(caught.value) or words != OTHER_VERSION


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("components"),
        lambda v: v.update(components=[{"a": 1}]),
        lambda v: v.update(components={"a": {"version": "1"}}),
        lambda v: v.update(versions={}),
        lambda v: v.update(ranks=None),
    ],
)
def test_a_provenance_of_another_version_is_not_resumed(stopped, resumed, change):
    values = read_json(stopped.provenance)
    change(values)
    write_json(stopped.provenance, values)
    with pytest.raises(RunError, match=rf"provenance.json: {OTHER_VERSION}"):
        resumed()


def test_a_checkpoint_without_logs_is_not_resumed(stopped, resumed):
    state = max(stopped.checkpoints.iterdir()) / "state.json"
    values = read_json(state)
    write_json(state, {**values, "progress": []})
    with pytest.raises(RunError, match=OTHER_VERSION):
        resumed()
