"""The updates of an untrained network, outside of any run folder."""

import torch

from mtlkit.assembly import assembly_of, encode_targets
from mtlkit.data.source import Loading
from mtlkit.model import assemble
from mtlkit.recipe import Recipe
from mtlkit.runs.encoded_splits import fit_heads
from mtlkit.runs.run_data import load_data
from mtlkit.training.context import TrainingContext
from mtlkit.training.devices.device import chosen_device
from mtlkit.training.update import Updater


def untrained_updater(recipe: Recipe, loading: Loading) -> Updater:
    """Return an `Updater` of the network of `recipe` before training, with the training split.

    It writes no file and prints nothing.
    """
    data = load_data(recipe, loading)
    assembly = assembly_of(data, recipe.tasks)
    targets = {"train": encode_targets(data.train, recipe.tasks, assembly)}
    torch.manual_seed(recipe.seed)
    model = assemble(recipe.backbone, recipe.router, recipe.tasks, assembly)
    fit_heads(model, targets["train"])
    context = TrainingContext(
        recipe=recipe,
        data=data,
        targets=targets,
        device=chosen_device(recipe.train.device),
    )
    return Updater(model, recipe.weighting.build(model.terms, model.router.features.width), context)
