"""Training in fp16: the loss scale, skipped updates, and an exact resume."""

import json

import attrs
import pytest
import torch

import mtlkit
from mtlkit.errors import InterruptedRunError, NotFiniteError
from mtlkit.training.checkpoint import newest_checkpoint, tensors_of
from mtlkit.training.update import Updater
from mtlkit.weightings import (
    MGDA,
    AutoLambda,
    Equal,
    GradientLocation,
    GradNorm,
    MoCo,
    MoDo,
    Uncertainty,
)

OF_EACH_KIND = {
    "losses": Equal(),
    "learned": Uncertainty(),
    "gramian": GradNorm(),
    "parameters": MGDA(at=GradientLocation.PARAMETERS),
    "jacobian": MoCo(),
    "draws": MoDo(),
    "lookahead": AutoLambda(),
}


def recipe_of(points, weighting=None, **train):
    return attrs.evolve(
        points.PLAIN,
        weighting=weighting or Equal(),
        train=attrs.evolve(points.PLAIN.train, **{"precision": "fp16", **train}),
    )


@pytest.fixture(params=OF_EACH_KIND.values(), ids=list(OF_EACH_KIND))
def weighting(request):
    return request.param


def with_scale(made, scale):
    made.scaling.restore(
        {"scaler": {**made.scaling.state()["scaler"], "scale": scale}, "skipped": 0}
    )
    return made


def run(made, updates):
    for step in range(updates):
        made.update(step)


def state(made):
    tensors = {**tensors_of(made.inner), **{f"o{n}": p for n, p in enumerate(_momenta(made))}}
    return {name: value.clone() for name, value in tensors.items()}


def _momenta(made):
    states = made.optimizer.state_dict()["state"].values()
    return [value for part in states for value in part.values() if isinstance(value, torch.Tensor)]


def test_small_gradients_survive_by_the_scale(points, weighting):
    """Gradients of 1e-8 are zero in float16; only a scale keeps the direction of the update."""

    def gradient(precision, scale=None):
        made = points.updater(recipe_of(points, weighting, precision=precision, batch=50))
        losses_at = made.inner.model.losses_at

        def small(*args):
            losses = losses_at(*args)
            return attrs.evolve(losses, per_sample=losses.per_sample * 1e-8)

        made.inner.model.losses_at = small
        if scale is not None:
            with_scale(made, scale)
        made.update(0)
        flat = torch.cat([p.grad.flatten() for p in made.inner.model.router.parameters()])
        return flat * 1e10  # above the epsilon of a cosine

    expected = gradient("fp32")
    assert torch.cosine_similarity(expected, gradient("fp16", 2.0**30), dim=0) > 0.99
    vanished = gradient("fp16", 1.0)
    assert torch.cosine_similarity(expected, vanished, dim=0) < 0.9


@pytest.mark.parametrize("accumulate", [1, 2])
def test_an_update_that_overflows_changes_only_the_scale(points, weighting, accumulate):
    made = points.updater(recipe_of(points, weighting, batch=48, accumulate=accumulate))
    made.update(0)
    before, logged = state(made), made.meter.updates
    with_scale(made, 2.0**40)
    made.update(1)
    after = state(made)
    assert all(value.equal(before[name]) for name, value in after.items())
    assert made.meter.updates == logged
    assert made.scaling.log_values() == {"loss scale": 2.0**39, "skipped updates": 1.0}


def test_callbacks_see_gradients_without_the_scale(points):
    seen = []
    for precision in ("fp32", "fp16"):
        made = points.updater(recipe_of(points, precision=precision, clip_norm=0.01))
        norm = lambda _, made=made: seen.append(  # noqa: E731
            torch.cat([p.grad.flatten() for p in made.inner.model.parameters()]).norm()
        )
        made.callbacks.after_backward = norm
        made.update(0)
        clipped = torch.cat([p.grad.flatten() for p in made.inner.model.parameters()])
        assert clipped.norm() == pytest.approx(0.01, rel=1e-3)
    torch.testing.assert_close(*seen, rtol=1e-2, atol=0)


def test_a_loss_that_overflows_is_an_error_and_no_skipped_update(points):
    made = points.updater(recipe_of(points, MGDA(), batch=50))
    made.context.targets["train"]["age"][3] = torch.inf
    with pytest.raises(NotFiniteError, match=r"the loss of age is not finite .* point3"):
        made.update(0)


def test_gradients_that_no_scale_makes_finite_end_the_run(points):
    made = points.updater(recipe_of(points))
    weight = next(made.inner.model.router.parameters())
    weight.register_hook(lambda gradient: gradient * torch.nan)
    with pytest.raises(NotFiniteError, match=r"not finite in float16.*use `precision: bf16`"):
        run(made, 40)
    assert made.scaling.skipped == 31  # from 2^16 to 2^-15


def test_a_resumed_run_ends_with_the_same_bits(points, tmp_path, monkeypatch):
    growth = torch.amp.GradScaler.__init__

    def fast(self, device, **options):  # scales that change within a short run
        growth(self, device, init_scale=2.0**30, growth_interval=2)

    monkeypatch.setattr(torch.amp.GradScaler, "__init__", fast)
    recipe = recipe_of(points, MGDA(), epochs=6, checkpoint_every=1, log_every=1)
    whole = mtlkit.fit(recipe, tmp_path / "whole", catalog=points.catalog(), quiet=True)

    update = Updater.update

    def stopped(self, step, stop_request=None):
        done = update(self, step, stop_request)
        return attrs.evolve(done, stop=step == 10)

    monkeypatch.setattr(Updater, "update", stopped)
    with pytest.raises(InterruptedRunError):
        mtlkit.fit(recipe, tmp_path / "parts", catalog=points.catalog(), quiet=True)
    monkeypatch.setattr(Updater, "update", update)
    saved = newest_checkpoint(tmp_path / "parts" / "checkpoints").progress["loss_scaling"]
    assert saved["skipped"] > 0
    mtlkit.resume(tmp_path / "parts", catalog=points.catalog(), quiet=True)
    for name in ("model.safetensors", "log.jsonl"):
        assert (tmp_path / "parts" / name).read_bytes() == (whole.path / name).read_bytes()
    steps = [json.loads(line) for line in (whole.path / "log.jsonl").read_text().splitlines()]
    values = [event["values"] for event in steps if event["kind"] == "step"]
    assert values[-1]["skipped updates"] >= saved["skipped"]
    assert len({value["loss scale"] for value in values}) > 2
