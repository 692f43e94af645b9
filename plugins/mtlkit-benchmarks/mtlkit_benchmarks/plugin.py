"""Registration of the data sources and backbones, and of the command."""

from collections.abc import Mapping

from mtlkit.plugins import Registrar, hookimpl


@hookimpl
def mtlkit_register(catalog: Registrar) -> None:
    """Register the data sources and the backbones that read them."""
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
    catalog.data.add(
        "benchmarks/tox21", "mtlkit_benchmarks.tox21:Tox21", "Tox21: toxicity in 12 assays"
    )
    catalog.data.add(
        "benchmarks/utkface", "mtlkit_benchmarks.utkface:UTKFace", "UTKFace: age, gender and race"
    )
    catalog.data.add(
        "benchmarks/universal-dependencies",
        "mtlkit_benchmarks.universal_dependencies:UniversalDependencies",
        "treebanks: UPOS and DEPREL of each word",
    )
    catalog.backbones.add(
        "benchmarks/mpnn", "mtlkit_benchmarks.mpnn:MPNN", "a message-passing network of molecules"
    )
    catalog.backbones.add(
        "benchmarks/bigru", "mtlkit_benchmarks.bigru:BiGRU", "a bidirectional GRU of token ids"
    )


@hookimpl
def mtlkit_commands() -> Mapping[str, str]:
    """Return the commands under ``mtlkit benchmarks``."""
    return {"benchmarks": "mtlkit_benchmarks.cli:benchmarks"}
