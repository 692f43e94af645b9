"""The routers that share by degrees: the formula of each, and what is left to share."""

import itertools
import json
import math

import attrs
import pytest
import torch
from scipy.special import softmax

from mtlkit.assembly import Assembly
from mtlkit.backbones import MLP, CasiaNet, VectorFeatures
from mtlkit.data import ClassTarget, InputSpec, Loading
from mtlkit.model import assemble
from mtlkit.optim import SGD
from mtlkit.plugins.catalog import load_catalog
from mtlkit.recipe import Train
from mtlkit.routers import CGC, MTAN, PLE, CrossStitch, DSelectK, Features, LearnToBranch, MMoE
from mtlkit.routers.dselect_k import binary_codes, selected, smooth_step
from mtlkit.routers.learn_to_branch import MIN_TEMPERATURE
from mtlkit.routers.mmoe import MMoERouter
from mtlkit.runs.fit import fit
from mtlkit.runs.prediction.predict import load_model
from mtlkit.task import Task
from mtlkit.task_types import Role
from mtlkit.testing import add_small_data, small_recipe
from mtlkit.training.gradients.features import detach_features
from mtlkit.training.gradients.surrogate import surrogate_loss

TASKS = {"identity": Task(role=Role.MAIN), "pose": Task(), "light": Task()}
NAMES = list(TASKS)
ASSEMBLY = Assembly(
    inputs=InputSpec(shape=(6,), mean=(0.0,)),
    targets=dict.fromkeys(TASKS, ClassTarget(names=("a", "b", "c"))),
)
IMAGES = attrs.evolve(ASSEMBLY, inputs=InputSpec(shape=(1, 16, 16), mean=(0.0,)))
MLP = MLP(hidden=(8,))
CASIA = CasiaNet(width=0.1, dropout=0.0)
SHARING = [MMoE(), CGC(), PLE(), MTAN(maps=False), DSelectK(), LearnToBranch()]


def name_of(config):
    return type(config).__name__


def built(config, backbone=MLP, assembly=ASSEMBLY):
    """The network, away from any symmetric start."""
    torch.manual_seed(1)
    model = assemble(backbone, config, TASKS, assembly)
    with torch.no_grad():
        for parameter in model.router.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model.eval()


def own_of(model, inputs):
    """The trunk's features, and what each task makes of them (T, N, W), as numpy arrays."""
    with torch.no_grad():
        features = model.router.specialize(model.router(inputs))
    own = torch.stack([features.per_task[name] for name in NAMES])
    return features.shared.numpy(), own.numpy()


def parameters(module):
    return {name: value.detach().numpy() for name, value in module.named_parameters()}


def relu(values):
    return values.clip(min=0)


def experts(x, weight, bias):
    """What each expert says of one sample, by its own rows of the joined matrix."""
    count = len(bias) // 8
    return [relu(weight[e * 8 : (e + 1) * 8] @ x + bias[e * 8 : (e + 1) * 8]) for e in range(count)]


INPUTS = torch.randn(5, 6, generator=torch.Generator().manual_seed(2))


def test_cross_stitch_mixes_what_the_networks_say():
    model = built(CrossStitch(same_task=0.8))
    router = model.router
    alpha = router.at_features.alpha.detach().numpy()
    with torch.no_grad():
        said = [backbone(INPUTS).numpy() for backbone in router.backbones]
    shared, own = own_of(model, INPUTS)
    for s, n in itertools.product(range(3), range(5)):
        wanted = sum(alpha[s, t] * said[t][n] for t in range(3))
        assert own[s, n] == pytest.approx(wanted, abs=1e-5)
    assert shared == pytest.approx(own.mean(axis=0), abs=1e-6)


def test_cross_stitch_starts_from_its_own_share():
    router = assemble(MLP, CrossStitch(same_task=0.8), TASKS, ASSEMBLY).router
    assert router.at_features.alpha.tolist() == [
        pytest.approx([0.8 if s == t else 0.1 for t in range(3)]) for s in range(3)
    ]
    weights = [backbone.layers[1].weight for backbone in router.backbones]
    assert not torch.equal(weights[0], weights[1])


def test_cross_stitch_joins_maps_where_the_backbone_shows_them():
    inputs = torch.randn(3, 1, 16, 16)
    model = built(CrossStitch(), CASIA, IMAGES)
    router = model.router
    with torch.no_grad():
        maps = [backbone.stem(inputs) for backbone in router.backbones]
        mixed = [sum(router.at_maps.alpha[s, t] * maps[t] for t in range(3)) for s in range(3)]
        said = [b.tail(own) for b, own in zip(router.backbones, mixed, strict=True)]
        wanted = [sum(router.at_features.alpha[s, t] * said[t] for t in range(3)) for s in range(3)]
    assert own_of(model, inputs)[1] == pytest.approx(torch.stack(wanted).numpy(), abs=1e-5)


def test_with_one_task_a_stitched_network_is_the_network():
    one = {"identity": Task(role=Role.MAIN)}
    router = assemble(MLP, CrossStitch(), one, ASSEMBLY).router
    found = router(INPUTS)
    assert torch.allclose(found.per_task["identity"], router.backbones[0](INPUTS))


def test_mmoe_is_a_mixture_by_each_tasks_gate():
    model = built(MMoE(experts=4))
    weights = parameters(model.router)
    shared, own = own_of(model, INPUTS)
    for t, n in itertools.product(range(3), range(5)):
        x = shared[n]
        gate = softmax(weights["gates.weight"][t * 4 : t * 4 + 4] @ x)
        said = experts(x, weights["experts.layer.weight"], weights["experts.layer.bias"])
        wanted = sum(g * f for g, f in zip(gate, said, strict=True))
        assert own[t, n] == pytest.approx(wanted, abs=1e-5)


def level(weights, prefix, shared, own):
    """One level of CGC on one sample: what goes on for all, and for each task."""

    def said(name, x):
        return experts(x, weights[f"{prefix}{name}.layer.weight"],
                       weights[f"{prefix}{name}.layer.bias"])  # fmt: skip

    def gated(name, x, of):
        gate = softmax(weights[f"{prefix}{name}.layer.weight"] @ x)
        return sum(g * f for g, f in zip(gate, of, strict=True))

    common = said("shared", shared)
    special = [said(f"per_task.{t}", own[t]) for t in range(3)]
    found = [gated(f"gates.{t}", own[t], [*special[t], *common]) for t in range(3)]
    everyone = [one for said_by in special for one in said_by] + common
    if f"{prefix}shared_gate.layer.weight" in weights:
        shared = gated("shared_gate", shared, everyone)
    return shared, found


@pytest.mark.parametrize("config", [CGC(shared=2, per_task=3), PLE(levels=3, shared=1, per_task=2)],
                         ids=name_of)  # fmt: skip
def test_cgc_and_ple_extract_level_by_level(config):
    model = built(config)
    weights = parameters(model.router)
    shared, own = own_of(model, INPUTS)
    for n in range(5):
        x, each = shared[n], [shared[n]] * 3
        for number in range(len(model.router.levels)):
            x, each = level(weights, f"levels.{number}.", x, each)
        for t in range(3):
            assert own[t, n] == pytest.approx(each[t], abs=1e-5)


def test_an_expert_of_one_task_is_trained_by_that_task_alone():
    model = built(CGC(per_task=1))
    features = model.router.specialize(model.router(INPUTS))
    features.per_task["pose"].sum().backward()
    reached = [any((p.grad is not None and p.grad.abs().sum() > 0) for p in module.parameters())
               for module in model.router.levels[0].per_task]  # fmt: skip
    assert reached == [False, True, False]
    assert model.router.levels[0].shared.layer.weight.grad.abs().sum() > 0


def sigmoid(x):
    return 1 / (1 + math.e ** (-x))


def test_mtan_attends_to_the_features():
    model = built(MTAN(reduction=2))
    weights = parameters(model.router)
    shared, own = own_of(model, INPUTS)
    for t, n in itertools.product(range(3), range(5)):
        w = {k.split("mask.")[1]: v for k, v in weights.items() if f"at_features.{t}." in k}
        hidden = relu(w["0.weight"] @ shared[n] + w["0.bias"])
        mask = sigmoid(w["2.weight"] @ hidden + w["2.bias"])
        assert own[t, n] == pytest.approx(mask * shared[n], abs=1e-5)
        assert len(hidden) == 4


def test_mtan_attends_to_maps_where_the_backbone_shows_them():
    inputs = torch.randn(2, 1, 16, 16)
    model = built(MTAN(), CASIA, IMAGES)
    weights = parameters(model.router)
    with torch.no_grad():
        maps = model.router(inputs).maps.numpy()
    shared, own = own_of(model, inputs)
    assert maps.shape[2:] != (1, 1)
    for t, n in itertools.product(range(3), range(2)):
        w = {k.split("mask.")[1]: v for k, v in weights.items() if f"at_maps.{t}." in k}
        attended = 0.0
        for i, j in itertools.product(*map(range, maps.shape[2:])):  # a 1x1 layer sees one place
            p = maps[n, :, i, j]
            hidden = relu(w["0.weight"][:, :, 0, 0] @ p + w["0.bias"])
            attended += sigmoid(w["2.weight"][:, :, 0, 0] @ hidden + w["2.bias"]) * p
        attended /= maps.shape[2] * maps.shape[3]
        before = relu(weights["pooled.2.weight"] @ attended + weights["pooled.2.bias"])
        w = {k.split("mask.")[1]: v for k, v in weights.items() if f"at_features.{t}." in k}
        seen = [*shared[n], *before]
        mask = sigmoid(w["2.weight"] @ relu(w["0.weight"] @ seen + w["0.bias"]) + w["2.bias"])
        assert own[t, n] == pytest.approx(mask * shared[n], abs=1e-4)


def step(z, gamma):
    """The smooth step as the paper writes it, case by case."""
    if z <= -gamma / 2:
        return 0.0
    if z >= gamma / 2:
        return 1.0
    return -2 / gamma**3 * z**3 + 3 / (2 * gamma) * z + 1 / 2


@pytest.mark.parametrize("per_sample", [False, True])
def test_dselect_k_mixes_the_experts_its_selectors_name(per_sample):
    config = DSelectK(experts=4, k=2, gamma=1.5, per_sample=per_sample)
    model = built(config)
    weights = parameters(model.router)
    shared, own = own_of(model, INPUTS)
    choice = weights["choice.weight"].reshape(3, 2, 3, -1)
    for t, n in itertools.product(range(3), range(5)):
        seen = shared[n] if per_sample else [1.0]
        chosen = choice[t] @ seen  # (k, 1 + m): alpha, then the digits z
        alpha = softmax(chosen[:, 0])
        weight = [0.0] * 4
        for k, expert in itertools.product(range(2), range(4)):
            r = 1.0
            for digit in range(2):
                s = step(chosen[k, 1 + digit], 1.5)
                r *= s if expert >> digit & 1 else 1 - s
            weight[expert] += alpha[k] * r
        assert sum(weight) == pytest.approx(1.0, abs=1e-5)
        said = experts(shared[n], weights["experts.layer.weight"], weights["experts.layer.bias"])
        wanted = sum(w * f for w, f in zip(weight, said, strict=True))
        assert own[t, n] == pytest.approx(wanted, abs=1e-5)


def test_a_decided_selector_names_one_expert_exactly():
    digits = smooth_step(torch.tensor([[2.0, -2.0, 0.5], [-0.5, 9.0, -9.0]]), 1.0)
    found = selected(digits, binary_codes(8))
    assert found.argmax(dim=1).tolist() == [5, 2]
    assert sorted(found.flatten().tolist()) == [0.0] * 14 + [1.0] * 2


def test_the_smooth_step_has_a_continuous_slope():
    z = torch.tensor([-0.5, 0.5], requires_grad=True)
    smooth_step(z, 1.0).sum().backward()
    assert z.grad.tolist() == [0.0, 0.0]
    z = torch.tensor([0.0], requires_grad=True)
    smooth_step(z, 2.0).backward()
    assert z.grad.item() == pytest.approx(3 / (2 * 2.0))


def test_learn_to_branch_follows_the_likeliest_parents():
    model = built(LearnToBranch(levels=2, nodes=3))
    weights = parameters(model.router)
    shared, own = own_of(model, INPUTS)
    for n in range(5):
        said = experts(shared[n], weights["first.layer.weight"], weights["first.layer.bias"])
        made = []
        for node in range(3):
            parent = said[weights["parents.0.alpha"][node].argmax()]
            w, b = (weights[f"nodes.0.{node}.layer.{k}"] for k in ("weight", "bias"))
            made.append(relu(w @ parent + b))
        for t in range(3):
            wanted = made[weights["parents.1.alpha"][t].argmax()]
            assert own[t, n] == pytest.approx(wanted, abs=1e-5)


def test_parents_are_drawn_as_often_as_their_probability_says():
    router = built(LearnToBranch(levels=1, nodes=3)).router
    choice = router.parents[0].train()
    cold = torch.tensor(MIN_TEMPERATURE)
    draws = []
    for _ in range(4000):
        choice.draw()
        draws.append(choice(cold))
        assert choice(cold).equal(draws[-1])  # one draw a pass, whoever asks
    draws = torch.stack(draws)
    assert torch.allclose(draws.sum(dim=2), torch.ones(4000, 3))
    often = torch.nn.functional.one_hot(draws.argmax(dim=2), 3).float().mean(dim=0)
    assert torch.allclose(often, choice.alpha.softmax(dim=1), atol=0.04)  # 5 standard errors


def test_cooling_is_counted_and_saved():
    config = LearnToBranch(temperature=8.0, cooling=0.5)
    model = built(config)
    model(INPUTS)
    assert model.router.passes == 0  # evaluation cools nothing
    model.train()
    for wanted in (8.0, 4.0, 2.0):
        model(INPUTS)
        assert model.router.temperature.item() == wanted
    other = built(config)
    other.load_state_dict(model.state_dict())
    assert other.router.temperature.item() == 2.0
    for _ in range(9):
        model(INPUTS)
    assert model.router.temperature.item() == pytest.approx(MIN_TEMPERATURE)


def test_each_task_may_be_shown_features_of_its_own():
    """As where the gradient of every task is wanted apart: what it makes is made of its own."""
    for config in SHARING:
        model = built(config)
        shared = model.router(INPUTS).shared.detach()
        copies = {name: shared.clone().requires_grad_() for name in NAMES}
        detached = {name: Features(copy) for name, copy in copies.items()}
        found = model.router.specialize(Features(shared, copies=detached))
        for name in NAMES:
            slopes = torch.autograd.grad(
                found.per_task[name].sum(), list(copies.values()), allow_unused=True
            )
            seen = [slope is not None and bool(slope.any()) for slope in slopes]
            assert seen == [other == name for other in NAMES]
        together = model.router.specialize(Features(shared))
        assert all(torch.equal(found.per_task[name], together.per_task[name]) for name in NAMES)


class Assisted(MMoERouter):
    """A router whose one extra loss reads the features that a task computes for itself."""

    def branch_present(self, present, targets):
        return {"identity.extra": present["identity"]}

    def branch_losses(self, features, targets):
        return {"identity.extra": features.per_task["pose"].square().mean(dim=1)}


def test_branches_read_specialized_features_with_and_without_copies():
    model = built(MMoE())
    router = model.router
    router.__class__ = Assisted
    model.terms = (*model.terms, attrs.evolve(model.terms[0], name="identity.extra"))
    targets = {name: torch.tensor([0, 1, 2, 0, 1]) for name in NAMES}
    counts = torch.full((4,), 5.0)
    whole = model.losses(INPUTS, targets, counts)
    at = detach_features(model.features(INPUTS), NAMES)
    copied = model.losses_at(at.features, targets, counts)
    assert torch.equal(whole.per_sample, copied.per_sample)
    rows, _ = at.jacobian(copied.mean, NAMES)
    features = model.features(INPUTS)
    losses = model.losses_at(features, targets, counts).mean
    for row, loss in zip(rows, losses, strict=True):
        [wanted] = torch.autograd.grad(loss, [features.shared], retain_graph=True)
        assert torch.allclose(row, wanted.flatten(), atol=1e-6)


def test_attention_to_maps_shares_more_than_features():
    assert not MTAN().shared_features
    assert MTAN().shared_last_layer
    assert MTAN(maps=False).shared_features
    model = built(MTAN(maps=False), CASIA, IMAGES)
    assert model.router(torch.randn(2, 1, 16, 16)).maps is None


@pytest.mark.parametrize("config", SHARING, ids=name_of)
def test_what_all_tasks_share_is_where_their_gradients_are_compared(config):
    """Experts stand behind the cut, so that tasks can be seen to conflict at the trunk's end."""
    assert config.shared_features
    compared(config, built(config).train(), INPUTS)


def test_attention_to_maps_is_seen_at_the_maps_too():
    """What tasks make of the maps before the last block reaches the trunk by the maps as well."""
    model = built(MTAN(), CASIA, IMAGES).eval()  # batch norm by its running statistics
    compared(MTAN(), model, torch.randn(5, 1, 16, 16))


def compared(config, model, inputs):
    """One pass through what lies behind the cut, and one weighted pass back, are the whole's."""
    targets = {name: torch.tensor([0, 1, 2, 0, 1]) for name in NAMES}
    torch.manual_seed(3)  # draws of parents, if any
    at = detach_features(model.features(inputs), NAMES)
    losses = model.losses_at(at.features, targets, torch.full((3,), 5.0))
    jacobian, _ = at.jacobian(losses.mean, NAMES)
    gramian = jacobian @ jacobian.T
    assert (gramian.abs() > 0).all()
    # one weighted pass back gives the gradient that the whole network would have given
    weights = torch.tensor([1.0, 0.5, 2.0])
    surrogate_loss(at.pairs(weights @ jacobian), weights @ losses.mean).backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    torch.manual_seed(3)
    if isinstance(config, LearnToBranch):
        model.router.passes -= 1  # the same temperature again
    (weights * model.losses(inputs, targets, torch.full((3,), 5.0)).mean).sum().backward()
    for name, parameter in model.named_parameters():
        assert torch.allclose(found[name], parameter.grad, atol=1e-6), name


def test_without_shared_features_every_task_has_its_own():
    assert not CrossStitch().shared_features
    assert not CrossStitch().shared_last_layer
    model = built(CrossStitch())
    found = model.router(INPUTS)
    assert list(found.per_task) == NAMES
    at = detach_features(model.features(INPUTS), NAMES)
    assert list(at.features.per_task) == NAMES
    assert list(at.features.copies) == NAMES


@pytest.mark.parametrize("config", [MMoE, CGC, PLE, DSelectK, LearnToBranch])
def test_heads_are_as_wide_as_the_experts(config):
    model = built(config(width=5))
    assert model.head("pose").linear.in_features == 5
    assert model.router.features == VectorFeatures(width=8)
    assert model(INPUTS).outputs["pose"].shape == (5, 3)


@pytest.mark.parametrize(
    ("config", "options", "words"),
    [
        (DSelectK, {"experts": 6}, "experts: expected a power of two of at least 2, got 6"),
        (DSelectK, {"experts": True}, "experts: expected a power of two"),
        (MMoE, {"experts": 1}, "experts: expected a whole number of at least 2, got 1"),
        (PLE, {"levels": 1}, "levels: expected a whole number of at least 2, got 1"),
        (CrossStitch, {"same_task": 1.1}, "same_task: expected a number from 0 to 1, got 1.1"),
        (LearnToBranch, {"cooling": 1.0}, "cooling: expected a number from 0 to below 1"),
        (MTAN, {"reduction": 0}, "reduction: expected a whole number of at least 1"),
    ],
)
def test_options_out_of_bounds_are_named(config, options, words):
    with pytest.raises(ValueError, match=words):
        config(**options)


@pytest.mark.parametrize("config", [*SHARING, CrossStitch()], ids=name_of)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_learns(config, precision):
    """Two tasks that want opposite things of one number."""
    torch.manual_seed(0)
    model = assemble(MLP, config, TASKS, ASSEMBLY)
    inputs = torch.randn(64, 6)
    above = (inputs[:, 0] > 0).long()
    targets = {"identity": above, "pose": 1 - above, "light": (inputs[:, 1] > 0).long()}
    train = Train(precision=precision)
    optimizer = torch.optim.Adam(model.parameters(), lr=SGD().lr * 3)
    first = last = None
    for _ in range(60):
        with torch.autocast("cpu", torch.bfloat16, enabled=train.precision == "bf16"):
            loss = model.losses(inputs, targets, torch.full((3,), 64.0)).mean.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first, last = first or loss.item(), loss.item()
    assert last < first / 3


@pytest.mark.parametrize("config", [MMoE(width=5), PLE(width=5), CrossStitch()], ids=name_of)
def test_a_whole_run_measures_what_the_network_says(config, tmp_path):
    """Training, validation and evaluation all see the features that each task has of its own."""
    recipe = attrs.evolve(small_recipe(), router=config)
    run = fit(recipe, tmp_path / "run", quiet=True, catalog=add_small_data(load_catalog("none")))
    model = load_model(tmp_path / "run", add_small_data(load_catalog("none"))).network
    split = recipe.data.load(Loading()).validation
    with torch.no_grad():
        logits = model(split.inputs).outputs["kind"]
    right = (logits.argmax(dim=1) == split.categorical("kind").codes).float().mean().item()
    assert run.metrics["validation/kind/accuracy"] == pytest.approx(right)
    last = json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[-1])
    assert last["metrics"]["kind/accuracy"] == pytest.approx(right)
