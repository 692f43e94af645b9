"""Every op that a training step uses can be chosen by the recipe, and by the environment."""

from collections import Counter

import attrs
import pytest

from mtlkit.errors import ImplementationError, RecipeError
from mtlkit.heads import Classification, Margin
from mtlkit.ops.dispatch.table import builtin_ops
from mtlkit.plugins.catalog import load_catalog
from mtlkit.recipe_io import dump_recipe, parse_recipe
from mtlkit.routers import Grouped
from mtlkit.runs.fit import fit
from mtlkit.task import Task
from mtlkit.task_types import Role
from mtlkit.testing import add_small_data, small_recipe
from mtlkit.training.update import Updater
from mtlkit.weightings import Dynamic

OPS = builtin_ops()

MAIN, SIDE = Task(role=Role.MAIN), Task()
PLAIN = attrs.evolve(small_recipe(), train=attrs.evolve(small_recipe().train, epochs=1))
# an op, a recipe in which it runs, and the implementation to ask for
STEPS = {
    "linear_cross_entropy": ({"tasks": {"kind": MAIN}}, "chunked"),
    "multi_head_cross_entropy": ({"tasks": {"kind": MAIN, "side": SIDE}}, "concatenated"),
    "gate": ({"tasks": {"kind": MAIN, "side": SIDE}, "weighting": Dynamic()}, "concatenated"),
    "grouped_linear_cross_entropy": (
        {
            "tasks": {"kind": MAIN, "side": SIDE},
            "router": Grouped(task="kind", by="side", groups={"l": ("left",), "r": ("right",)}),
        },
        "sorted",
    ),
    "margin_cross_entropy": (
        {"tasks": {"kind": attrs.evolve(MAIN, head=Margin(scale=8.0))}},
        "chunked",
    ),
    "sampled_margin_cross_entropy": (
        {
            "tasks": {"kind": attrs.evolve(MAIN, head=Margin(scale=8.0, sample=0.0))},
            "train": attrs.evolve(PLAIN.train, batch=2),
        },
        "chunked",
    ),
}
OF_MATCHING = {"match_template", "match_scores"}
DIVIDED = {"cosine_negatives"}  # of heads with 64 classes or more: tests/training/test_sharded.py


def test_every_op_of_a_training_step_is_here():
    assert set(STEPS) | OF_MATCHING | DIVIDED == set(OPS)


@pytest.fixture
def ran(monkeypatch):
    """How often the implementation that is asked for has run, in updates or elsewhere, by op."""
    counts, updating = Counter(), []
    update = Updater.update

    def updated(self, *given):
        updating.append(True)
        try:
            return update(self, *given)
        finally:
            updating.clear()

    monkeypatch.setattr(Updater, "update", updated)
    for op, (_, name) in STEPS.items():
        if op.startswith("sampled"):
            continue  # it passes its choice on to the margin cross-entropy
        plain = OPS[op].implementations[name]

        def run(*args, op=op, plain=plain):
            counts[op, bool(updating)] += 1
            return plain.run(*args)

        counted = attrs.evolve(plain, run=run)
        monkeypatch.setitem(OPS[op].implementations, name, counted)
        if op == "margin_cross_entropy":
            sampled = OPS["sampled_margin_cross_entropy"].implementations
            monkeypatch.setitem(sampled, name, counted)

    def times(op, in_updates=True):
        # once a sample is drawn, its loss is the margin's
        return counts["margin_cross_entropy" if op.startswith("sampled") else op, in_updates]

    return times


def trained(recipe, out):
    return fit(recipe, out, catalog=add_small_data(load_catalog("none")), quiet=True, report=False)


@pytest.mark.parametrize("op", STEPS)
def test_by_the_recipe(op, ran, tmp_path):
    changes, name = STEPS[op]
    recipe = attrs.evolve(PLAIN, **changes)
    trained(recipe, tmp_path / "left-open")
    assert ran(op) == 0  # so small a step is taken by the definition
    chosen = attrs.evolve(recipe, train=attrs.evolve(recipe.train, ops={op: name}))
    trained(chosen, tmp_path / "chosen")
    assert ran(op) > 0


@pytest.mark.parametrize("op", STEPS)
def test_by_the_environment(op, ran, tmp_path, monkeypatch):
    changes, name = STEPS[op]
    monkeypatch.setenv("MTLKIT_OPS", f"{op}={name}")
    trained(attrs.evolve(PLAIN, **changes), tmp_path / "run")
    assert ran(op) > 0


def test_a_head_is_stronger_than_the_recipe_than_the_environment(ran, tmp_path, monkeypatch):
    monkeypatch.setenv("MTLKIT_OPS", "linear_cross_entropy=chunked")
    train = attrs.evolve(PLAIN.train, ops={"linear_cross_entropy": "saved-softmax"})
    recipe = attrs.evolve(PLAIN, tasks={"kind": MAIN}, train=train)
    trained(recipe, tmp_path / "recipe")
    assert ran("linear_cross_entropy") == 0
    head = Classification(implementation="chunked")
    recipe = attrs.evolve(recipe, tasks={"kind": attrs.evolve(MAIN, head=head)})
    trained(recipe, tmp_path / "head")
    assert ran("linear_cross_entropy") > 0


def test_what_cannot_run_says_why(tmp_path):
    changes, _ = STEPS["grouped_linear_cross_entropy"]
    train = attrs.evolve(PLAIN.train, ops={"grouped_linear_cross_entropy": "grouped_mm"})
    told = "'grouped_mm', chosen by context, cannot run: F.grouped_mm needs rows of a multiple of"
    with pytest.raises(ImplementationError, match=told):
        trained(attrs.evolve(PLAIN, **changes, train=train), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_no_head_can_use_is_refused_before_anything_is_run():
    with pytest.raises(ValueError, match="ops: linear_cross_entropy: expected one of auto, eager"):
        attrs.evolve(PLAIN.train, ops={"linear_cross_entropy": "fused-grad"})


def test_an_evaluation_does_not_depend_on_how_training_computed(ran, tmp_path):
    """Else `mtlkit evaluate` would not find what the run's own evaluation found."""
    train = attrs.evolve(PLAIN.train, ops={"multi_head_cross_entropy": "concatenated"})
    trained(attrs.evolve(PLAIN, train=train), tmp_path / "run")
    assert ran("multi_head_cross_entropy") > 0
    assert ran("multi_head_cross_entropy", in_updates=False) == 0


def test_in_a_file(catalog):
    catalog = add_small_data(catalog)
    train = attrs.evolve(PLAIN.train, ops={"gate": "eager", "margin_cross_entropy": "auto"})
    recipe = attrs.evolve(PLAIN, train=train)
    text = dump_recipe(recipe, catalog)
    assert parse_recipe(text, "recipe.yaml", catalog) == recipe
    for wrong, told in (
        ("gates: eager", "train.ops: no op named 'gates'; did you mean 'gate'?"),
        (
            "gate: eagre",
            "train.ops: gate: expected one of auto, eager, concatenated, or a plugin's",
        ),
        ("gate: acme/fast", "train.ops.gate: the implementation 'acme/fast' is unavailable"),
        ("gate: 1", "train.ops.gate: expected"),
    ):
        changed = text.replace("gate: eager", wrong)
        assert changed != text
        with pytest.raises(RecipeError) as caught:
            parse_recipe(changed, "recipe.yaml", catalog)
        assert told in str(caught.value)


def test_they_are_chosen_for_the_run_alone(ran, tmp_path):
    train = attrs.evolve(PLAIN.train, ops={"multi_head_cross_entropy": "concatenated"})
    trained(attrs.evolve(PLAIN, train=train), tmp_path / "run")
    before = ran("multi_head_cross_entropy")
    assert before > 0
    trained(PLAIN, tmp_path / "other")
    assert ran("multi_head_cross_entropy") == before
