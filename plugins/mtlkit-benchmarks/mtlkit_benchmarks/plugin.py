"""Registration of the components, and of the commands."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mtlkit.plugins import Registrar, hookimpl
from mtlkit_benchmarks.sources import SOURCES

if TYPE_CHECKING:
    from mtlkit.comparison import ProblemCompared
    from mtlkit.evaluators import Section


@hookimpl
def mtlkit_register(catalog: Registrar) -> None:
    """Register data sources, and the networks and rules of published protocols."""
    catalog.data.add(
        "benchmarks/camvid",
        "mtlkit_benchmarks.camvid:CamVid",
        "CamVid: classes, edges and contents of street scenes",
    )
    catalog.data.add(
        "benchmarks/office-caltech10",
        "mtlkit_benchmarks.office_caltech:OfficeCaltech10",
        "Office-Caltech10: ten classes in four domains",
    )
    catalog.data.add(
        "benchmarks/qm9", "mtlkit_benchmarks.qm9:QM9", "QM9: eleven properties of molecules"
    )
    catalog.data.add(
        "benchmarks/scenes",
        "mtlkit_benchmarks.scenes.source:Scenes",
        "drawn scenes: classes, depth and normals",
    )
    for name, known in SOURCES.items():
        catalog.data.add(f"benchmarks/{name}", f"mtlkit_benchmarks.{known.source}", known.summary)
    catalog.backbones.add(
        "benchmarks/mpnn", "mtlkit_benchmarks.mpnn:MPNN", "a message-passing network of molecules"
    )
    catalog.backbones.add(
        "benchmarks/bigru", "mtlkit_benchmarks.bigru:BiGRU", "a bidirectional GRU of token ids"
    )
    for name, target, summary in (
        ("segnet-mtan", "segnet_mtan:SegNetMTAN", "SegNet with MTAN's masks: NYUv2, Cityscapes"),
        ("celeba-cnn", "celeba_cnn:CelebACNN", "the nine layers of the tables of CelebA"),
        ("lenet", "lenet:LeNet", "LeNet of the tables of MultiMNIST"),
        ("office-resnet", "office_resnet:OfficeResNet", "ResNet and a layer: tables of Office"),
        ("field-embedding", "field_embedding:FieldEmbedding", "embeddings of ids, and numbers"),
        ("nnconv", "nnconv:NNConv", "message passing and Set2Set: tables of QM9"),
    ):
        catalog.backbones.add(f"benchmarks/{name}", f"mtlkit_benchmarks.networks.{target}", summary)
    catalog.adapters.add(
        "benchmarks/level-conv",
        "mtlkit_benchmarks.networks.level_conv:LevelConv",
        "a level of a pyramid, through a 3x3 convolution",
    )
    catalog.adapters.add(
        "benchmarks/deeplab",
        "mtlkit_benchmarks.networks.deeplab:DeepLab",
        "atrous pyramid pooling of DeepLabV3 for one task",
    )
    catalog.transforms.add(
        "benchmarks/zoom-crop",
        "mtlkit_benchmarks.zoom_crop:ZoomCrop",
        "the zoom of a random crop of NYUv2's tables",
    )
    catalog.callbacks.add(
        "benchmarks/best-delta",
        "mtlkit_benchmarks.best_delta:BestDelta",
        "the weights of the validation with the best delta-m",
    )
    catalog.evaluators.add(
        "benchmarks/batch-averages",
        "mtlkit_benchmarks.batch_averages:BatchAverages",
        "errors of depth and normals, averaged over batches",
    )


@hookimpl
def mtlkit_comparison_sections(event: "ProblemCompared") -> "list[Section]":
    """Return the published results of the problem's data set, next to those of the comparison."""
    from mtlkit_benchmarks.published.sections import published_sections

    return published_sections(event.recipe, event.metrics, searched=event.searched)


@hookimpl
def mtlkit_commands() -> Mapping[str, str]:
    """Return the commands under ``mtlkit benchmarks``."""
    return {"benchmarks": "mtlkit_benchmarks.cli:benchmarks"}
