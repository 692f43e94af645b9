"""Routers: who sees which sample, what the branches say, and that nothing goes untrained."""

import attrs
import pytest
import torch

from mtlkit.assembly import Assembly
from mtlkit.backbones import MLP, CasiaNet
from mtlkit.data import ClassTarget, InputSpec
from mtlkit.errors import AssemblyError, DataError
from mtlkit.heads import Classification, Regression
from mtlkit.model import assemble
from mtlkit.ops import grouped_linear_cross_entropy
from mtlkit.routers import (
    CGC,
    MTAN,
    PLE,
    BlockBranch,
    BranchSelection,
    CrossStitch,
    DSelectK,
    Grouped,
    LearnToBranch,
    LinearBranch,
    MMoE,
    Shared,
)
from mtlkit.routers.block_branch import BlockBranches
from mtlkit.task import Task, loss_terms
from mtlkit.task_types import Role

POSES = ("-90", "-45", "0", "45", "90")
GROUPS = {"left": (-90, -45), "front": (0,), "right": (45, 90)}
TASKS = {"identity": Task(role=Role.MAIN), "pose": Task()}
ASSEMBLY = Assembly(
    inputs=InputSpec(shape=(1, 16, 16), mean=(0.0,)),
    targets={"identity": ClassTarget(names=("a", "b", "c")), "pose": ClassTarget(names=POSES)},
)
BACKBONE = CasiaNet(width=0.1, dropout=0.0)
LINEAR = Grouped(task="identity", by="pose", groups=GROUPS)
BLOCK = attrs.evolve(LINEAR, branch=BlockBranch())
ROUTERS = {
    "shared": Shared(),
    "grouped linear": LINEAR,
    "grouped block": BLOCK,
    "cross-stitch": CrossStitch(),
    "mmoe": MMoE(experts=3),
    "cgc": CGC(width=5),
    "ple": PLE(width=5),
    "mtan": MTAN(),
    "dselect-k": DSelectK(per_sample=True),
    "learn-to-branch": LearnToBranch(width=5),
}


def build(routing, backbone=BACKBONE, assembly=ASSEMBLY, tasks=TASKS):
    torch.manual_seed(0)
    return assemble(backbone, routing, tasks, assembly)


def batch(identity=(0, 1, 2, 0), pose=(0, 2, 4, 1)):
    inputs = torch.randn(len(pose), 1, 16, 16)
    return inputs, {"identity": torch.tensor(identity), "pose": torch.tensor(pose)}


def own(branches, group):
    """What only one group has."""
    return (branches.blocks if isinstance(branches, BlockBranches) else branches.heads)[group]


def losses(model, inputs, targets):
    return model.losses(inputs, targets, model.counts(targets))


@pytest.fixture(params=sorted(ROUTERS))
def routing(request):
    return ROUTERS[request.param]


@pytest.fixture
def model(routing):
    return build(routing)


@pytest.fixture(params=["grouped linear", "grouped block"])
def grouped(request):
    return build(ROUTERS[request.param])


def test_every_router_has_an_example(catalog):
    assert {name.split()[0] for name in ROUTERS} == set(catalog.routers.names())
    assert {name.split()[1] for name in ROUTERS if " " in name} == set(catalog.branches.names())


def test_losses_have_one_row_for_each_term(model):
    found = losses(model, *batch())
    assert found.per_sample.shape == (len(model.terms), 4)
    assert found.per_sample.isfinite().all()
    assert found.counts.tolist() == [4.0] * len(model.terms)


def test_gradients_reach_every_parameter(model):
    losses(model, *batch()).mean.sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_an_empty_group_has_zero_not_missing_gradients(grouped):
    losses(grouped, *batch(pose=(2, 2, 2, 2))).mean[-1].backward()
    branches = grouped.router.branches
    for group, wanted in ((0, False), (1, True), (2, False)):
        moved = [p.grad is not None and bool((p.grad != 0).any())
                 for p in own(branches, group).parameters()]  # fmt: skip
        assert any(moved) is wanted
        assert all(p.grad is not None for p in own(branches, group).parameters())


def test_no_group_at_all_has_zero_not_missing_gradients(grouped):
    losses(grouped, *batch(pose=(-1, -1, -1, -1))).mean[-1].backward()
    parameters = list(grouped.router.branches.parameters())
    assert all(p.grad is not None and (p.grad == 0).all() for p in parameters)


def test_an_empty_group_leaves_its_statistics_alone():
    model = build(BLOCK).train()
    before = {k: v.clone() for k, v in own(model.router.branches, 0).state_dict().items()}
    losses(model, *batch(pose=(2, 2, 4, 4)))
    after = own(model.router.branches, 0).state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_sample_without_a_group_counts_in_no_branch(grouped):
    inputs, targets = batch(pose=(0, -1, 4, 1))
    found = losses(grouped, inputs, targets)
    assert found.per_sample[-1, 1] == 0
    assert found.per_sample[0, 1] > 0  # its own identity loss is still there
    assert found.counts.tolist() == [4, 3, 3]  # and the mean is over those that have a group


def test_a_sample_without_identity_counts_in_no_branch(grouped):
    found = losses(grouped, *batch(identity=(0, -1, 2, 0))).per_sample
    assert (found[[0, -1], 1] == 0).all()


def test_each_sample_trains_the_branch_of_its_group_only():
    model = build(LINEAR).eval()
    inputs, targets = batch()
    features = model.features(inputs)
    found = losses(model, inputs, targets).per_sample[-1]
    for place, group in enumerate((0, 1, 2, 0)):
        head = own(model.router.branches, group)
        alone = head.loss(features.shared[[place]], targets["identity"][[place]])
        assert found[place].item() == pytest.approx(alone.item(), rel=1e-5)


@pytest.mark.parametrize("implementation", ["auto", "eager"])
def test_linear_branches_are_one_op_unless_the_head_is_told_how(implementation, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "mtlkit.heads.fusion.grouped_linear_cross_entropy",
        lambda *args, **kwargs: calls.append(1) or grouped_linear_cross_entropy(*args, **kwargs),
    )
    head = Classification(label_smoothing=0.1, implementation=implementation)
    tasks = {**TASKS, "identity": Task(role=Role.MAIN, head=head)}
    model = build(LINEAR, tasks=tasks).eval()
    inputs, targets = batch(identity=(0, -1, 2, 0))
    found = losses(model, inputs, targets).per_sample[-1]
    features = model.features(inputs)
    alone = [
        own(model.router.branches, group).loss(
            features.shared[[place]], targets["identity"][[place]]
        )
        for place, group in enumerate((0, 1, 2, 0))
    ]
    assert torch.allclose(found, torch.cat(alone), atol=1e-6)
    assert len(calls) == (implementation == "auto")


def test_block_branches_agree_with_running_each_group_alone():
    model = build(BLOCK).eval()
    inputs, targets = batch()
    maps = model.features(inputs).maps
    branches = model.router.branches
    found = losses(model, inputs, targets).per_sample[-1]
    for place, group in enumerate((0, 1, 2, 0)):
        features = own(branches, group)(maps[[place]])
        alone = branches.head.loss(features, targets["identity"][[place]])
        assert found[place].item() == pytest.approx(alone.item(), rel=1e-4)


def test_a_group_of_one_sample_trains(grouped):
    grouped.train()
    found = losses(grouped, *batch(pose=(0, 2, 4, 4)))
    found.mean.sum().backward()
    assert found.per_sample.isfinite().all()


def test_group_probabilities_are_the_summed_posteriors(grouped):
    grouped.eval()
    out = grouped(batch()[0])
    posterior = out.outputs["pose"].softmax(dim=1)
    wanted = torch.stack([posterior[:, :2].sum(1), posterior[:, 2], posterior[:, 3:].sum(1)], 1)
    branches = out.branches["identity"]
    assert torch.allclose(branches.probability, wanted, atol=1e-6)
    assert torch.allclose(branches.probability.sum(1), torch.ones(4))
    assert branches.logits.shape == (4, 3, 3)
    assert branches.groups == ("left", "front", "right")


@pytest.mark.parametrize("branch", [LinearBranch(), BlockBranch()])
def test_the_ways_of_routing(branch):
    inputs, targets = batch()
    weights = {}
    for choice in BranchSelection:
        model = build(attrs.evolve(LINEAR, branch=branch, test=choice)).eval()
        weights[choice] = model(inputs, targets).branches["identity"].weights
    probability = model(inputs, targets).branches["identity"].probability
    assert torch.equal(weights[BranchSelection.EXPECTED], probability)
    assert torch.equal(weights[BranchSelection.BEST].argmax(1), probability.argmax(1))
    assert weights[BranchSelection.LABEL].argmax(1).tolist() == [0, 1, 2, 0]
    for way in (BranchSelection.BEST, BranchSelection.LABEL):
        assert torch.equal(weights[way].sum(1), torch.ones(4))


def test_posterior_mixes_the_branches_posteriors(grouped):
    grouped.eval()
    found = grouped(batch()[0]).branches["identity"]
    wanted = torch.einsum("ng,ngc->nc", found.weights, found.logits.softmax(-1))
    assert torch.allclose(found.posterior, wanted, atol=1e-6)
    assert torch.allclose(found.posterior.sum(1), torch.ones(4))


def test_routing_by_label_asks_for_labels():
    model = build(attrs.evolve(LINEAR, test=BranchSelection.LABEL)).eval()
    inputs, targets = batch(pose=(0, -1, 2, 3))
    with pytest.raises(DataError, match="labels of 'pose' are needed"):
        model(inputs)
    with pytest.raises(DataError, match="1 samples have no label of 'pose'"):
        model(inputs, targets)


def test_linear_branches_work_on_any_backbone():
    assembly = attrs.evolve(ASSEMBLY, inputs=InputSpec(shape=(7,), mean=(0.0,)))
    model = build(LINEAR, MLP(hidden=(8,)), assembly)
    found = losses(model, torch.randn(4, 7), batch()[1])
    assert found.per_sample.shape == (3, 4)


def test_block_branches_refuse_a_backbone_in_one_piece():
    assembly = attrs.evolve(ASSEMBLY, inputs=InputSpec(shape=(7,), mean=(0.0,)))
    with pytest.raises(AssemblyError, match="use `branch: linear`"):
        build(BLOCK, MLP(hidden=(8,)), assembly)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"left": (-90, -45), "right": (45, 90)}, "got classes without a group: 0"),
        ({**GROUPS, "up": ("up",)}, "got classes that the data does not have: up"),
    ],
)
def test_groups_must_cover_the_classes(groups, words):
    with pytest.raises(AssemblyError, match=words):
        build(attrs.evolve(LINEAR, groups=groups))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "identty"}, "router.task: no task named 'identty'"),
        ({"by": "yaw"}, "router.by: no task named 'yaw'"),
        ({"by": "age"}, "router.by: the task 'age' predicts no classes"),
        ({"task": "age"}, "router.task: the task 'age' predicts no classes"),
        ({"groups": {"all": POSES}}, "router.groups: expected two groups or more, got 1"),
        ({"groups": {"a": (0, 45), "b": (45,)}}, "'45' is already in the group 'a'"),
    ],
)
def test_routers_say_what_does_not_fit(changes, words):
    terms = loss_terms({**TASKS, "age": Task(head=Regression())})
    found = [str(problem) for problem in attrs.evolve(LINEAR, **changes).problems(terms)]
    assert any(words in problem for problem in found)


def test_a_word_is_no_choice_and_no_role():
    with pytest.raises(
        ValueError, match=r"test: expected a BranchSelection \(expected, best, label\), got"
    ):
        attrs.evolve(LINEAR, test="best")
    with pytest.raises(ValueError, match=r"role: expected a Role \(main, side\), got 'main'"):
        Task(role="main")


def test_large_numbers_are_classes_of_their_own():
    groups = {"a": (1000001,), "b": (1000002, 3.0)}
    found = attrs.evolve(LINEAR, groups=groups).problems(loss_terms(TASKS))
    assert list(found) == []


def test_the_branches_are_a_loss_term_of_their_own():
    terms = LINEAR.terms(loss_terms(TASKS))
    assert [term.name for term in terms] == ["identity", "pose", "identity.branches"]
    assert terms[-1].role is Role.MAIN
    assert Shared().terms(terms) == terms


def test_a_model_saved_and_loaded_says_the_same(model, routing):
    inputs, _ = batch()
    other = assemble(BACKBONE, routing, TASKS, ASSEMBLY)
    other.load_state_dict(model.state_dict(), strict=True)
    first, second = model.eval()(inputs), other.eval()(inputs)
    assert all(torch.equal(first.outputs[t], second.outputs[t]) for t in TASKS)
    for task in first.branches:
        assert torch.equal(first.branches[task].logits, second.branches[task].logits)
