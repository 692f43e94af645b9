"""`mtlkit evaluate`, `mtlkit report` and `load_model` on a tiny run that was really trained."""

import fcntl
import json
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import attrs
import numpy as np
import pytest
import torch
from PIL import Image

import mtlkit
import mtlkit.plugins.catalog
from mtlkit.checksums import checksum
from mtlkit.cli import main
from mtlkit.data import RandomSplit
from mtlkit.errors import RunError
from mtlkit.plugins.command_options import RUN_FILES
from mtlkit.runs.evaluate import described
from mtlkit.runs.storage.folder import RunFolder, State, read_json, write_json


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two trained runs, `one` and `two`, and the pictures they were trained on."""
    home = tmp_path_factory.mktemp("home")
    pictures = home / "pictures"
    pictures.mkdir()
    random = np.random.default_rng(0)
    for who in ("ann", "bob"):
        for number in range(12):
            level = {"ann": 60, "bob": 160}[who] + 20 * (number % 2)
            pixels = random.integers(level, level + 40, (8, 8), dtype=np.uint8)
            side = "left" if number % 2 else "right"
            Image.fromarray(pixels).save(pictures / f"{who}_{side}_{number}.png")
    recipe = mtlkit.Recipe(
        data=mtlkit.data.Images(
            folder=pictures,
            size=8,
            channels=1,
            pattern="{who}_{side}_*.png",
            split=RandomSplit(validation=0.25, test=0.25),
        ),
        backbone=mtlkit.backbones.MLP(hidden=(8,)),
        tasks={"who": mtlkit.Task(role=mtlkit.Role.MAIN), "side": mtlkit.Task()},
        train=mtlkit.Train(epochs=2, batch=6, log_every=1, device="cpu", threads=1),
    )
    catalog = mtlkit.load_catalog("none")
    mtlkit.fit(recipe, home / "one", catalog=catalog, quiet=True)
    grouped = mtlkit.routers.Grouped(
        task="who", by="side", groups={"l": ("left",), "r": ("right",)}
    )
    routed = attrs.evolve(recipe, router=grouped)
    mtlkit.fit(routed, home / "two", catalog=catalog, quiet=True, beside=[home / "one"])
    return home


@pytest.fixture
def home(folders, tmp_path, monkeypatch):
    """A copy that a test may damage."""
    monkeypatch.setenv("MTLKIT_PLUGINS", "none")
    shutil.copytree(folders, tmp_path / "home")
    return tmp_path / "home"


def called(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    shown = capsys.readouterr()
    return caught.value.code, shown.out, shown.err


@pytest.mark.parametrize("command", ["evaluate", "resume"])
def test_the_catalog_is_loaded_once(home, capsys, monkeypatch, command):
    loads = []
    plain = mtlkit.plugins.catalog.load_catalog
    monkeypatch.setattr(mtlkit.plugins.catalog, "load_catalog", lambda: loads.append(1) or plain())
    assert called(capsys, command, home / "one")[0] == 0
    assert loads == [1]


def test_evaluating_again_gives_the_same_files_and_prints_the_metrics(home, capsys):
    run = RunFolder(home / "one")
    kept = run.evaluation.read_bytes(), run.report.read_bytes()
    run.evaluation.unlink()
    run.report.unlink()
    code, out, err = called(capsys, "evaluate", run.path)
    assert (code, err) == (0, "")
    assert (run.evaluation.read_bytes(), run.report.read_bytes()) == kept
    metrics = json.loads(kept[0])["metrics"]
    lines = dict(line.rsplit(maxsplit=1) for line in out.splitlines() if "/" in line)
    assert set(metrics) <= set(lines)
    assert float(lines["test/who/accuracy"]) == pytest.approx(
        metrics["test/who/accuracy"], abs=1e-4
    )
    assert out.endswith(f"report: {run.report}\n")


def test_the_report_of_a_real_run_says_what_it_must(home):
    page = RunFolder(home / "two").report.read_text()
    text = _Text(page).text
    for wanted in (
        "MLP with 2 tasks (who, side)", "who (main, 2 classes)", "Training loss", "who.branches",
        "Weights of the losses", "Validation accuracy", "Learning rate",
        "Compared with other runs", "one", "training time", "type: grouped", "Versions", "torch",
        "Time and memory", "parameters",
    ):  # fmt: skip
        assert wanted in text
    assert str(home) not in text.replace(str(home / "pictures"), "")


class _Text(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(page)

    def handle_data(self, found):
        self.text += found


def test_a_report_is_drawn_without_torch_data_or_model(home):
    run = RunFolder(home / "two")
    before = run.report.read_bytes()
    shutil.rmtree(home / "pictures")
    run.model.unlink()
    code = (
        "import sys; from mtlkit.cli import main\n"
        f"try: main(['report', {str(run.path)!r}, '--beside', {str(home / 'one')!r}])\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert run.report.read_bytes() == before


def test_a_report_goes_where_it_is_wanted(home, capsys):
    target = home / "page.html"
    code, out, _ = called(capsys, "report", home / "one", "--out", target)
    assert (code, out) == (0, f"report: {target}\n")
    assert target.read_text().startswith("<!DOCTYPE html>")


def test_no_output_is_written_over_a_file_that_a_run_needs(home, capsys):
    run = RunFolder(home / "one")
    others = {run.tensorboard, run.checkpoints, run.report}
    properties = [name for name, of in vars(RunFolder).items() if isinstance(of, property)]
    assert set(RUN_FILES) == {p.name for p in {getattr(run, n) for n in properties} - others}
    for name in RUN_FILES:
        before = (run.path / name).read_bytes()
        for arguments in (
            ("report", run.path),
            ("predict", run.path, home / "pictures"),
            ("export", run.path),
            ("schema",),
        ):
            code, _, err = called(capsys, *arguments, "--out", run.path / name)
            assert code == 2
            assert f"{name}: belongs to the run in its folder; choose another name" in err
        assert (run.path / name).read_bytes() == before


def test_runs_of_one_name_are_told_apart_by_their_folders(home, capsys):
    shutil.copytree(home / "one", home / "other" / "one")
    code, _, _ = called(capsys, "report", home / "one", "--beside", home / "other" / "one")
    assert code == 0
    text = _Text(RunFolder(home / "one").report.read_text()).text
    assert "home/one" in text
    assert "other/one" in text


def test_a_saved_model_predicts_without_its_data(home):
    shutil.rmtree(home / "pictures")
    model = mtlkit.load_model(home / "two").network
    assert not model.training
    with torch.no_grad():
        said = model(torch.zeros(3, 1, 8, 8, dtype=torch.uint8))
    assert said.outputs["who"].shape == (3, 2)
    assert said.branches["who"].posterior.sum(dim=1).tolist() == pytest.approx([1.0] * 3)
    assert model.assembly.classes["who"] == ("ann", "bob")


def no_run(home):
    return home, f"{home}: holds no run: there is no recipe.yaml in it"


def unfinished(home):
    run = RunFolder(home / "one")
    run.model.unlink()
    return run.path, f"`mtlkit resume {run.path}`"


def corrupted(home):
    run = RunFolder(home / "one")
    run.model.write_bytes(run.model.read_bytes()[:-100])
    return run.path, f"{run.model}: "


def strange_weights(home):
    run, other = RunFolder(home / "one"), RunFolder(home / "two")
    run.model.write_bytes(other.model.read_bytes())
    return run.path, f"{run.model}: got other weights than the run recorded"


def other_data(home):
    for picture in (home / "pictures").glob("bob_*.png"):
        picture.rename(picture.with_name(picture.name.replace("bob", "cid")))
    recipe = RunFolder(home / "one").recipe
    recipe.write_text(recipe.read_text().replace(str(_original(recipe)), str(home / "pictures")))
    provenance = read_json(RunFolder(home / "one").provenance)
    provenance["recipe"] = checksum([recipe.read_bytes()])
    write_json(RunFolder(home / "one").provenance, provenance)
    return home / "one", (
        "the data is not what the model was trained on: it had 2 classes of 'who', now 2, "
        "without 'bob', with 'cid'. Bring the old data back, or train anew"
    )


def _original(recipe):
    return mtlkit.load_recipe(recipe, mtlkit.load_catalog("none")).data.folder


@pytest.mark.parametrize("damage", [no_run, unfinished, corrupted, strange_weights, other_data])
def test_what_cannot_be_evaluated_is_told_and_nothing_is_lost(home, capsys, damage):
    run, message = damage(home)
    kept = {path: path.read_bytes() for path in run.glob("*.*") if path.is_file()}
    code, _, err = called(capsys, "evaluate", run)
    assert code == 2
    assert err.startswith("mtlkit: error: ")
    assert message in err
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_run_that_was_never_evaluated_has_no_report_and_stands_beside_none(home, capsys):
    run = RunFolder(home / "one")
    run.evaluation.unlink()
    told = f"has not been evaluated; run `mtlkit evaluate {run.path}`"
    for arguments in (("report", run.path), ("evaluate", home / "two", "--beside", run.path)):
        code, _, err = called(capsys, *arguments)
        assert code == 2
        assert told in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--beside", "one"), "is named twice; a run cannot stand beside itself"),
        (("--out", "nowhere/page.html"), "does not exist; create it"),
        (("--beside", "pictures"), "holds no run"),
    ],
)
def test_a_wrong_request_for_a_report_is_told(home, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(home)
    code, _, err = called(capsys, "report", "one", *arguments)
    assert code == 2
    assert message in err


def test_a_log_that_mtlkit_did_not_write_is_named_with_its_line(home, capsys):
    run = RunFolder(home / "one")
    lines = run.log.read_text().splitlines(keepends=True)
    run.log.write_text("".join([lines[0], '{"kind": "joke"}\n', *lines[1:]]))
    _forget_checksums(run)
    code, _, err = called(capsys, "report", run.path)
    assert code == 2
    assert f"{run.log}:2: expected an event of mtlkit" in err


def _forget_checksums(run):
    """Make the status that of a run in progress, which has no checksums of its logs yet."""
    run.write_status(attrs.evolve(run.status(), checksums={}))


def test_a_run_that_goes_on_may_have_an_unfinished_last_line(home, capsys):
    run = RunFolder(home / "one")
    run.log.write_text(run.log.read_text() + '{"kind": "st')
    _forget_checksums(run)
    assert called(capsys, "report", run.path)[0] == 0


def test_another_process_at_work_keeps_evaluation_out(home, capsys):
    run = RunFolder(home / "one")
    with (run.path / ".lock").open("a") as lock:
        # a lock that this process holds by another door is to it as another process's
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        code, _, err = called(capsys, "evaluate", run.path)
    assert code == 2
    assert "is working on this run" in err
    assert run.status().state is State.FINISHED


def test_loading_a_model_from_no_run_is_an_error(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        mtlkit.load_model(tmp_path)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (mtlkit.backbones.MLP(), "MLP"),
        (mtlkit.backbones.MLP(hidden=(3, 4)), "MLP, hidden 3 4"),
        (mtlkit.weightings.Fixed(weights={"a": 0.5}), "Fixed, weights a: 0.5"),
        (
            mtlkit.routers.Grouped(
                task="a", by="b", groups={"l": ("x",)}, branch=mtlkit.routers.BlockBranch(),
                test=mtlkit.routers.BranchSelection.BEST,
            ),
            "Grouped, task a, by b, groups l: x, branch BlockBranch, test best",
        ),
    ],
)  # fmt: skip
def test_a_component_is_described_by_what_is_not_left_at_its_default(value, words):
    assert described(value) == words
