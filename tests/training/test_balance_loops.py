"""`mtlkit.balance` in loops of plain PyTorch: locations, fp16, compilation and errors."""

import copy
from contextlib import nullcontext
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._functorch import config

import mtlkit
from mtlkit.errors import AssemblyError, NotFiniteError
from mtlkit.training.balancing import loop_pass
from mtlkit.training.balancing.graph_paths import leaves_of
from mtlkit.training.balancing.requirements import require_synchronizable
from mtlkit.training.devices.ranks import Ranks
from mtlkit.weightings import (
    CRMOGM,
    DBMTL,
    DWA,
    FAMO,
    MGDA,
    AutoLambda,
    CAGrad,
    Dynamic,
    Equal,
    Fixed,
    GradientLocation,
    HeadGradients,
    Log,
    MoCo,
    MoDo,
    PCGrad,
    Uncertainty,
)

TASKS = ("depth", "kind")
ROLES = {"depth": mtlkit.Role.MAIN, "kind": mtlkit.Role.SIDE}


class Net(nn.Module):
    """An encoder with batch norm and dropout, and two heads."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 5)
        )
        self.depth, self.kind = nn.Linear(5, 1), nn.Linear(5, 3)

    def forward(self, inputs):
        features = self.encoder(inputs)
        return features, self.depth(features).squeeze(1), self.kind(features)


def batch(seed=0, samples=12):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(samples, 6, generator=generator)
    return inputs, inputs.sum(dim=1), (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()


def forward(net, data, reduction="mean"):
    features, depth, kind = net(data[0])
    return {
        "depth": F.mse_loss(depth, data[1], reduction=reduction),
        "kind": F.cross_entropy(kind, data[2], reduction=reduction),
    }, features


def gradients(net):
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


def task_rows(net, losses, parameters):
    rows = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in losses.values()]
    return torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.mark.parametrize("heads", list(HeadGradients))
@pytest.mark.parametrize("where", ["features", "shared", "both"])
def test_the_encoder_gets_the_weighted_gradient_and_heads_theirs(net, heads, where):
    losses, features = forward(net, batch())
    shared = list(net.encoder.parameters())
    rows = task_rows(net, losses, shared)
    heads_of = {"depth": net.depth, "kind": net.kind}
    plain = {
        task: torch.autograd.grad(losses[task], list(head.parameters()), retain_graph=True)
        for task, head in heads_of.items()
    }
    balance = mtlkit.balance(MGDA(heads=heads), TASKS)
    places = {"features": {"features": features}, "shared": {"shared": shared}}
    places["both"] = {**places["features"], **places["shared"]}
    weights = balance.backward(losses, **places[where])
    update = torch.cat([p.grad.flatten() for p in shared])
    torch.testing.assert_close(update, weights @ rows, rtol=1e-4, atol=1e-6)
    if where == "shared":  # the shortest vector between the two gradients
        assert (rows @ update >= update @ update * (1 - 1e-3)).all()
    for task, weight in zip(TASKS, weights, strict=True):
        factor = weight if heads is HeadGradients.WEIGHTED else 1.0
        for p, expected in zip(heads_of[task].parameters(), plain[task], strict=True):
            torch.testing.assert_close(p.grad, factor * expected)


def test_several_tensors_are_features(net):
    losses, features = forward(net, batch())
    inputs, depth, kind = batch()
    hidden = net.encoder[:3](inputs)
    features = net.encoder[3:](hidden)
    skip, early = nn.Linear(8, 1), hidden.view_as(hidden)
    losses = {
        "depth": F.mse_loss((net.depth(features) + skip(early)).squeeze(1), depth),
        "kind": F.cross_entropy(net.kind(features), kind),
    }
    rows = task_rows(net, losses, [*net.encoder[:2].parameters()])
    balance = mtlkit.balance(MGDA(), TASKS, model=net)
    with pytest.raises(AssemblyError, match=r"read encoder\.1\..* `features` and around them"):
        balance.backward(losses, features=features)
    with pytest.raises(AssemblyError, match=r"pass the view: features=\[last, early.view_as"):
        balance.backward(losses, features=[features, hidden])
    weights = mtlkit.balance(MGDA(), TASKS).backward(losses, features=[features, early])
    update = torch.cat([p.grad.flatten() for p in net.encoder[:2].parameters()])
    torch.testing.assert_close(update, weights @ rows, rtol=1e-4, atol=1e-6)
    assert skip.weight.grad is not None


def counted_passes(monkeypatch):
    """The number of outputs of each call of `torch.autograd.grad`."""
    outputs, grad = [], torch.autograd.grad

    def counted(values, *options, **named):
        outputs.append(len(values))
        return grad(values, *options, **named)

    monkeypatch.setattr(torch.autograd, "grad", counted)
    return outputs


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("heads", list(HeadGradients))
def test_one_pass_through_all_heads_gives_the_bits_of_a_pass_for_each(
    net, monkeypatch, heads, precision
):
    def update(net):
        inputs, depth, kind = batch()
        features = net.encoder(inputs).to(precision)
        predicted = net.depth(features.float()) + net.depth(features.square().float())
        losses = {
            "depth": F.mse_loss(predicted.squeeze(1) + features.float().sum(dim=1), depth),
            "kind": F.cross_entropy(net.kind(features.float()), kind),
        }
        mtlkit.balance(MGDA(heads=heads), TASKS).backward(losses, features=features)
        (at_features,) = torch.autograd.grad([losses["depth"]], features, retain_graph=True)
        return gradients(net), at_features

    other = copy.deepcopy(net)
    passes = counted_passes(monkeypatch)
    together, at_features = update(net)
    assert passes == [2, 1]  # the second is that of the test, so that no hook is left
    monkeypatch.setattr(loop_pass, "are_separate", lambda paths: False)
    apart, expected = update(other)
    assert passes[2:] == [1, 1, 1]
    assert at_features.equal(expected)
    assert all(together[name].equal(value) for name, value in apart.items())


def test_losses_that_share_a_layer_behind_the_features_have_a_pass_each(net, monkeypatch):
    inputs, depth, kind = batch()
    features = net.encoder(inputs)
    hidden = features.tanh()
    losses = {
        "depth": F.mse_loss(net.depth(hidden).squeeze(1), depth),
        "kind": F.cross_entropy(net.kind(hidden), kind),
    }
    rows = task_rows(net, losses, [*net.encoder.parameters()])
    passes = counted_passes(monkeypatch)
    weights = mtlkit.balance(MGDA(), TASKS).backward(losses, features=features)
    assert passes == [1, 1]
    update = torch.cat([p.grad.flatten() for p in net.encoder.parameters()])
    torch.testing.assert_close(update, weights @ rows, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    "weighting",
    [
        Log(),
        MGDA(),
        CRMOGM(),
        Uncertainty(),
        MGDA(at=GradientLocation.PARAMETERS),
        MGDA(at=GradientLocation.PARAMETERS, heads=HeadGradients.WEIGHTED),
        MoCo(),
    ],
)
def test_a_loss_scale_changes_nothing(net, weighting, shared):
    plain, scaled = (mtlkit.balance(weighting, TASKS) for _ in range(2))
    at = set() if shared else {"features"}
    if shared or getattr(weighting, "at", None) is GradientLocation.PARAMETERS:
        at |= {"shared"}

    def given(features):
        every = {"features": features, "shared": list(net.encoder.parameters())}
        return {name: value for name, value in every.items() if name in at}

    losses, features = forward(net, batch())
    plain.backward(losses, **given(features))
    expected = gradients(net)
    net.zero_grad()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    losses, features = forward(net, batch())
    scaled.backward(losses, **given(features), scaler=scaler)
    for name, gradient in gradients(net).items():
        torch.testing.assert_close(gradient / 1024, expected[name], rtol=0, atol=0)


def test_an_update_that_overflows_is_skipped_by_the_scaler_and_the_weighting(net):
    balance = mtlkit.balance(CRMOGM(), TASKS)
    losses, features = forward(net, batch())
    balance.backward(losses, features=features)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    state = {name: value.clone() for name, value in balance.weighting.state_dict().items()}
    before = {name: p.clone() for name, p in net.named_parameters()}
    scaler = torch.amp.GradScaler("cpu", init_scale=1e38)
    losses, features = forward(net, batch())
    losses["depth"] = losses["depth"] * 1e4
    optimizer.zero_grad()
    balance.backward(losses, features=features, scaler=scaler)
    scaler.step(optimizer)
    scaler.update()
    assert all(p.equal(before[name]) for name, p in net.named_parameters())
    assert all(v.equal(state[name]) for name, v in balance.weighting.state_dict().items())


@config.patch(donated_buffer=False)  # else a compiled graph can be differentiated only once
@pytest.mark.parametrize("weighting", [Log(), MGDA(), MGDA(at=GradientLocation.PARAMETERS)])
def test_a_compiled_model_does_the_same(net, weighting):
    expected = []
    for compiled in (False, True):
        net.zero_grad()
        encoder = torch.compile(net.encoder, backend="aot_eager") if compiled else net.encoder
        inputs, depth, kind = batch()
        features = encoder(inputs)
        losses = {
            "depth": F.mse_loss(net.depth(features).squeeze(1), depth),
            "kind": F.cross_entropy(net.kind(features), kind),
        }
        at_parameters = weighting != Log() and weighting.at is GradientLocation.PARAMETERS
        where = {"shared": net.encoder.parameters()} if at_parameters else {}
        mtlkit.balance(weighting, TASKS).backward(losses, features=features, **where)
        expected.append(gradients(net))
    for name, gradient in expected[0].items():
        torch.testing.assert_close(expected[1][name], gradient)


def test_in_bf16_it_does_nearly_the_same(net):
    updates = []
    for enabled in (False, True):
        net.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            losses, features = forward(net, batch())
        mtlkit.balance(CAGrad(), TASKS).backward(losses, features=features)
        updates.append(torch.cat([g.flatten() for g in gradients(net).values()]))
    assert torch.cosine_similarity(*updates, dim=0) > 0.98


@pytest.mark.parametrize("weighting", [Equal(), DBMTL(), CAGrad()])
@pytest.mark.parametrize("given", ["losses", "function", "micro-batches"])
def test_the_autocast_of_a_caller_is_that_of_its_forward_pass_alone(net, weighting, given):
    """Lightning calls a whole step in autocast."""
    autocast = torch.autocast("cpu", dtype=torch.bfloat16)
    updates = []
    for around in (False, True):
        net.zero_grad()
        balance = mtlkit.balance(weighting, TASKS)
        if given == "losses":
            with autocast:
                losses, features = forward(net, batch())
            with autocast if around else nullcontext():
                balance.backward(losses, features=features)
        else:
            inside = partial(forward, net, batch())
            closure = inside if around else autocast(inside)
            with autocast if around else nullcontext():
                balance.backward(closure if given == "function" else [closure, closure])
        updates.append(gradients(net))
    for name, gradient in updates[0].items():
        assert updates[1][name].equal(gradient)


def test_passes_that_decide_leave_dropout_and_batch_norm_as_one_pass_does():
    torch.manual_seed(0)
    net = Net(dropout=0.5)
    parts = [batch(seed) for seed in range(3)]
    masks = []
    net.encoder[3].register_forward_hook(lambda module, _, out: masks.append(out == 0))
    balance = mtlkit.balance(PCGrad(), TASKS, model=net)
    balance.backward([lambda part=part: forward(net, part) for part in parts])
    assert net.encoder[1].num_batches_tracked == 3
    assert len(masks) == 6
    assert all(one.equal(other) for one, other in zip(masks[:3], masks[3:], strict=True))


@pytest.mark.parametrize(("weighting", "draws"), [(MoDo(), 2), (AutoLambda(), 1), (FAMO(), 0)])
def test_draws_and_a_second_look_leave_batch_norm_as_one_pass_does(net, weighting, draws):
    balance = mtlkit.balance(weighting, ROLES, model=net)
    closures = [lambda seed=seed: forward(net, batch(seed + 1)) for seed in range(draws)]
    losses, _ = forward(net, batch())
    balance.backward(losses, shared=net.encoder.parameters(), draws=closures, lr=0.1)
    balance.after_step(lambda: forward(net, batch()))
    assert net.encoder[1].num_batches_tracked == 1


def test_a_second_look_is_run_only_if_it_is_read(net):
    balance = mtlkit.balance(Equal(), TASKS)
    losses, _ = forward(net, batch())
    balance.backward(losses)
    balance.after_step(lambda: pytest.fail("run without need"))


def test_leaves_stop_at_the_features(net):
    losses, features = forward(net, batch())
    heads = {id(p) for head in (net.depth, net.kind) for p in head.parameters()}
    assert {id(leaf) for leaf in leaves_of(losses.values(), [features])} == heads
    assert {id(leaf) for leaf in leaves_of([features])} == {id(p) for p in net.encoder.parameters()}


def test_learned_weights_are_a_group_without_decay():
    balance = mtlkit.balance(Dynamic(learning_rate=0.5), ROLES, feature_width=5)
    group = balance.parameter_group(0.1)
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.0)
    assert [id(p) for p in group["params"]] == [id(p) for p in balance.parameters()]
    assert mtlkit.balance(Uncertainty(), TASKS).parameter_group(0.1)["lr"] == 0.1


CALL = r"call balance.backward\(losses, "
REFUSED = {
    "no location": (
        CAGrad(), {}, rf"got neither `features` nor `shared`.*CAGrad.*{CALL}features=features\)"
    ),
    "features instead of parameters": (
        MoCo(), {"features"}, f"got `features` only.*MoCo; {CALL}shared=model.encoder.param"
    ),
    "the last layer alone": (
        CAGrad(at=GradientLocation.LAST_SHARED_LAYER), {"shared"}, "expected both for CAGrad"
    ),
    "no draws": (
        MoDo(), {"shared"},
        r"got 0 draws, expected 2 for MoDo.*draws=\[lambda: losses_of\(next\(batches\)\), lambda",
    ),
    "no rate": (
        AutoLambda(), {"shared", "draws"}, r"got no `lr`.*lr=optimizer.param_groups\[0\]\['lr'\]\)"
    ),
    "no epoch": (DWA(), {}, r"DWA compares the losses of epochs; call balance.start_epoch\(\)"),
    "means": (Dynamic(), {"features"}, "got means, expected the losses .* use reduction='none'"),
    "no features": (
        Dynamic(), {"samples"}, r"got none, expected the shared features \(12, 5\) that Dynamic"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("weighting", "given", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_a_weighting_needs_is_refused_at_the_first_call(net, weighting, given, message):
    balance = mtlkit.balance(weighting, ROLES, feature_width=5)
    losses, features = forward(net, batch(), "none" if "samples" in given else "mean")
    options = {
        "features": features,
        "shared": net.encoder.parameters(),
        "draws": [lambda: forward(net, batch(1))],
    }
    with pytest.raises(AssemblyError, match=message):
        balance.backward(losses, **{k: v for k, v in options.items() if k in given})
    assert not gradients(net)


@pytest.mark.parametrize(
    ("weighting", "options", "message"),
    [
        (Dynamic(), {}, "got no `feature_width`.*pass feature_width=D"),
        (Dynamic(normalize=True), {"feature_width": 5}, "got no `classes`.*classes={'pose': 13}"),
    ],
)
def test_what_a_weighting_needs_to_be_built_is_refused_at_once(weighting, options, message):
    with pytest.raises(AssemblyError, match=message):
        mtlkit.balance(weighting, ROLES, **options)


def test_a_weighting_that_does_not_fit_the_tasks_is_refused():
    with pytest.raises(AssemblyError, match=r"balance: got 1 .'depth'., expected at least 2"):
        mtlkit.balance(CAGrad(), ("depth",))
    with pytest.raises(AssemblyError, match="expected distinct names"):
        mtlkit.balance(CAGrad(), ("depth", "depth"))


def test_an_update_without_the_second_look_is_refused_at_the_next(net):
    balance = mtlkit.balance(FAMO(), TASKS)
    losses, _ = forward(net, batch())
    balance.backward(losses)
    with pytest.raises(AssemblyError, match=r"FAMO compares .* call balance.after_step\(lambda"):
        balance.backward(forward(net, batch())[0])


def test_a_second_look_at_other_tasks_is_refused(net):
    balance = mtlkit.balance(FAMO(), TASKS)
    losses, _ = forward(net, batch())
    balance.backward(losses)
    with pytest.raises(AssemblyError, match="got the losses of 'kind', expected those of 'depth',"):
        balance.after_step({"kind": losses["kind"]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda depth, kind: {"depht": depth}, "'depht', expected .*; did you mean 'depth'"),
        (lambda depth, kind: {}, "losses: got none; skip a batch"),
        (lambda depth, kind: {"kind": kind.detach()}, "losses.kind: got a loss without a gradient"),
        (lambda depth, kind: {"kind": kind.expand(2, 2)}, r"losses.kind: got the shape \(2, 2\)"),
        (lambda depth, kind: {"kind": (kind, kind)}, "expected a boolean mask"),
    ],
    ids=["unknown", "none", "detached", "shape", "mask"],
)
def test_losses_that_cannot_be_read_are_refused(net, change, message):
    losses, features = forward(net, batch())
    with pytest.raises(AssemblyError, match=message):
        mtlkit.balance(CAGrad(), TASKS).backward(change(**losses), features=features)
    assert not gradients(net)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            torch.Tensor.detach,
            r"a tensor without a gradient, .* features.requires_grad_\(\) before",
        ),
        (lambda f: f * 1, r"losses that read encoder\.4.* `features` and around them"),
        (lambda f: f.detach().requires_grad_(), "losses.depth: got a loss that does not depend on"),
    ],
    ids=["frozen", "a copy", "another"],
)
def test_features_that_heads_do_not_read_are_refused(net, change, message):
    losses, features = forward(net, batch())
    balance = mtlkit.balance(CAGrad(), TASKS, model=net)
    with pytest.raises(AssemblyError, match=message):
        balance.backward(losses, features=change(features))
    assert not gradients(net)


def test_shared_parameters_that_are_not_all_are_refused(net):
    losses, _ = forward(net, batch())
    balance = mtlkit.balance(CAGrad(), TASKS, model=net)
    with pytest.raises(AssemblyError, match=r"shared: got no encoder\..*, which several losses"):
        balance.backward(losses, shared=net.encoder[0].parameters())


def test_a_direction_for_some_of_the_parameters_is_refused(net):
    losses, features = forward(net, batch())
    balance = mtlkit.balance(MoCo(), TASKS, model=net)
    with pytest.raises(AssemblyError, match=r"shared: got no encoder.*MoCo returns a direction"):
        balance.backward(losses, features=features, shared=net.encoder[4].parameters())


def test_other_parameters_than_those_of_the_state_are_refused(net):
    balance = mtlkit.balance(MoCo(), TASKS)
    losses, _ = forward(net, batch())
    balance.backward(losses, shared=net.encoder.parameters())
    losses, _ = forward(net, batch())
    assert balance.weighting.tracked.shape == (2, 117)
    with pytest.raises(AssemblyError, match=r"shared: got 56 elements, expected the 117 of the st"):
        balance.backward(losses, shared=net.encoder[0].parameters())


def test_micro_batches_of_samples_need_their_counts(net):
    parts = [lambda seed=seed: forward(net, batch(seed), "none") for seed in range(2)]
    with pytest.raises(AssemblyError, match=r"pass counts=\{'pose': 64"):
        mtlkit.balance(CAGrad(), TASKS).backward(parts)
    with pytest.raises(AssemblyError, match="got no micro-batch"):
        mtlkit.balance(CAGrad(), TASKS).backward([])


def test_micro_batches_in_processes_need_the_model_that_reduces():
    with pytest.raises(AssemblyError, match=r"2 micro-batches in 3 processes.*model=ddp\)"):
        require_synchronizable([None, None], None, Ranks(0, 3))


def test_losses_and_features_may_be_one_value(net):
    balance = mtlkit.balance(MGDA(), TASKS)
    weights = balance.backward(forward(net, batch()))
    losses, features = forward(net, batch())
    assert balance.backward(losses, features=features).equal(weights)
    assert balance.backward(lambda: forward(net, batch())).equal(weights)


def test_a_loss_that_is_not_finite_is_named(net):
    losses, features = forward(net, batch())
    with pytest.raises(NotFiniteError, match="update 1: the loss of depth is not finite") as raised:
        mtlkit.balance(MGDA(), TASKS).backward(
            {**losses, "depth": losses["depth"] * torch.nan}, features=features
        )
    assert raised.value.tasks == ("depth",)
    losses, _ = forward(net, batch())
    with pytest.raises(
        NotFiniteError, match=r"LogWeights divides by losses .* depth is below zero"
    ):
        mtlkit.balance(Log(), TASKS).backward({**losses, "depth": -losses["depth"]})


def test_a_large_weight_is_warned_of_once_for_each_task(net):
    balance = mtlkit.balance(Fixed(weights={"kind": 250.0}), TASKS)
    with pytest.warns(
        UserWarning, match=r"^step 1: the mean weight of kind is 250, expected"
    ) as raised:
        balance.backward(forward(net, batch()))
    assert raised[0].filename == __file__
    balance.backward(forward(net, batch()))  # a second warning would be an error


def test_one_warning_is_of_all_weights_that_became_large_in_an_update(net):
    balance = mtlkit.balance(Fixed(weights={"depth": 300.0, "kind": 250.0}), TASKS)
    message = r"^step 1: the mean weight of depth is 300 \(and 1 more loss\), expected"
    with pytest.warns(UserWarning, match=message) as raised:
        balance.backward(forward(net, batch()))
    assert len(raised) == 1
