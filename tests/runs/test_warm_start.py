"""A warm start takes what fits, reports the rest, and refuses what cannot be meant."""

import shutil

import attrs
import pytest
import torch
from safetensors.torch import load_file

from mtlkit.backbones import MLP
from mtlkit.data import ClassTarget
from mtlkit.data.source import Loading
from mtlkit.errors import AssemblyError, DataError, InterruptedRunError
from mtlkit.plugins.catalog import load_catalog
from mtlkit.recipe import WarmStart
from mtlkit.runs.fit import fit, resume
from mtlkit.runs.storage.folder import read_json
from mtlkit.runs.warm_start import warm_start
from mtlkit.testing.small_data import add_small_data, small_model, small_recipe


@pytest.fixture(scope="module")
def catalog():
    return add_small_data(load_catalog("none"))


@pytest.fixture(scope="module")
def first(tmp_path_factory, catalog):
    folder = tmp_path_factory.mktemp("runs") / "first"
    fit(small_recipe(), folder, catalog=catalog, quiet=True, report=False)
    return folder


def started(first, recipe=None, **options):
    model, _ = small_model(recipe or small_recipe(), seed=5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = warm_start(model, WarmStart(run=first, **options), first, load_catalog("none"))
    return before, model.state_dict(), report


def test_all_of_the_same_recipe_is_taken(first):
    _, after, report = started(first, parts=("backbone", "heads"))
    saved = load_file(first / "model.safetensors")
    assert all(torch.equal(after[name], value) for name, value in saved.items())
    number = len(saved)
    parts = "backbone, heads"
    assert report.line() == f"warm start from {first}: {number} of {number} tensors of {parts}"
    assert set(report.taken) == set(saved)


def test_a_part_leaves_the_rest_as_it_was(first):
    before, after, report = started(first, parts=("backbone",))
    saved = load_file(first / "model.safetensors")
    for name, value in after.items():
        assert torch.equal(value, saved[name] if name in report.taken else before[name])
    assert not any(name.startswith("heads.") for name in report.taken)
    assert report.line().startswith(f"warm start from {first}: 2 of 2 tensors of backbone")


def test_other_shapes_classes_and_tasks_are_reported_and_left(first):
    recipe = small_recipe()
    tasks = {**recipe.tasks, "more": attrs.evolve(recipe.tasks["side"], target="side")}
    recipe = attrs.evolve(recipe, tasks=tasks, backbone=MLP(hidden=(8, 4)))
    before, after, report = started(first, recipe)
    assert "heads.more_head." in "".join(report.missing)
    assert report.other_shape
    assert "; not in that run: " in report.line()
    assert "; of another shape: " in report.line()
    for name in (*report.missing, *report.other_shape):
        assert torch.equal(before[name], after[name])


def test_a_head_of_other_classes_keeps_its_start(first, catalog):
    model, _ = small_model(small_recipe(), seed=5)
    targets = {**model.assembly.targets, "kind": ClassTarget(names=("c", "b", "a"))}
    model.assembly = attrs.evolve(model.assembly, targets=targets)
    report = warm_start(model, WarmStart(run=first), first, catalog)
    assert report.other_classes
    assert all(name.startswith("heads.kind_head.") for name in report.other_classes)
    assert "; with other classes: heads.kind_head." in report.line()


def test_what_cannot_be_meant_is_refused(first, tmp_path, catalog):
    with pytest.raises(AssemblyError, match=r"warm_start.run: .*: holds no run"):
        warm_start(small_model(small_recipe())[0], WarmStart(run=tmp_path), tmp_path, catalog)
    with pytest.raises(AssemblyError, match=r"warm_start.parts: no parameter of .*'bakcbone'"):
        started(first, parts=("bakcbone",))
    other = attrs.evolve(small_recipe(), backbone=MLP(hidden=(5,)))
    with pytest.raises(AssemblyError, match=r"warm_start: nothing of .* fits; warm start from"):
        started(first, other, parts=("router.backbone.*weight",))


def test_a_wrong_path_leaves_no_folder_behind(tmp_path, catalog):
    recipe = attrs.evolve(small_recipe(), warm_start=WarmStart(run="gone"))
    loading = Loading(base=tmp_path)
    with pytest.raises(AssemblyError, match=r"warm_start.run: .*gone: holds no run"):
        fit(recipe, tmp_path / "run", catalog=catalog, loading=loading, quiet=True, report=False)
    assert not (tmp_path / "run").exists()


def test_a_run_starts_from_another_and_resumes_without_it(first, tmp_path, catalog, monkeypatch):
    train = attrs.evolve(small_recipe().train, epochs=1)
    recipe = attrs.evolve(small_recipe(), warm_start=WarmStart(run="first"), train=train)
    loading = Loading(base=first.parent)
    fit(recipe, tmp_path / "run", catalog=catalog, loading=loading, quiet=True, report=False)
    facts = read_json(tmp_path / "run" / "provenance.json")["warm_start"]
    assert facts["run"] == "first"
    assert facts["taken"]
    assert not facts["missing"]
    monkeypatch.setattr("mtlkit.runs.execution.warm_start", None)  # the checkpoint has the weights
    resume(tmp_path / "run", catalog=catalog, quiet=True, report=False)


def test_other_weights_of_the_first_run_are_refused(tmp_path, catalog, monkeypatch):
    """A run without a checkpoint begins anew, from a run that may have been trained anew."""
    quiet = {"catalog": catalog, "quiet": True, "report": False}
    recipe = attrs.evolve(small_recipe(), train=attrs.evolve(small_recipe().train, epochs=1))
    fit(recipe, tmp_path / "first", **quiet)
    warm = attrs.evolve(recipe, warm_start=WarmStart(run="first"))

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("mtlkit.runs.execution.Training", stop)
        with pytest.raises(InterruptedRunError):
            fit(warm, tmp_path / "run", loading=Loading(base=tmp_path), **quiet)
    shutil.rmtree(tmp_path / "first")
    fit(attrs.evolve(recipe, seed=7), tmp_path / "first", **quiet)
    with pytest.raises(DataError, match="data: got other weights, expected the weights of first"):
        resume(tmp_path / "run", **quiet)
    resume(tmp_path / "run", accept=("data",), **quiet)
    [accepted] = read_json(tmp_path / "run" / "provenance.json")["accepted"]
    assert accepted["now"] == "other weights"
