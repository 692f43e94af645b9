"""Ops and implementations of plugins: found by name, chosen on request, refused with a reason."""

import re

import attrs
import pytest
import torch

from mtlkit import ops
from mtlkit.errors import ImplementationError, LoadFailedError, NotInstalledError, RecipeError
from mtlkit.heads import Classification
from mtlkit.ops import (
    OpTable,
    Request,
    choose,
    explain,
    gate,
    margin_cross_entropy,
    sampled_margin_cross_entropy,
    use,
)
from mtlkit.ops.dispatch import table
from mtlkit.ops.dispatch.choice import find_op
from mtlkit.ops.dispatch.table import builtin_ops
from mtlkit.plugins.catalog import load_catalog
from mtlkit.testing import small_recipe

OPS = builtin_ops()

ACME = """
    import attrs
    from mtlkit.plugins.hooks import hookimpl
    from mtlkit.ops import Cost, Implementation, serves_all

    def refuses(request):
        return "" if request.reduction == "mean" else "seven is no share of a row"

    free = Cost(flops=0, moved=0, calls=0, peak=0)
    SEVENS = Implementation(
        "acme/sevens", "", lambda x, w, b: x @ w.T * 0 + 7, refuses, lambda _: free, op="gate"
    )
    ZEROS = Implementation(
        "acme/zeros", "", lambda call: call.x.sum(dim=1) * 0, serves_all, lambda _: free,
        op="margin_cross_entropy",
    )
    HOMELESS = attrs.evolve(SEVENS, name="acme/homeless", op="")

    @hookimpl
    def mtlkit_register(catalog):
        catalog.implementations.add("acme/sevens", SEVENS, "always seven")
        catalog.implementations.add("acme/zeros", f"{__name__}:ZEROS", "zeros")
        catalog.implementations.add("acme/homeless", HOMELESS, "of no op")
        catalog.implementations.add("acme/strange", f"{__name__}:refuses", "?")
        catalog.implementations.add("acme/renamed", f"{__name__}:ZEROS", "under another name")
        catalog.implementations.add("acme/gone", "acme_gone:GONE", "gone")
"""

X, WEIGHT = torch.ones(5, 3), torch.zeros(2, 3)
ARGS = (X, WEIGHT)


def table_of(selection):
    catalog = load_catalog(selection)
    return OpTable(catalog.ops, catalog.implementations)


@pytest.fixture
def acme(distribution, monkeypatch):
    distribution("acme", ACME)
    monkeypatch.setenv("MTLKIT_PLUGINS", "acme")
    catalog = load_catalog("acme")
    with use(OpTable(catalog.ops, catalog.implementations)):
        yield catalog


def test_it_is_chosen_by_argument_context_and_environment(acme, monkeypatch):
    sevens = torch.tensor([7.0, 7.0])
    assert not torch.equal(gate(*ARGS), sevens)
    assert torch.equal(gate(*ARGS, implementation="acme/sevens"), sevens)
    with use(gate="acme/sevens"):
        assert torch.equal(gate(*ARGS), sevens)
        assert not torch.equal(gate(*ARGS, implementation="eager"), sevens)
    monkeypatch.setenv("MTLKIT_OPS", "gate=acme/sevens")
    assert torch.equal(gate(*ARGS), sevens)


def test_auto_never_takes_it_though_it_costs_nothing(acme):
    for rows in (1, 10**6):
        assert "/" not in choose(OPS["gate"], Request(rows, 8, 4), None).name
    lines = {line.name: line for line in explain(OPS["gate"], Request(5, 3, 2))}
    assert list(lines) == [*OPS["gate"].implementations, "acme/sevens"]
    assert lines["acme/sevens"].seconds == 0
    assert lines["acme/sevens"].chosen == ""


def test_the_reason_why_it_cannot_run_is_told(acme):
    told = "gate: 'acme/sevens', chosen by argument, cannot run: seven is no share of a row"
    with pytest.raises(ImplementationError, match=re.escape(told)):
        gate(*ARGS, reduction="none", implementation="acme/sevens")
    with pytest.raises(ImplementationError, match="an implementation of gate, not of margin_cross"):
        margin_cross_entropy(X, WEIGHT, torch.zeros(5).long(), implementation="acme/sevens")
    with pytest.raises(ImplementationError, match="'acme/homeless' is an implementation of no op"):
        gate(*ARGS, implementation="acme/homeless")
    with pytest.raises(
        LoadFailedError,
        match=r"'acme/strange' of mtlkit-acme 1\.0: .* is of type function; expected",
    ):
        gate(*ARGS, implementation="acme/strange")
    with pytest.raises(LoadFailedError, match="has the name 'acme/zeros'; expected 'acme/renamed'"):
        gate(*ARGS, implementation="acme/renamed")
    with pytest.raises(LoadFailedError, match=r"'acme/gone' of mtlkit-acme 1\.0 failed to import"):
        gate(*ARGS, implementation="acme/gone")


def test_a_margin_serves_the_sampled_one_too(acme):
    weight, target = torch.eye(5, 3), torch.arange(5)
    loss = sampled_margin_cross_entropy(X, weight, target, 5, implementation="acme/zeros").loss
    assert loss == 0


def test_a_recipe_names_it_and_is_checked_with_the_catalog(acme):
    def problems(implementation="auto", **choices):
        plain = small_recipe()
        kind = attrs.evolve(plain.tasks["kind"], head=Classification(implementation=implementation))
        recipe = attrs.evolve(
            plain, tasks={**plain.tasks, "kind": kind}, train=attrs.evolve(plain.train, ops=choices)
        )
        assert recipe.problems() == []  # what a plugin provides is known with the catalog only
        return [str(problem) for problem in recipe.problems(acme.op_table)]

    assert problems(gate="acme/sevens") == []
    assert problems("acme/sevens") == [
        "tasks.kind.head.implementation: 'acme/sevens' is an implementation of gate, not of "
        "linear_cross_entropy"
    ]
    (message,) = problems("acme/seven")
    assert "tasks.kind.head.implementation: no implementation named 'acme/seven'; did" in message
    (message,) = problems(gate="acme/seven")
    assert "train.ops.gate: no implementation named 'acme/seven'; did you mean" in message
    (message,) = problems(**{"acme/hinge": "eager"})
    assert "train.ops.acme/hinge: no op named 'acme/hinge'" in message
    (message,) = problems(gate="acme/gone")
    assert "train.ops.gate: the implementation 'acme/gone' of mtlkit-acme 1.0 failed" in message
    recipe = attrs.evolve(
        small_recipe(), train=attrs.evolve(small_recipe().train, ops={"gate": "acme/zeros"})
    )
    with pytest.raises(RecipeError, match=r"train\.ops\.gate: 'acme/zeros' is an implementation"):
        recipe.check(acme.op_table)


def test_it_is_passed_as_a_value(acme):
    sevens = acme.implementations.get("acme/sevens")
    with use(table.REGISTERED):
        assert torch.equal(gate(*ARGS, implementation=sevens), torch.tensor([7.0, 7.0]))
        with use(gate=sevens):
            assert torch.equal(gate(*ARGS), torch.tensor([7.0, 7.0]))
            assert not torch.equal(gate(*ARGS, implementation="eager"), torch.tensor([7.0, 7.0]))
        with pytest.raises(ImplementationError, match="of gate, not of margin_cross_entropy"):
            margin_cross_entropy(X, WEIGHT, torch.zeros(5).long(), implementation=sevens)
        imposter = attrs.evolve(sevens, name="eager")
        with pytest.raises(
            ImplementationError, match="gate has an implementation named 'eager' al"
        ):
            gate(*ARGS, implementation=imposter)
    assert not torch.equal(gate(*ARGS), torch.tensor([7.0, 7.0]))


def test_it_is_registered_by_its_name(acme, monkeypatch):
    monkeypatch.setattr(table.REGISTERED.implementations, "_values", {})
    sevens = acme.implementations.get("acme/sevens")
    with use(table.REGISTERED):
        with pytest.raises(
            ImplementationError, match="'acme/sevens' is registered; register it wi"
        ):
            gate(*ARGS, implementation="acme/sevens")
        ops.register(sevens)
        ops.register(sevens)  # the same again changes nothing
        assert torch.equal(gate(*ARGS, implementation="acme/sevens"), torch.tensor([7.0, 7.0]))
        assert choose(OPS["gate"], Request(5, 3, 2), None).name == "eager"
        with pytest.raises(ImplementationError, match="'acme/sevens' is registered already"):
            ops.register(attrs.evolve(sevens, summary="another"))


def test_one_that_is_left_out_or_not_installed_says_so():
    with use(table_of("none")):
        with pytest.raises(NotInstalledError, match="'hello/by-rows' is unavailable: left out"):
            gate(*ARGS, implementation="hello/by-rows")
        with pytest.raises(NotInstalledError, match="the op 'hello/focal' is unavailable: left"):
            find_op("hello/focal")
        with (
            pytest.raises(NotInstalledError, match=r"use\(\): the op 'hello/focal' is unavailable"),
            use(**{"hello/focal": "eager"}),
        ):
            pass


def test_an_environment_that_names_a_plugins_op_needs_a_table_to_be_checked(acme, monkeypatch):
    plain = gate(*ARGS)
    monkeypatch.setenv("MTLKIT_OPS", "acme/hinge=eager")
    with pytest.raises(Exception, match="MTLKIT_OPS: no op named 'acme/hinge'"):
        gate(*ARGS)
    with use(table.REGISTERED):
        assert torch.equal(gate(*ARGS), plain)


def test_it_is_traced_in_one_graph_beside_the_others(acme):
    def both(x, weight):
        return gate(x, weight, implementation="acme/sevens") + gate(x, weight)

    compiled = torch.compile(both, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(*ARGS), both(*ARGS))


def test_it_is_traced_as_a_value(acme):
    sevens = acme.implementations.get("acme/sevens")

    def both(x, weight):
        return gate(x, weight, implementation=sevens) + gate(x, weight)

    with use(table.REGISTERED):
        compiled = torch.compile(both, backend="aot_eager", fullgraph=True)
        assert torch.equal(compiled(*ARGS), both(*ARGS))
