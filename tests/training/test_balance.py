"""A hand-written loop with `mtlkit.balance` does what the recipe does, for every weighting."""

import attrs
import torch

import mtlkit
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.parameter_groups import parameter_groups
from mtlkit.weightings import (
    AutoLambda,
    CAGrad,
    Dynamic,
    GradientLocation,
    GradientWeighting,
    MoDo,
    SDMGrad,
)

UPDATES = 4


class Loop:
    """The training loop of a recipe, written by hand."""

    def __init__(self, points, recipe, **options):
        made = points.updater(recipe)  # the model and the order of the samples
        self.context, self.batches, self.model = made.context, made.batches, made.inner.model
        self.rate = recipe.optimizer.lr
        self.balance = mtlkit.balance(
            recipe.weighting,
            {name: task.role for name, task in recipe.tasks.items()},
            feature_width=self.model.router.features,
            classes={term.name: term.classes for term in self.model.terms},
            seed=recipe.seed,
            model=self.model,
            **options,
        )
        groups = parameter_groups(made.inner, recipe.optimizer)
        learned = {id(p) for p in made.inner.weighting.parameters()}
        groups = [g for g in groups if id(g["params"][0]) not in learned]
        if list(self.balance.parameters()):
            groups.append(self.balance.parameter_group(self.rate))
        self.optimizer = recipe.optimizer.build(groups)
        self.where = {}
        scheme = recipe.weighting
        if isinstance(scheme, GradientWeighting) and scheme.at is not GradientLocation.FEATURES:
            layers = [m for m in self.model.router.modules() if isinstance(m, torch.nn.Linear)]
            last = scheme.at is GradientLocation.LAST_SHARED_LAYER
            module = layers[-1] if last else self.model.router
            self.where = {"shared": list(module.parameters())}

    def forward(self, index, reduce=False):
        targets = {task: v[index] for task, v in self.context.targets["train"].items()}
        features = self.model.features(self.context.data.train.inputs[index]).shared
        losses = {}
        # gradients at the features are added in this order, which decides the last bit
        for task in sorted(self.model.tasks, key="age".__ne__):
            head = self.model.head(task)
            loss, present = head.loss(features, targets[task]), head.present(targets[task])
            if reduce and present.any():
                losses[task] = loss.sum() / present.sum()
            elif not reduce:
                losses[task] = (loss, present)
        return losses, features

    def update(self, step, reduce=False):
        batch = self.batches.update(step)
        if step % self.batches.per_epoch == 0:
            self.balance.start_epoch()
        self.optimizer.zero_grad()
        whole, draws = batch.whole, []
        if self.batches.draws > 1:
            parts = [draw.whole for draw in self.batches.drawn(batch)]
            whole = parts.pop(2 if len(parts) == 3 else 0)
            draws = [lambda part=part: self.forward(part, reduce) for part in parts]
        if len(batch.micro_batches) > 1:
            train = self.context.targets["train"]
            targets = {t: self.model.head(t).present(v[whole]) for t, v in train.items()}
            counts = {task: float(mask.sum()) for task, mask in targets.items()}
            parts = [lambda i=i: self.forward(i) for i in batch.micro_batches]
            result = self.balance.backward(parts, counts=counts, lr=self.rate, **self.where)
        else:
            losses, features = self.forward(whole, reduce)
            result = self.balance.backward(
                losses, features=features, draws=draws, lr=self.rate, **self.where
            )
        self.optimizer.step()
        again = [lambda i=i: self.forward(i, reduce) for i in batch.micro_batches]
        self.balance.after_step(again if len(again) > 1 else again[0])
        return result


def recipe_of(points, scheme, **train):
    # heads that are fused into one op add up their gradients in another order
    ops = {"multi_head_cross_entropy": "eager", "linear_cross_entropy": "eager"}
    train = attrs.evolve(points.PLAIN.train, ops=ops, **train)
    tasks = points.TASKS
    if isinstance(scheme, MoDo | SDMGrad | AutoLambda):  # they need a label in every draw
        tasks = {name: task for name, task in tasks.items() if name != "rare"}
    if isinstance(scheme, Dynamic) and scheme.gate_main:  # it needs two main tasks
        tasks = {**tasks, "side": mtlkit.Task(role=mtlkit.Role.MAIN)}
    return attrs.evolve(points.PLAIN, weighting=scheme, tasks=tasks, train=train)


def assert_same_bits(made, loop):
    for one, other in (
        (made.inner.model, loop.model),
        (made.inner.weighting, loop.balance.weighting),
    ):
        first, second = tensors_of(one), tensors_of(other)
        assert first.keys() == second.keys()
        different = [name for name in first if not first[name].equal(second[name])]
        assert not different, {n: (first[n] - second[n]).abs().max() for n in different}


def pair(points, recipe):
    return points.updater(recipe), Loop(points, recipe)


def both(made, loop, steps, **options):
    for step in steps:
        made.update(step)
        loop.update(step, **options)


def test_a_loop_ends_in_the_bits_of_the_recipe(points, scheme):
    made, loop = pair(points, recipe_of(points, scheme))
    both(made, loop, range(UPDATES))
    assert_same_bits(made, loop)


def test_mean_losses_do_the_same_and_a_task_without_labels_is_left_out(points, scheme):
    if scheme.reads_features:
        return  # refused, see below
    made, loop = pair(points, recipe_of(points, scheme, batch=12))  # some without the label `rare`
    both(made, loop, range(UPDATES), reduce=True)
    assert_same_bits(made, loop)


def test_micro_batches_do_the_same(points, scheme):
    if isinstance(scheme, MoDo | SDMGrad | AutoLambda):
        return
    made, loop = pair(points, recipe_of(points, scheme, batch=18, accumulate=3))
    both(made, loop, range(2))
    assert_same_bits(made, loop)


def test_a_state_that_is_saved_and_loaded_goes_to_the_same_bits(points, scheme):
    recipe = recipe_of(points, scheme)
    made, loop = pair(points, recipe)
    both(made, loop, range(3))
    other = Loop(points, recipe)
    other.model.load_state_dict(loop.model.state_dict())
    other.balance.load_state_dict(loop.balance.state_dict())
    other.optimizer.load_state_dict(loop.optimizer.state_dict())
    both(made, other, range(3, 5))
    assert_same_bits(made, other)


def test_a_loop_ends_in_the_bits_of_mtlkit_fit(points, tmp_path):
    recipe = recipe_of(points, CAGrad(c=0.4), epochs=1)
    run = mtlkit.fit(recipe, tmp_path / "run", catalog=points.catalog(), quiet=True, report=False)
    loop = Loop(points, recipe)
    for step in range(loop.batches.per_epoch):
        loop.update(step)
    fitted, trained = (
        mtlkit.load_model(run.path, catalog=points.catalog()).state_dict(),
        loop.model.state_dict(),
    )
    assert all(trained[name].equal(value) for name, value in fitted.items())
