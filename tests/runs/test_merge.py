"""Merged runs: their weights, their metrics, and what is refused."""

import shutil

import attrs
import pytest
import torch
from safetensors.torch import load_file

from mtlkit.atomic_files import TEMPORARY
from mtlkit.backbones import MLP, CasiaNet
from mtlkit.cli import main
from mtlkit.errors import RunError
from mtlkit.plugins.catalog import load_catalog
from mtlkit.recipe import WarmStart
from mtlkit.routers import MMoE
from mtlkit.runs.evaluate import evaluate
from mtlkit.runs.fit import fit, resume
from mtlkit.runs.merge import merge_runs
from mtlkit.runs.storage.folder import read_json
from mtlkit.testing.small_data import add_small_data, small_model, small_recipe
from mtlkit.weightings import Equal

PAIRS = (("kind", "rare"), ("side", "size"))


@pytest.fixture(scope="module")
def catalog():
    return add_small_data(load_catalog("none"))


def part(tasks, **changes):
    recipe = small_recipe()
    return attrs.evolve(
        recipe, tasks={name: recipe.tasks[name] for name in tasks}, weighting=Equal(), **changes
    )


def trained(folder, catalog, **changes):
    runs = []
    for tasks in PAIRS:
        runs.append(folder / "-".join(tasks))
        fit(part(tasks, **changes), runs[-1], catalog=catalog, quiet=True, report=False)
    return runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory, catalog):
    return trained(tmp_path_factory.mktemp("runs"), catalog)


def weights(run):
    return load_file(run / "model.safetensors")


def test_shared_weights_are_averaged_and_heads_are_kept(runs, catalog, tmp_path):
    merged = merge_runs(runs, tmp_path / "merged", catalog=catalog)
    first, second, result = weights(runs[0]), weights(runs[1]), weights(merged.path)
    assert set(result) == set(first) | set(second)
    for name, value in result.items():
        if name.startswith("router."):
            torch.testing.assert_close(value, (first[name] + second[name]) / 2)
        else:
            assert torch.equal(value, first.get(name, second.get(name)))


def test_task_arithmetic_starts_at_the_drawn_weights(runs, catalog, tmp_path):
    merged = merge_runs(runs, tmp_path / "merged", scale=0.3, catalog=catalog)
    start = small_model(part(PAIRS[0]))[0].state_dict()
    first, second, result = weights(runs[0]), weights(runs[1]), weights(merged.path)
    for name in (name for name in result if name.startswith("router.")):
        learned = first[name] + second[name] - 2 * start[name]
        torch.testing.assert_close(result[name], start[name] + 0.3 * learned)
    facts = read_json(merged.path / "provenance.json")["merged"]
    assert facts == {"runs": list(map(str, runs)), "scale": 0.3, "base": None}


def test_half_of_two_task_vectors_is_the_average_from_any_start(runs, catalog, tmp_path):
    fit(small_recipe(), tmp_path / "start", catalog=catalog, quiet=True, report=False)
    options = {"scale": 0.5, "base": tmp_path / "start"}
    added = merge_runs(runs, tmp_path / "added", catalog=catalog, **options)
    average = merge_runs(runs, tmp_path / "average", catalog=catalog)
    for name, value in weights(added.path).items():
        torch.testing.assert_close(value, weights(average.path)[name])


def test_one_run_merges_to_itself_and_evaluates_again(runs, catalog, tmp_path):
    merged = merge_runs(runs[:1], tmp_path / "merged", catalog=catalog)
    alone = evaluate(runs[0], catalog=catalog).metrics
    assert merged.metrics == alone
    assert evaluate(merged.path, catalog=catalog).metrics == alone
    assert merged.report.is_file()


def test_a_merged_run_is_not_trained_by_resume(runs, catalog, tmp_path):
    merged = merge_runs(runs, tmp_path / "merged", catalog=catalog)
    before = weights(merged.path)
    metrics = merged.metrics
    (merged.path / "evaluation.json").unlink()
    with pytest.raises(RunError, match="merged: is a merge of other runs, expected a run that was"):
        resume(merged.path, catalog=catalog, quiet=True)
    assert evaluate(merged.path, catalog=catalog).metrics == metrics
    assert all(torch.equal(value, before[name]) for name, value in weights(merged.path).items())


def test_batch_norm_gets_the_statistics_of_the_merged_weights(catalog, tmp_path):
    runs = trained(tmp_path, catalog, backbone=CasiaNet(width=0.1))
    merged = merge_runs(runs, tmp_path / "merged", catalog=catalog)
    name = next(name for name in weights(merged.path) if name.endswith("running_mean"))
    mean = (weights(runs[0])[name] + weights(runs[1])[name]) / 2
    model, data = small_model(part([*PAIRS[0], *PAIRS[1]], backbone=CasiaNet(width=0.1)))
    model.load_state_dict(weights(merged.path))
    model.train()
    norm = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    seen = []
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].mean((0, 2, 3))))
    for index in torch.arange(len(data.train)).split(16):
        model.features(data.train.inputs[index])
    torch.testing.assert_close(weights(merged.path)[name], torch.stack(seen).mean(0))
    assert not torch.allclose(weights(merged.path)[name], mean)


def test_runs_that_do_not_fit_together_are_refused(runs, catalog, tmp_path):
    def refused(text, others, **options):
        with pytest.raises(RunError, match=text):
            merge_runs(others, tmp_path / "merged", catalog=catalog, **options)
        assert not (tmp_path / "merged").exists()

    def run(name, **changes):
        fit(part(PAIRS[1], **changes), tmp_path / name, catalog=catalog, quiet=True, report=False)
        return [runs[0], tmp_path / name]

    refused("got the task 'kind' of an earlier run", [runs[0], runs[0]])
    refused("got another backbone than", run("wide", backbone=MLP(hidden=(9,))))
    refused("got another router than", run("mixed", router=MMoE()))
    refused("got the router MMoE, expected shared", [tmp_path / "mixed"])
    refused("did not begin with the same drawn weights", run("seed", seed=1), scale=0.3)
    warm = run("warm", warm_start=WarmStart(run=runs[0], parts=("backbone",)))
    refused("give the run that all began with as `base`", warm, scale=0.3)
    refused("scale: got nan, expected a finite number", runs, scale=float("nan"))
    refused("the merged weights are not finite; use a smaller scale", runs, scale=1e300)
    refused("has no tensor router.backbone", runs, scale=0.3, base=tmp_path / "wide")


def test_a_run_whose_recipe_was_edited_is_refused(runs, catalog, tmp_path):
    edited = shutil.copytree(runs[1], tmp_path / "edited")
    recipe = edited / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("seed: 0", "seed: 1"))
    with pytest.raises(RunError, match="was edited or damaged"):
        merge_runs([edited], tmp_path / "merged", scale=0.3, catalog=catalog)


@pytest.mark.parametrize("at", ["merge.evaluate_trained", "evaluate.write_report"])
def test_a_merge_that_is_stopped_leaves_no_part_and_can_be_repeated(
    at, runs, catalog, tmp_path, monkeypatch
):
    def stop(*_, **__):
        raise KeyboardInterrupt

    out = tmp_path / "merged"
    with monkeypatch.context() as patched:
        patched.setattr(f"mtlkit.runs.{at}", stop)
        with pytest.raises(KeyboardInterrupt):
            merge_runs(runs, out, catalog=catalog)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]
    killed = tmp_path / f"{TEMPORARY}merged"
    killed.mkdir()
    (killed / "recipe.yaml").write_text("tasks: {")
    merged = merge_runs(runs, out, catalog=catalog)
    assert "<title>merged" in merged.report.read_text()
    assert not killed.exists()


def test_the_command_prints_the_metrics(runs, tmp_path, capsys, monkeypatch, catalog):
    monkeypatch.setattr("mtlkit.cli.Session.catalog", lambda self: catalog)
    for options, code in ((["--base", str(runs[0])], 2), (["--scale", "0.4"], 0)):
        with pytest.raises(SystemExit) as ended:
            main(["merge", *map(str, runs), "--out", str(tmp_path / "merged"), *options])
        assert ended.value.code == code
    printed = capsys.readouterr()
    assert "give --scale, too" in printed.err
    assert "test/side/accuracy" in printed.out
