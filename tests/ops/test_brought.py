"""What plugins bring to the ops: found by name, chosen when asked for, refused with the reason."""

import re

import pytest
import torch

from mtlkit.errors import ImplementationError, LoadFailedError, NotInstalledError
from mtlkit.heads import Classification
from mtlkit.ops import explain, gate, margin_cross_entropy, sampled_margin_cross_entropy, use
from mtlkit.ops.catalog import OPS
from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.dispatch.plugin_ops import op_called, searched_in
from mtlkit.plugins.catalog import load_catalog

ACME = """
    import attrs
    from typing import ClassVar
    from mtlkit.plugins.hooks import hookimpl
    from mtlkit.ops.configs import OpImplementation

    @attrs.frozen(kw_only=True)
    class Sevens(OpImplementation):
        '''Sevens, if asked for a mean.'''

        op: ClassVar[str] = "gate"

        def build(self):
            from mtlkit.ops.dispatch.implementation import Cost, Implementation

            def refuses(request):
                return "" if request.reduction == "mean" else "seven is no share of a row"

            free = Cost(flops=0, moved=0, calls=0, peak=0)
            return Implementation(
                "sevens", "", lambda x, w, b: x @ w.T * 0 + 7, refuses, lambda _: free
            )

    class Margin(Sevens):
        '''Zeros.'''

        op: ClassVar[str] = "margin_cross_entropy"

        def build(self):
            from mtlkit.ops.dispatch.implementation import serves_all

            zeros = lambda call: call.x.sum(dim=1) * 0
            return super().build()._replace(run=zeros, refuses=serves_all)

    class Strange(Sevens):
        '''Builds something else.'''

        def build(self):
            return 7

    @hookimpl
    def mtlkit_register(catalog):
        catalog.implementations.add("acme/sevens", Sevens, "always seven")
        catalog.implementations.add("acme/zeros", attrs.frozen(kw_only=True)(Margin), "zeros")
        catalog.implementations.add("acme/strange", attrs.frozen(kw_only=True)(Strange), "?")
        catalog.implementations.add("acme/gone", "acme_gone:Gone", "gone")
"""

X, WEIGHT = torch.ones(5, 3), torch.zeros(2, 3)
ARGS = (X, WEIGHT)


@pytest.fixture
def acme(distribution, monkeypatch):
    distribution("acme", ACME, api="1.2")
    monkeypatch.setenv("MTLKIT_PLUGINS", "acme")
    with searched_in(load_catalog("acme")):
        yield


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
    assert lines["acme/sevens"].seconds == 0
    assert lines["acme/sevens"].chosen == ""
    assert (
        "build gives an object of type int; expected an Implementation"
        in lines["acme/strange"].refuses
    )


def test_the_reason_why_it_cannot_run_is_told(acme):
    told = "gate: 'acme/sevens', chosen by argument, cannot run: seven is no share of a row"
    with pytest.raises(ImplementationError, match=re.escape(told)):
        gate(*ARGS, reduction="none", implementation="acme/sevens")
    with pytest.raises(ImplementationError, match="an implementation of gate, not of margin_cross"):
        margin_cross_entropy(X, WEIGHT, torch.zeros(5).long(), implementation="acme/sevens")
    with pytest.raises(
        ImplementationError, match=r"'acme/strange' of mtlkit-acme 1\.0: build gives"
    ):
        gate(*ARGS, implementation="acme/strange")
    with pytest.raises(LoadFailedError, match=r"'acme/gone' of mtlkit-acme 1\.0 failed to import"):
        gate(*ARGS, implementation="acme/gone")


def test_a_margin_serves_the_sampled_one_too(acme):
    weight, target = torch.eye(5, 3), torch.arange(5)
    loss = sampled_margin_cross_entropy(X, weight, target, 5, implementation="acme/zeros").loss
    assert loss == 0


def test_a_recipe_may_name_it_and_is_told_where_it_may_not(acme):
    wrong = "implementation: 'acme/sevens' is an implementation of gate, not of linear_cross_ent"
    with pytest.raises(ValueError, match=wrong):
        Classification(implementation="acme/sevens")
    with pytest.raises(ValueError, match="implementation: no implementation named 'acme/seven'; d"):
        Classification(implementation="acme/seven")


def test_one_that_is_left_out_or_not_installed_says_so():
    with searched_in(load_catalog("none")):
        with pytest.raises(
            NotInstalledError, match="'hello/by-rows' is unavailable: left out by M"
        ):
            gate(*ARGS, implementation="hello/by-rows")
        with pytest.raises(
            NotInstalledError, match="the op 'hello/focal' is unavailable: left out"
        ):
            op_called("hello/focal")


def test_it_is_traced_in_one_graph_beside_the_others(acme):
    def both(x, weight):
        return gate(x, weight, implementation="acme/sevens") + gate(x, weight)

    compiled = torch.compile(both, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(*ARGS), both(*ARGS))
