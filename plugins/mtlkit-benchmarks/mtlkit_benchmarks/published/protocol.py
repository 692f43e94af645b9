"""The protocol of a recipe, in the words of the published tables."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import attrs

from mtlkit import Recipe, load_catalog, load_recipe
from mtlkit.backbones import Backbone, TimmModel
from mtlkit.callbacks import BestWeights
from mtlkit.routers import MMoE
from mtlkit_benchmarks.best_delta import BestDelta
from mtlkit_benchmarks.networks.celeba_cnn import CelebACNN
from mtlkit_benchmarks.networks.deeplab import DeepLab
from mtlkit_benchmarks.networks.field_embedding import FieldEmbedding
from mtlkit_benchmarks.networks.lenet import LeNet
from mtlkit_benchmarks.networks.nnconv import NNConv
from mtlkit_benchmarks.networks.office_resnet import OfficeResNet
from mtlkit_benchmarks.networks.segnet_mtan import SegNetMTAN
from mtlkit_benchmarks.published.tables import PublishedTable
from mtlkit_benchmarks.sources import SOURCES

NETWORKS: tuple[tuple[Backbone, str], ...] = (
    (CelebACNN(), "CNN of nine layers"),
    (LeNet(), "LeNet"),
    (NNConv(), "NNConv of elements and distances"),
)
"""Backbones that are a published network with exactly these options."""


RECIPES = Path(__file__).parents[1] / "protocols"


@attrs.frozen(kw_only=True)
class TrainingProtocol:
    """Data, network, training and selection, which must agree for results to be comparable.

    `split` is False if the samples are divided at random and the published ones are not, and
    `settings` are the options of the recipe, by its sections, that a published recipe fixes.
    """

    data: str
    variant: str
    complete: bool
    split: bool
    network: str
    batch: int
    epochs: int
    selection: str
    settings: Mapping[str, Any]


def protocol_of(recipe: Recipe) -> TrainingProtocol:
    """Return the protocol of a recipe; `data` is empty for a source of another package."""
    data = recipe.data
    kind = f"{type(data).__module__}:{type(data).__name__}".removeprefix("mtlkit_benchmarks.")
    names = {known.source: name for name, known in SOURCES.items()}
    sizes = getattr(recipe.train.batches, "sizes", {})
    return TrainingProtocol(
        data=f"benchmarks/{names[kind]}" if kind in names else "",
        variant=str(getattr(data, "variant", getattr(data, "country", ""))),
        complete=bool(getattr(data, "complete", True)),
        split=getattr(data, "lists", "stated") is not None,
        network=network_of(recipe),
        batch=next(iter(sizes.values())) if len({*sizes.values()}) == 1 else recipe.train.batch,
        epochs=recipe.train.epochs,
        selection=selection_of(recipe),
        settings=settings_of(recipe),
    )


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Return the optimizer, schedule, transforms, router, and the heads and losses of the tasks."""
    tasks = {
        name: (task.target, task.head, task.adapter, task.reduction)
        for name, task in recipe.tasks.items()
    }
    parts = {name: getattr(recipe, name) for name in ("optimizer", "schedule", "transforms")}
    return {**parts, "router": recipe.router, "tasks": tasks}


@cache
def published_settings(name: str) -> dict[str, Any]:
    """Return the settings of the recipe of a published protocol."""
    return settings_of(load_recipe(RECIPES / f"{name}.yaml", load_catalog()))


def network_of(recipe: Recipe) -> str:
    """Return the published name of the network, or the name of the backbone's type."""
    backbone = recipe.backbone
    exact = next((name for value, name in NETWORKS if value == backbone), None)
    if exact is not None:
        return exact
    adapters = {task.adapter for task in recipe.tasks.values()}
    match backbone:
        case SegNetMTAN(width=1.0):
            return "SegNet-MTAN"
        case TimmModel(model="resnet50", output_stride=8) if adapters == {DeepLab()}:
            return f"DeepLab on {_start(backbone)}ResNet-50"
        case OfficeResNet(model="resnet18", width=512, dropout=0.5):
            return f"{_start(backbone)}ResNet-18 and a layer"
        case FieldEmbedding(embedding=128, hidden=(512, 256)) if isinstance(recipe.router, MMoE):
            return "MMoE of embeddings"
    return f"{type(backbone).__name__} with the options of the recipe"


def _start(backbone: TimmModel | OfficeResNet) -> str:
    return "pretrained " if backbone.download or backbone.weights is not None else ""


def selection_of(recipe: Recipe) -> str:
    """Return the rule by which the weights of the test results were selected."""
    where = "test" if getattr(recipe.data, "validation", None) == "test" else "validation"
    for callback in recipe.callbacks:
        if isinstance(callback, BestDelta):
            base = ", relative to a stated baseline" if callback.base else ""
            return f"best delta-m on {where}{base}"
        if isinstance(callback, BestWeights):
            return f"best {callback.metric or 'primary metric'} on {where}"
    return "last epoch"


def differences(table: PublishedTable, protocol: TrainingProtocol, measured: set[str]) -> list[str]:
    """Return what differs between a run and a table; comparable results have no difference.

    `measured` are the metrics of the run by name.
    """
    pairs: list[tuple[str, Any, Any]] = [
        (name, getattr(protocol, name), getattr(table, name))
        for name in ("network", "batch", "epochs", "selection")
    ]
    if table.averages.startswith("errors of depth"):
        pairs.append(("averages", "over all pixels of the split", table.averages))
    lines = [f"{name}: got {one}, published {other}" for name, one, other in pairs if one != other]
    if not protocol.complete:
        lines.append("data: got a part of it, published the whole")
    if not protocol.split:
        lines.append("data: got a random split, published the lists of LibMTL (`data.lists`)")
    if table.recipe:
        published = published_settings(table.recipe)
        other = [name for name, value in published.items() if protocol.settings[name] != value]
        if other:
            lines.append(f"settings: got other {', '.join(other)} than the recipe {table.recipe}")
    missing = [name for name in table.metrics if name not in measured]
    if missing:
        lines.append(f"metrics: the run did not measure {', '.join(missing[:3])}, so that its "
                     f"delta-m is not {table.delta}")  # fmt: skip
    return lines
