"""The protocol of a recipe, in the words of the published tables."""

from typing import Any

import attrs

from mtlkit import Recipe
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


@attrs.frozen(kw_only=True)
class TrainingProtocol:
    """Data, network, training and selection, which must agree for results to be comparable."""

    data: str
    variant: str
    complete: bool
    network: str
    batch: int
    epochs: int
    selection: str


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
        network=network_of(recipe),
        batch=next(iter(sizes.values())) if len({*sizes.values()}) == 1 else recipe.train.batch,
        epochs=recipe.train.epochs,
        selection=selection_of(recipe),
    )


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
            return "DeepLab on ResNet-50"
        case OfficeResNet(model="resnet18", width=512, dropout=0.5):
            return "ResNet-18 and a layer"
        case FieldEmbedding(embedding=128, hidden=(512, 256)) if isinstance(recipe.router, MMoE):
            return "MMoE of embeddings"
    return f"{type(backbone).__name__} with the options of the recipe"


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
    missing = [name for name in table.metrics if name not in measured]
    if missing:
        lines.append(f"metrics: the run did not measure {', '.join(missing[:3])}, so that its "
                     f"delta-m is not {table.delta}")  # fmt: skip
    return lines
