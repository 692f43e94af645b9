"""`mtlkit face protocol`: evaluation of a run from the command line, and in a recipe."""

import hashlib
import json
import re
from pathlib import Path

import attrs
import pyarrow.parquet as pq
import pytest
import torch
from mtlkit_face.data.progress_bar import ProgressLines
from mtlkit_face.data.rendered import Rendered
from mtlkit_face.protocols.pairs.lfw import LFW
from mtlkit_face.protocols.pairs.verification_bin import VerificationBin

from mtlkit import Recipe, Role, Task, Train, fit, load_catalog
from mtlkit.backbones import MLP
from mtlkit.cli import main
from mtlkit.evaluators import Evaluator
from mtlkit.plugins import RecipeError
from mtlkit.recipe_io import parse_recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory, built):
    """A run of a small network, evaluated on a `.bin` set at its end."""
    folder = tmp_path_factory.mktemp("run") / "small"
    data = Rendered(subjects=3, test_subjects=2, images_per_subject=6, size=32, sessions=1,
                    lights_per_geometry=2)  # fmt: skip
    recipe = Recipe(
        data=data,
        backbone=MLP(hidden=(8,)),
        tasks={"identity": Task(role=Role.MAIN, target="subject"), "pose": Task(target="yaw")},
        train=Train(epochs=1, batch=8, threads=1, device="cpu"),
        evaluators=(VerificationBin(file=built / "pairs.bin", fold_count=2),),
    )
    fit(recipe, folder)
    return folder


@pytest.fixture
def protocol(capsys):
    """Calls ``mtlkit face protocol``, and returns the exit code and the output."""

    def call(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as caught:
            main(["face", "protocol", *map(str, arguments)])
        output = capsys.readouterr()
        return caught.value.code, output.out + " ".join(output.err.split())

    return call


def commands(built):
    return {
        "lfw": ("lfw", "--images", built / "lfw", "--fold-count", 2, "--fold-pairs", 2),
        "cfp": ("cfp", "--images", built / "cfp", "--fold-count", 2, "--fold-pairs", 2),
        "ijb-a": ("ijb-a", "--images", built / "ijb-a/aligned", "--protocol", built / "ijb-a",
                  "--splits", 2, "--rank", 1),
        "bin": ("bin", "--file", built / "pairs.bin", "--fold-count", 2),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["lfw", "cfp", "ijb-a", "bin"])
def test_a_command_writes_result_evaluation_and_report(protocol, run, built, tmp_path, name):
    out = tmp_path / "out"
    code, output = protocol(*commands(built)[name], "--run", run, "--out", out, "--device", "cpu")
    assert code == 0, output
    assert sorted(path.name for path in out.iterdir()) == [
        "evaluation.json", "report.html", "result.json",
    ]  # fmt: skip
    results = json.loads((out / "result.json").read_text())["results"]
    weights = hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()
    assembly = json.loads((run / "assembly.json").read_text())
    for result in results:
        assert result["weights"] == weights
        preprocessing = result["preprocessing"]
        assert all(
            preprocessing[key] == assembly["inputs"][key] for key in ("shape", "mean", "std")
        )
    facts = json.loads((out / "evaluation.json").read_text())["facts"]
    assert facts["weights, SHA-256"] == weights
    assert weights in (out / "report.html").read_text()
    assert f"weights {weights} (SHA-256); {facts['preprocessing']}" in output
    assert all(result["n_genuine"] and result["n_impostor"] for result in results)
    assert "<svg" in (out / "report.html").read_text()
    assert str(built) not in (out / "report.html").read_text().split("evaluators:")[0]
    value = next(iter(results[0]["measures"].values()))["value"]
    assert f"{value:.4f}" in output


def test_scores_threads_and_folds_on_request(protocol, run, built, tmp_path):
    out = tmp_path / "out"
    options = ("--scores", "--threads", 1, "--folds", "2,1", "--device", "cpu")
    before = torch.get_num_threads()
    try:
        code, output = protocol(*commands(built)["lfw"], "--run", run, "--out", out, *options)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert code == 0, output
    assert "of which the folds 2, 1" in output
    scores = pq.read_table(out / "scores.parquet")
    assert scores.num_rows == 8
    for folds, message in (("1", "expected two different folds"), ("a,b", "such as 9,10")):
        arguments = (*commands(built)["lfw"], "--run", run, "--folds", folds)
        code, output = protocol(*arguments, "--out", tmp_path / "not")
        assert code == 2
        assert message in output


def test_redirected_progress_is_lines(capsys):
    now = [0.0]
    lines = ProgressLines("embedding pictures", lambda: now[0])
    for second, done in ((4, 100), (12, 500), (15, 600), (40, 2000)):
        now[0] = float(second)
        lines(done, 2000)
    assert capsys.readouterr().err.splitlines() == [
        "embedding pictures: 500 of 2,000 (25%), 12 s, 36 s left",
        "embedding pictures: 2,000 of 2,000 (100%), 40 s, 0 s left",
    ]


def test_the_evaluator_of_a_recipe_and_the_command_agree(protocol, run, built, tmp_path):
    trained = json.loads((run / "evaluation.json").read_text())["metrics"]
    out = tmp_path / "out"
    assert protocol(*commands(built)["bin"], "--run", run, "--out", out, "--device", "cpu")[0] == 0
    metrics = json.loads((out / "evaluation.json").read_text())["metrics"]
    assert metrics
    assert {name: trained[name] for name in metrics} == pytest.approx(metrics, nan_ok=True)


def test_by_default_results_go_into_the_run_once(protocol, run, built):
    call = (*commands(built)["lfw"], "--run", run, "--device", "cpu", "--mode", "compatible")
    assert protocol(*call)[0] == 0
    folder = run / "protocols/lfw/compatible"
    assert (folder / "result.json").is_file()
    code, output = protocol(*call)
    assert code == 2
    assert output == (f"mtlkit: error: {folder} exists; choose a new or empty folder with --out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--far", "0"), "far: expected a number above 0, got 0.0"),
        (("--task", "who"), "no task named 'who'; the tasks are identity, pose"),
        (("--device", "abacus"), "--device abacus: cannot be used"),
        (("--fold-pairs", "3"), "expected 2 folds of 3 + 3 pairs"),
    ],
)
def test_a_mistake_is_an_error_before_anything_is_written(
    protocol, run, built, tmp_path, arguments, message
):
    out = tmp_path / "out"
    code, output = protocol(*commands(built)["lfw"], "--run", run, "--out", out, *arguments)
    assert code == 2
    assert message in output
    assert not out.exists()


def test_a_folder_without_a_run_is_named(protocol, built, tmp_path):
    code, output = protocol(*commands(built)["lfw"], "--run", tmp_path)
    assert code == 2
    assert "holds no run" in output


def test_rendered_sets_are_written_into_an_empty_folder(protocol, tmp_path):
    small = ("--subjects", 6, "--fold-count", 2, "--fold-pairs", 1, "--splits", 1, "--size", 32)
    code, output = protocol("render", "--out", tmp_path / "sets", *small)
    assert code == 0, output
    assert sorted(path.name for path in (tmp_path / "sets").iterdir()) == [
        "cfp", "ijb-a", "lfw", "pairs.bin",
    ]  # fmt: skip
    code, output = protocol("render", "--out", tmp_path / "sets", *small)
    assert (code, "exists; choose" in output) == (2, True)
    code, output = protocol("render", "--out", tmp_path / "few", "--subjects", 6, "--fold-count", 4)
    assert [path.name for path in tmp_path.iterdir()] == ["sets"]
    assert code == 2
    assert "expected two subjects or more for each of 4 folds, got 6" in output


@pytest.mark.parametrize("command", ["", "lfw", "cfp", "ijb-a", "bin", "render"])
def test_commands_explain_themselves(protocol, command):
    code, output = protocol(*([command] if command else []), "--help")
    assert code == 0
    assert "Usage" in output


def test_every_option_of_an_evaluator_is_one_of_its_command(protocol):
    kinds = load_catalog("face").evaluators
    for name in ("lfw", "cfp", "ijb-a", "verification-bin"):
        _, shown = protocol("bin" if name == "verification-bin" else name, "--help")
        fields = [field.name for field in attrs.fields(kinds.get(f"face/{name}"))]
        missing = [f for f in fields if "--" + f.replace("_", "-") not in shown]
        assert missing == [], name
        assert issubclass(kinds.get(f"face/{name}"), Evaluator)


TEXT = (
    "data: {type: images, folder: f, pattern: '{subject}_{pose}.png', size: 32}\n"
    "backbone: casia-net\n"
    "tasks: {identity: {target: subject}}\n"
    "evaluators:\n"
    "  - {type: face/lfw, images: lfw, OPTION}\n"
)


@pytest.mark.parametrize(
    ("option", "line"),
    [
        (
            "task: who",
            "r.yaml:5:41: evaluators.0.task: no task named 'who'; the tasks are identity",
        ),
        (
            "mode: strickt",
            "r.yaml:5:41: evaluators.0.mode: expected one of strict, compatible, got the text "
            "'strickt'; did you mean 'strict'?",
        ),
        (
            "far: [0]",
            "r.yaml:5:40: evaluators.0.far: expected a number above 0, got 0.0",
        ),
    ],
)
def test_a_mistake_in_a_recipe_has_its_line(option, line):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(TEXT.replace("OPTION", option), "r.yaml", load_catalog("face"))
    assert caught.value.lines == (line,)


def test_a_set_may_be_evaluated_twice_by_different_rules(built):
    text = TEXT.replace("OPTION", "fold_count: 2")
    second = "  - {type: face/lfw, images: lfw, mode: MODE}\n"
    parse_recipe(text + second.replace("MODE", "compatible"), "r.yaml", load_catalog("face"))
    with pytest.raises(RecipeError, match="returns metrics of the same names"):
        parse_recipe(text + second.replace("MODE", "strict"), "r.yaml", load_catalog("face"))
    assert LFW(images=built).prefix == "face/lfw"


def test_the_recipe_and_commands_of_the_page_exist(protocol):
    page = Path(__file__).parents[4] / "docs/how-to/face-protocols.md"
    text = page.read_text(encoding="utf-8")
    shown = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1]
    recipe = TEXT.partition("evaluators:")[0] + shown
    parsed = parse_recipe(recipe, "r.yaml", load_catalog("face"))
    assert len({evaluator.prefix for evaluator in parsed.evaluators}) == 5
    called = re.findall(r"^mtlkit face protocol ([\w-]+) (.*?)(?: +#.*)?$", text, re.MULTILINE)
    assert [name for name, _ in called] == ["lfw", "cfp", "ijb-a", "bin", "render"]
    for name, options in called:
        _, help_text = protocol(name, "--help")
        assert all(option in help_text for option in re.findall(r"--[\w-]+", options))
