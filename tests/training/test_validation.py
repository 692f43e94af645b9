"""Validation while training: the numbers, and that it leaves no trace."""

import pytest
import torch

from mtlkit.training.validation import validation_metrics


def validate(made, batch):
    context = made.context
    return validation_metrics(
        made.inner.model, context.recipe.tasks, context.data.validation,
        context.targets["validation"],
        batch=batch, device=context.device, autocast=context.autocast(),
    )  # fmt: skip


def test_metrics_are_those_of_one_pass(points):
    made = points.updater(points.PLAIN)
    found = validate(made, batch=10)
    assert validate(made, batch=3) == pytest.approx(found, rel=1e-5)
    model, split = made.inner.model, made.context.data.validation
    targets = made.context.targets["validation"]
    with torch.no_grad():
        outputs = model(split.inputs).outputs
        losses = model.losses(split.inputs, targets, model.counts(targets)).mean
    right = (outputs["who"].argmax(dim=1) == targets["who"]).float().mean().item()
    assert found["who/accuracy"] == pytest.approx(right)
    for task, loss in zip(model.tasks, losses.tolist(), strict=True):
        assert found[f"{task}/loss"] == pytest.approx(loss, rel=1e-5)


def test_a_task_without_labels_has_no_metrics(points):
    made = points.updater(points.PLAIN)
    made.context.targets["validation"]["rare"].fill_(-1)
    assert not any(name.startswith("rare") for name in validate(made, batch=4))


def test_validating_changes_nothing(points):
    made = points.updater(points.LEARNED)
    before = {k: v.clone() for k, v in made.inner.state_dict().items()}
    state = torch.get_rng_state()
    validate(made, batch=4)
    assert all(v.equal(before[k]) for k, v in made.inner.state_dict().items())
    assert torch.get_rng_state().equal(state)
    assert made.inner.model.training
