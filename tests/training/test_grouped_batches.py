"""Batches by task or by class: sizes, epochs, the labels that count, and exact resumption."""

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit import GroupedBatches, Transforms
from mtlkit.data import Erase
from mtlkit.errors import AssemblyError, RecipeError
from mtlkit.recipe_io import dump_recipe, parse_recipe
from mtlkit.training.batching.batch_order import AlternatingOrder, Group, GroupedOrder, batch_order
from mtlkit.training.batching.batches import Batches
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.optimization.optimizer_state import optimizer_state, restore_optimizer
from mtlkit.weightings import AutoLambda, Dynamic, GradNorm, MoDo, SDMGrad

COUNTS = {"who": 50, "side": 50, "rare": 8, "age": 40}
"""Samples of `points.Points` with the label of each task."""


def recipe_of(points, weighting=None, **settings):
    train = {k: settings.pop(k) for k in ("batch", "accumulate") if k in settings}
    batches = GroupedBatches(**settings)
    return attrs.evolve(
        points.PLAIN,
        weighting=weighting or points.PLAIN.weighting,
        train=attrs.evolve(points.PLAIN.train, batches=batches, **train),
    )


def order_of(points, **settings):
    made = points.updater(recipe_of(points, **settings))
    return made.batches.order


def epoch_of(order, number=0):
    """Return the samples of each group in the updates of an epoch, as lists by update."""
    return [
        [update.samples[update.origins.groups == g].tolist() for g in range(len(order.groups))]
        for update in order.updates(number)
    ]


@settings(max_examples=60)
@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    size=st.integers(1, 9),
    updates=st.integers(1, 30),
    accumulate=st.integers(1, 3),
    world=st.integers(1, 2),
    draws=st.integers(1, 2),
    separate=st.booleans(),
    alternate=st.booleans(),
    seed=st.integers(0, 5),
)
def test_passes_are_whole_and_parts_divide_an_update(
    counts, size, updates, accumulate, world, draws, separate, alternate, seed
):
    groups = [
        Group(str(n), 100 * n + torch.arange(count), size, updates)
        for n, count in enumerate(counts)
    ]
    order = (AlternatingOrder if alternate else GroupedOrder)(groups, seed=seed)
    try:
        batches = Batches(order, accumulate=accumulate, world=world, draws=draws, separate=separate)
    except AssemblyError:
        smallest = order.smallest_group if separate else order.smallest
        assert smallest < accumulate * world * draws
        return
    drawn = []
    for step in range(batches.per_epoch):
        batch = batches.update(step)
        drawn += zip(batch.origins.groups.tolist(), batch.whole.tolist(), strict=True)
        assert all(sample // 100 == group for group, sample in drawn)
        for parts in ([batches.update(step, rank) for rank in range(world)],):
            samples = torch.cat([micro for part in parts for micro in part.micro_batches])
            assert sorted(samples.tolist()) == sorted(batch.whole.tolist())
            for part in parts:
                for micro, origins in zip(part.micro_batches, part.micro_origins, strict=True):
                    assert len(micro) == len(origins.groups) >= 1
                    assert (micro // 100).equal(origins.groups)
                    assert not separate or len(origins.groups.unique()) == 1
        several = batches.drawn(batch)
        samples = torch.cat([draw.whole for draw in several])
        assert sorted(samples.tolist()) == sorted(batch.whole.tolist())
    for number, group in enumerate(groups):
        times = [drawn.count((number, sample)) for sample in group.samples.tolist()]
        assert max(times) - min(times) <= 1  # whole passes, and a part of one
        if -(-len(times) // size) == updates:
            assert set(times) == {1}


def test_the_order_depends_on_seed_epoch_and_task_alone(points):
    one, other = (points.updater(recipe_of(points)).batches for _ in range(2))
    for step in (30, 2, 14, 2):  # in any order, as after a resume
        assert one.update(step).whole.equal(other.update(step).whole)
    first, second = epoch_of(one.order), epoch_of(one.order, 1)
    assert first != second
    # the same samples have the labels of `who` and `side`, and their orders differ
    assert [update[0] for update in first] != [update[1] for update in first]
    fewer = recipe_of(points)
    fewer = attrs.evolve(fewer, tasks={name: fewer.tasks[name] for name in ("side", "age")})
    sizes = GroupedBatches(sizes={"side": 4, "age": 4})
    fewer = attrs.evolve(fewer, train=attrs.evolve(fewer.train, batches=sizes))
    alone = epoch_of(points.updater(fewer).batches.order)
    assert [update[0] for update in alone] == [update[1] for update in first]


@pytest.mark.parametrize(
    ("settings", "sizes", "updates"),
    [
        ({}, [4, 4, 4, 4], 13),
        ({"epoch": "shortest"}, [4, 4, 4, 4], 2),
        ({"epoch": 5}, [4, 4, 4, 4], 5),
        ({"ratios": {"who": 5}}, [10, 2, 2, 2], 25),
        ({"sizes": {"who": 10, "side": 5, "rare": 1, "age": 2}}, [10, 5, 1, 2], 20),
        ({"temperature": 1.0, "batch": 148}, [50, 50, 8, 40], 1),
        ({"temperature": 1e6}, [4, 4, 4, 4], 13),
    ],
)
def test_sizes_and_epochs(points, settings, sizes, updates):
    order = order_of(points, **settings)
    assert [group.size for group in order.groups] == sizes
    assert order.per_epoch == updates


@pytest.mark.parametrize(
    ("settings", "updates"),
    [
        ({"batch": 10}, [5, 5, 5, 5]),
        ({"batch": 10, "temperature": 1.0}, [5, 5, 1, 4]),
        ({"batch": 10, "epoch": "shortest"}, [1, 1, 1, 1]),
        ({"batch": 10, "epoch": 9, "ratios": {"who": 6}}, [6, 1, 1, 1]),
        ({"sizes": {"who": 50, "side": 25, "rare": 8, "age": 4}}, [10, 10, 10, 10]),
    ],
)
def test_alternating_updates_hold_one_task(points, settings, updates):
    order = order_of(points, alternate=True, **settings)
    owners = [update.origins.groups.unique().tolist() for update in order.updates(0)]
    assert all(len(owner) == 1 for owner in owners)
    assert [owners.count([task]) for task in range(4)] == updates
    assert order.per_epoch == sum(updates)
    assert owners != sorted(owners)


def test_classes_of_a_label_are_groups_in_which_every_label_counts(points):
    made = points.updater(recipe_of(points, per="side", batch=10))
    columns = made.context.data.train.columns
    for update in made.batches.order.updates(0):
        assert columns["side"].codes[update.samples].equal(update.origins.groups)
    batch = made.batches.update(0)
    counts = made.backward.labels.read(batch).counts
    present = [columns[task].present()[batch.whole].sum().item() for task in points.TASKS]
    assert counts.tolist() == present


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("lazy", [False, True])
def test_only_the_labels_of_its_task_count_in_a_sample(points, lazy, accumulate):
    settings = {"per": "task", "batch": 20, "accumulate": accumulate}
    recipe = attrs.evolve(recipe_of(points, **settings), data=points.Elements(lazy=lazy))
    dense = attrs.evolve(recipe, backbone=points.DENSE.backbone, tasks=points.DENSE.tasks)
    made = points.updater(dense)
    batch = made.batches.update(0)
    labels = made.backward.labels.read(batch)
    model = made.inner.model
    rows = made.context.targets["train"]
    every = model.weights({task: values[batch.whole] for task, values in rows.items()})
    mine = batch.origins.groups == torch.arange(len(model.tasks)).unsqueeze(1)
    assert labels.counts.tolist() == (every * mine).sum(dim=1).tolist()
    assert (every * ~mine).any()  # other labels are present, and do not count
    total = torch.cat(list(labels.weights), dim=1).sum(dim=1)
    assert total.tolist() == labels.counts.tolist()


def trained(points, recipe, updates=3):
    made = points.updater(recipe)
    for step in range(updates):
        made.update(step)
    return made


def tasks_for(points, recipe):
    """Return the recipe without `rare` for weightings that need each label in every draw."""
    tasks = recipe.tasks
    if isinstance(recipe.weighting, MoDo | SDMGrad | AutoLambda):
        tasks = {name: task for name, task in tasks.items() if name != "rare"}
    return attrs.evolve(recipe, tasks=tasks)


def test_every_weighting_trains_by_task_whole_in_parts_and_in_passes(points, scheme):
    whole, parts, passes = (
        trained(points, tasks_for(points, recipe_of(points, scheme, batch=24, **settings)))
        for settings in ({}, {"accumulate": 2}, {"separate": True})
    )
    state = tensors_of(whole.inner)
    assert all(value.isfinite().all() for value in state.values())
    torch.testing.assert_close(tensors_of(parts.inner), state)
    if whole.batches.draws == 1:  # separate passes divide an update into other draws
        torch.testing.assert_close(tensors_of(passes.inner), state)


def test_every_weighting_alternates(points, scheme):
    made = trained(points, recipe_of(points, scheme, batch=12, alternate=True), updates=4)
    assert all(value.isfinite().all() for value in tensors_of(made.inner).values())


@pytest.mark.parametrize("alternate", [False, True])
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("weighting", [Dynamic(), GradNorm(), MoDo()])
def test_a_resumed_run_makes_the_same_updates(points, weighting, accumulate, alternate):
    recipe = recipe_of(
        points, weighting, batch=24, accumulate=accumulate, alternate=alternate, epoch="shortest"
    )
    recipe = tasks_for(points, recipe)
    one = trained(points, recipe, updates=4)
    model, scheme = (
        {name: value.clone() for name, value in tensors_of(module).items()}
        for module in (one.inner.model, one.inner.weighting)
    )
    saved = optimizer_state(one.optimizer)
    saved = attrs.evolve(saved, tensors={k: v.clone() for k, v in saved.tensors.items()})
    other = points.updater(recipe)
    other.inner.model.load_state_dict(model)
    other.inner.weighting.load_state_dict(scheme)
    restore_optimizer(other.optimizer, saved)
    for made in (one, other):
        for step in range(4, 9):
            made.update(step)
    left, right = tensors_of(one.inner), tensors_of(other.inner)
    assert all(left[name].equal(right[name]) for name in left)


def test_separate_passes_give_batch_norm_samples_of_one_task_at_a_time(points):
    backbone = points.CasiaNet(width=0.05, dropout=0.0)
    means = []
    for separate in (False, True):
        recipe = recipe_of(points, batch=16, separate=separate)
        made = trained(points, attrs.evolve(recipe, backbone=backbone), updates=1)
        tracked = [b for n, b in made.inner.named_buffers() if n.endswith("num_batches_tracked")]
        assert {int(count) for count in tracked} == {4 if separate else 1}
        means.append(next(b for n, b in made.inner.named_buffers() if n.endswith("running_mean")))
    assert not means[0].allclose(means[1])


def test_a_repeated_sample_is_transformed_anew_in_each_pass(points):
    recipe = attrs.evolve(recipe_of(points), transforms=Transforms(train=(Erase(p=1.0),)))
    made = points.updater(recipe)
    images = {}
    for step in range(made.batches.per_epoch):
        batch = made.batches.update(step)
        (read,) = made.backward.labels.read(batch).inputs
        rows = zip(batch.whole.tolist(), batch.origins.groups, batch.origins.passes, strict=True)
        for place, (sample, group, turn) in enumerate(rows):
            if list(recipe.tasks)[group] == "rare":
                images.setdefault(sample, {})[int(turn)] = read[place]
    assert len(images) == COUNTS["rare"]
    for turns in images.values():
        assert len(turns) >= 6
        assert len({image.numpy().tobytes() for image in turns.values()}) >= 5


RECIPE = """
data: points
backbone: mlp
tasks: {who: {}, side: {}, rare: {}, age: {head: regression}}
train: {batches: %s}
"""


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ("{sizes: {who: 3}}", "got no size of side, rare, age; state the size of each task"),
        ("{ratios: {hwo: 3}}", "got 'hwo', which is not a task; did you mean 'who'?"),
        ("{ratios: {who: 3}, temperature: 2}", "got `ratios` too; remove one of them"),
        ("{epoch: longer}", "expected 'longest' or 'shortest' or a whole number of at least 1"),
        ("by-task", "train.batches: expected one of joint or a mapping"),
    ],
)
def test_mistakes_are_found_when_the_recipe_is_read(points, batches, message):
    with pytest.raises(RecipeError) as raised:
        parse_recipe(RECIPE % batches, "r.yaml", points.catalog())
    assert message in str(raised.value)


def test_a_recipe_keeps_its_batches(points):
    catalog = points.catalog()
    text = RECIPE % "{sizes: {who: 3, side: 1, rare: 1, age: 2}, epoch: 7, separate: true}"
    recipe = parse_recipe(text, "r.yaml", catalog)
    assert recipe.train.batches.epoch == 7
    assert parse_recipe(dump_recipe(recipe, catalog), "again.yaml", catalog) == recipe


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch": 3}, "train.batch: got 3 for 4 groups of samples; expected one for each or more"),
        ({"per": "rare"}, "train.batches.per: 42 of 50 training samples lack the label 'rare'"),
        (
            {"per": "side", "sizes": {"left": 2, "rigth": 2}},
            "train.batches.sizes: got 'rigth', which is not a class of the label 'side'; did you "
            "mean 'right'?",
        ),
        (
            {"separate": True, "batch": 8, "accumulate": 3},
            "train.batches: groups of 2 samples cannot be divided among 1 processes and 3 micro",
        ),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused(points, settings, message):
    with pytest.raises(AssemblyError) as raised:
        points.updater(recipe_of(points, **settings))
    assert message in str(raised.value)


def test_a_joint_order_is_the_default(points):
    order = batch_order(points.PLAIN, points.updater(points.PLAIN).context.data.train)
    assert all(update.origins is None for update in order.updates(0))
