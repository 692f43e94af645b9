"""Every weighting on labels of pixels, of vectors and of several binary labels."""

import attrs
import pytest
import torch
import torch.nn.functional as F

from mtlkit import Reduction, evaluate, fit, load_model, resume
from mtlkit.training.checkpoint import tensors_of

UPDATES = 3


def recipe_of(points, scheme, lazy=False, **train):
    return attrs.evolve(
        points.DENSE,
        data=points.Elements(lazy=lazy),
        weighting=scheme,
        train=attrs.evolve(points.DENSE.train, **train),
    )


def trained(points, recipe):
    made = points.updater(recipe)
    for step in range(UPDATES):
        made.update(step)
    return made


def test_micro_batches_of_labels_on_access_give_the_update_of_the_whole_batch(points, scheme):
    whole = trained(points, recipe_of(points, scheme, batch=18))
    parts = trained(points, recipe_of(points, scheme, lazy=True, batch=18, accumulate=3))
    torch.testing.assert_close(tensors_of(parts.inner), tensors_of(whole.inner))
    for one, other in zip(whole.meter.read(), parts.meter.read(), strict=True):
        assert other == pytest.approx(one, rel=1e-3, abs=1e-5)
    assert all(value.isfinite().all() for value in tensors_of(whole.inner).values())


@pytest.mark.parametrize("reduction", list(Reduction))
def test_the_mean_is_over_the_elements_or_the_samples_of_the_update(points, reduction):
    recipe = points.DENSE
    tasks = {name: attrs.evolve(task, reduction=reduction) for name, task in recipe.tasks.items()}
    made = points.updater(attrs.evolve(recipe, tasks=tasks))
    model, context = made.inner.model, made.context
    targets = {task: rows[:16] for task, rows in context.targets["train"].items()}
    inputs = context.data.train.inputs[:16]
    losses = model.losses(inputs, targets, model.counts(targets)).mean
    logits, labels = model(inputs).outputs["rare"], targets["rare"]
    each = F.cross_entropy(logits, labels, ignore_index=-1, reduction="none")
    present = labels >= 0
    if reduction is Reduction.ELEMENTS:
        expected = each[present].mean()
    else:
        rows = [loss[mask].mean() for loss, mask in zip(each, present, strict=True) if mask.any()]
        expected = torch.stack(rows).mean()
    assert losses[list(tasks).index("rare")].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_run_trains_resumes_and_is_evaluated_again(points, tmp_path):
    recipe = recipe_of(points, points.DENSE.weighting, lazy=True, checkpoint_every=2, epochs=1)
    catalog = points.catalog()
    run = fit(recipe, tmp_path / "run", catalog=catalog, quiet=True)
    before = run.metrics
    for name in ("rare/mean-iou", "age/mae", "side/auroc", "place/rmse", "rare/labels"):
        assert f"validation/{name}" in before, sorted(before)
    model = load_model(run.path, catalog).network
    data = recipe.data.load(None)
    assert model.assembly.targets == {k: c.target for k, c in data.train.columns.items()}
    assert resume(run.path, catalog=catalog, quiet=True).metrics == before
    assert evaluate(run.path, catalog=catalog).metrics == before
    assert "percent of the pixels" in (run.path / "evaluation.json").read_text()
