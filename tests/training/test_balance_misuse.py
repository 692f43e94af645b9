"""Misuse of `mtlkit.balance`: every mistake is an error that names its place and value."""

from contextlib import nullcontext

import pytest
import torch

import mtlkit
from mtlkit import Role
from mtlkit.errors import AssemblyError, NotFiniteError
from mtlkit.weightings import MGDA, CAGrad, Equal, NashMTL, Uncertainty

WEIGHTINGS = (Equal(), Uncertainty(), CAGrad(), MGDA(), NashMTL())
NAN, NONE = float("nan"), torch.zeros(8, dtype=torch.bool)


@pytest.fixture(params=WEIGHTINGS, ids=lambda weighting: type(weighting).__name__)
def balance(request):
    return mtlkit.balance(request.param, ("a", "b"))


@pytest.fixture
def net():
    """An encoder, its features of eight samples, and two losses of each sample."""
    torch.manual_seed(0)
    encoder, heads = torch.nn.Linear(4, 3), torch.nn.Linear(3, 2)
    features = encoder(torch.randn(8, 4))
    return encoder, features, heads(features).square().unbind(dim=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, b: {"a": 1.0, "b": b}, "losses.a: got float, expected a tensor of floating"),
        (lambda a, b: {"a": None, "b": b}, "losses.a: got NoneType, expected a tensor of floating"),
        (lambda a, b: {"a": a.long(), "b": b}, "losses.a: got torch.int64, expected a tensor"),
        (lambda a, b: {"a": a + 0j, "b": b}, "losses.a: got torch.complex64, expected a tensor"),
        (lambda a, b: {"a": (a, a, a), "b": b}, "losses.a: got tuple, expected a tensor"),
        (lambda a, b: {"a": (a, [1] * 8), "b": b}, "losses.a: got a mask of list, expected a bool"),
        (lambda a, b: [a, b], "losses: got a list, expected a function for each micro-batch"),
        (lambda a, b: torch.stack([a, b]), "losses: got Tensor, expected the losses by the names"),
        (lambda a, b: (a, b, a), "losses: got tuple, expected the losses by the names of tasks"),
        (lambda a, b: lambda: None, "losses: got NoneType, expected the losses by the names"),
        (lambda a, b: {"a": (a, NONE), "b": (b, NONE)}, "losses: got no label of any task; skip"),
        (lambda a, b: {"a": a[:0], "b": b[:0]}, "losses: got no label of any task; skip a batch"),
    ],
)
def test_other_losses(balance, net, change, message):
    _, features, losses = net
    with pytest.raises(AssemblyError) as caught:
        balance.backward(change(*losses), features=features)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"counts": {"a": -1, "b": 3}}, "counts: got -1 for 'a', expected numbers of targets"),
        ({"counts": {"a": NAN, "b": 3}}, "counts: got nan for 'a', expected numbers of targets"),
        ({"counts": {"c": 1}}, "counts: got 1 for 'c', expected numbers of targets, at least 0"),
        ({"features": "x"}, "features: got str, expected the tensors that heads read"),
        ({"shared": torch.nn.Linear(2, 2)}, "shared: got the module Linear, expected parameters"),
        ({"shared": torch.zeros(2, 2)}, "shared: got the single Tensor, expected parameters; call"),
        ({"lr": NAN}, "lr: got nan, expected a finite learning rate of at least 0"),
        ({"lr": -1.0}, "lr: got -1.0, expected a finite learning rate of at least 0"),
        ({"shared": ["weight"]}, "shared: got str, expected parameters"),
    ],
)
def test_other_options(balance, net, options, message):
    _, features, (a, b) = net
    with pytest.raises(AssemblyError) as caught:
        balance.backward({"a": a, "b": b}, **{"features": features, **options})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("weighting", "tasks", "message"),
    [
        (CAGrad, ("a", "b"), "weighting: got CAGrad, expected a weighting with its options"),
        ("cagrad", ("a", "b"), "weighting: got 'cagrad', expected a weighting with its options"),
        (CAGrad(), ("a", 3), "tasks: got ('a', 3), expected distinct names"),
        (CAGrad(), {"a": "main", "b": Role.SIDE}, "tasks.a: got 'main', expected Role.MAIN or"),
    ],
)
def test_other_weightings_and_tasks(weighting, tasks, message):
    with pytest.raises(AssemblyError) as caught:
        mtlkit.balance(weighting, tasks)
    assert str(caught.value).startswith(message)


def test_the_number_of_targets_of_a_task_that_has_a_loss(balance, net):
    _, features, (a, b) = net
    with pytest.raises(AssemblyError, match="counts: got no targets of 'b', expected their number"):
        balance.backward([lambda: ({"a": a, "b": b}, features)] * 2, counts={"a": 16})


def test_a_task_whose_mask_is_empty_has_no_targets(balance, net):
    _, features, (a, b) = net
    mask = torch.ones(8, dtype=torch.bool)
    balance.backward([lambda: ({"a": (a, mask), "b": (b, ~mask)}, features)], counts={"a": 8})


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_an_update_without_gradients(balance, net, mode):
    _, features, (a, b) = net
    with mode(), pytest.raises(AssemblyError, match="got a call without gradients"):
        balance.backward({"a": a, "b": b}, features=features)


@pytest.mark.parametrize("target", [0.0, NAN])
def test_a_mask_does_not_hide_a_gradient_that_is_not_finite(balance, net, target):
    """The gradient of the loss of a missing target is not a number, even times zero."""
    encoder, features, (_, b) = net
    losses = (features.sum(dim=1) - torch.tensor([target, *[0.0] * 7])).square()
    mask = torch.arange(8) > 0
    refused = pytest.raises(NotFiniteError) if target != target else nullcontext()
    with refused:
        balance.backward({"a": (losses, mask), "b": b}, features=features)
        assert encoder.weight.grad.isfinite().all()


def test_the_state_of_other_tasks(balance):
    state = balance.state_dict()
    for tasks in (("b", "a"), ("a", "c")):
        other = mtlkit.balance(balance.config, tasks)
        with pytest.raises(AssemblyError, match="got the state of other tasks or of another order"):
            other.load_state_dict(state)
    earlier = {**balance.state_dict(), "_extra_state": torch.tensor([3, -1, 0, 0])}
    balance.load_state_dict(earlier)
    assert balance.get_extra_state()[0] == 3
