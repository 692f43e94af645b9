"""A run in use gives the templates of its own evaluation, whatever the batch, and knows itself."""

import hashlib
import shutil

import pytest
import torch
from mtlkit_face.identification.template import template
from mtlkit_face.inference import embed_files, find_images, open_model

from mtlkit.data import Loading
from mtlkit.plugins import DataError, RunError
from mtlkit.routers import BranchSelection
from mtlkit.runs import load_trained


@pytest.mark.parametrize("name", ["s", "m", "p"])
def test_templates_are_those_of_the_runs_own_evaluation(models, runs, people, name):
    trained = load_trained(runs[name], Loading(workers=1))
    said = trained.predict(trained.data.test)
    expected = template(said.outputs["identity"], said.branches.get("identity"))
    files = [people / file for file in trained.data.test.ids]
    found = embed_files(models[name], files)
    assert found.unreadable == ()
    assert torch.allclose(found.templates, expected, atol=1e-6)
    assert models[name].size == expected.shape[1]


def test_the_score_of_a_pose_directed_network_is_equation_12(models):
    model = models["p"]
    images = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        said = model.embedder.network(images)
    y, branches = said.outputs["identity"], said.branches["identity"]
    h = torch.cosine_similarity
    score = h(y[0], y[1], dim=0) / 2
    for i in range(3):
        for j in range(3):
            both = branches.probability[0, i] * branches.probability[1, j]
            score += both * h(branches.logits[0, i], branches.logits[1, j], dim=0) / 2
    found = model.embed(images)
    assert float(found[0] @ found[1]) == pytest.approx(float(score), abs=1e-6)


def test_batches_change_nothing(models):
    images = torch.randint(0, 256, (300, 1, 32, 32), dtype=torch.uint8)
    whole = models["p"].embed(images)
    parts = torch.cat([models["p"].embed(part) for part in images.split(7)])
    assert torch.allclose(whole, parts, atol=1e-5)
    assert models["p"].embed(images[:0]).shape == (0, models["p"].size)


def test_the_fingerprint_is_that_of_weights_and_of_the_way_of_routing(models, runs, tmp_path):
    found = {name: model.fingerprint for name, model in models.items()}
    assert len(set(found.values())) == 3
    shutil.copytree(runs["p"], tmp_path / "elsewhere")
    assert open_model(tmp_path / "elsewhere").fingerprint == found["p"]
    assert open_model(runs["p"], routing=BranchSelection.EXPECTED).fingerprint == found["p"]
    best = open_model(runs["p"], routing=BranchSelection.BEST)
    assert best.fingerprint != found["p"]
    assert not best.default_routing
    weights = hashlib.sha256((runs["p"] / "model.safetensors").read_bytes()).hexdigest()
    assert models["p"].weights == weights


def test_images_of_another_shape_are_refused(models):
    with pytest.raises(DataError) as caught:
        models["m"].embed(torch.zeros(2, 3, 32, 32))
    assert str(caught.value) == ("images: got the shape (2, 3, 32, 32), expected (N, 1, 32, 32)")


def test_what_cannot_be_used_says_why(runs, tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        open_model(tmp_path)
    with pytest.raises(DataError, match="has no classes; the run's tasks with classes are"):
        open_model(runs["m"], task="age")
    with pytest.raises(DataError, match="'identity' has no branches to route; leave out --routing"):
        open_model(runs["m"], routing=BranchSelection.BEST)
    with pytest.raises(DataError) as caught:
        open_model(runs["p"], routing=BranchSelection.LABEL)
    assert str(caught.value) == (
        f"{runs['p']}: its branches are routed by the label of 'pose', which new images "
        "do not have; use --routing expected (eq. 12) or best"
    )


def test_another_task_may_tell_people_apart(runs):
    assert open_model(runs["p"], task="pose").size == 3


def test_folders_are_searched_and_what_is_no_image_is_set_aside(people, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "notes.txt").write_text("no image")
    source = people / "p0/0_0_neutral.png"
    shutil.copy(source, tmp_path / "deep/B.PNG")
    shutil.copy(source, tmp_path / "a")  # named outright, it needs no suffix
    found = find_images([tmp_path, tmp_path / "a", tmp_path / "deep/B.PNG"])
    assert found.files == (tmp_path / "deep/B.PNG", tmp_path / "a")
    assert set(found.other) == {tmp_path / "notes.txt", tmp_path / "a"}
    with pytest.raises(DataError, match="no such file or folder"):
        find_images([tmp_path / "nobody.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image found; expected files such as"):
        find_images([tmp_path / "empty"])


def test_unreadable_files_are_told_with_their_reasons_in_order(models, people, tmp_path):
    (tmp_path / "junk.png").write_bytes(b"junk")
    (tmp_path / "nothing.png").touch()
    good = people / "p0/0_0_neutral.png"
    done = []
    found = embed_files(
        models["m"],
        [tmp_path / "junk.png", good, tmp_path / "nothing.png"],
        lambda *told: done.append(told),
    )
    assert found.files == (good,)
    assert found.templates.shape == (1, models["m"].size)
    assert dict(found.unreadable) == {
        tmp_path / "junk.png": "is not an image of a supported format",
        tmp_path / "nothing.png": "is empty (0 bytes)",
    }
    assert done == [(3, 3)]
