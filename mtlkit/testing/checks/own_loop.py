"""Check of weightings in a training loop other than that of a recipe."""

import warnings

import attrs
from torch import Tensor

from mtlkit.testing.check import Subject, checks_of, require
from mtlkit.testing.checks.weightings import different_tensors
from mtlkit.testing.small_data import small_recipe, small_updater
from mtlkit.training.balancing.balance import Balance, balance
from mtlkit.training.balancing.given_losses import Loss
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.gradients.factory import gradient_options
from mtlkit.training.gradients.shared_parameters import last_layer, shared_parameters
from mtlkit.training.update import Updater
from mtlkit.weightings.base import GradientLocation

EPOCHS = 3


def makes_the_same_updates_in_another_loop(subject: Subject) -> None:
    """In another training loop, with the inputs that it declares, it makes the same updates."""
    recipe = attrs.evolve(small_recipe(), weighting=subject.value)
    updater, other = small_updater(recipe), small_updater(recipe)
    if updater.inner.step.draws > 1:
        return  # a draw of so few samples may lack a label
    model = other.inner.model
    loop = balance(
        recipe.weighting,
        {term.name: term.role for term in model.terms},
        feature_width=model.router.features.width,
        classes={term.name: term.classes for term in model.terms},
        seed=recipe.seed,
    )
    loop.weighting = other.inner.weighting  # whose parameters the optimizer has
    for step in range(EPOCHS * updater.batches.per_epoch):
        updater.update(step)
        if recipe.weighting.reads_epochs and step % updater.batches.per_epoch == 0:
            loop.start_epoch()
        _update(other, loop, step)
    different = different_tensors(tensors_of(updater.inner), tensors_of(other.inner))
    require(
        not different,
        f"in another loop it differs in {different}; if it reads features, the losses "
        f"of samples, or epochs, declare `reads_features` or `reads_epochs`",
    )


def _update(updater: Updater, loop: Balance, step: int) -> None:
    """Make an update with means of losses, or with those of samples if these are declared."""
    index = updater.batches.update(step).whole
    options = gradient_options(loop.config)
    router = updater.inner.model.router
    shared = None
    if options is not None and options.at is not GradientLocation.FEATURES:
        at_last = options.at is GradientLocation.LAST_SHARED_LAYER
        shared = last_layer(router) if at_last else shared_parameters(router)
    losses, features = _losses(updater, loop, index)
    updater.optimizer.zero_grad()
    with warnings.catch_warnings():  # large weights break no promise
        warnings.filterwarnings("ignore", r"step \d+: the mean weight", UserWarning)
        loop.backward(losses, features=features, shared=shared)
    updater.optimizer.step()
    loop.after_step(lambda: _losses(updater, loop, index)[0])


def _losses(updater: Updater, loop: Balance, index: Tensor) -> tuple[dict[str, Loss], Tensor]:
    model, data = updater.inner.model, updater.context.data.train
    features = model.features(data.inputs[index]).shared
    losses: dict[str, Loss] = {}
    for task in model.tasks:
        target = updater.context.targets["train"][task][index]
        loss = model.head(task).loss(features, target)
        present = model.assembly.targets[task].weights(target) > 0
        if loop.config.reads_features:
            losses[task] = (loss, present)
        elif present.any():
            losses[task] = loss.sum() / present.sum()
    return losses, features


CHECKS = checks_of(__name__)
