"""Registration of the data sources and backbones, and of the command."""

from collections.abc import Mapping

from mtlkit.plugins import Registrar, hookimpl
from mtlkit_benchmarks.sources import SOURCES


@hookimpl
def mtlkit_register(catalog: Registrar) -> None:
    """Register the data sources and the backbones that read them."""
    catalog.data.add(
        "benchmarks/scenes",
        "mtlkit_benchmarks.scenes.source:Scenes",
        "drawn scenes: classes, depth and normals",
    )
    for name, known in SOURCES.items():
        catalog.data.add(f"benchmarks/{name}", f"mtlkit_benchmarks.{known.source}", known.summary)
    catalog.backbones.add(
        "benchmarks/bigru", "mtlkit_benchmarks.bigru:BiGRU", "a bidirectional GRU of token ids"
    )


@hookimpl
def mtlkit_commands() -> Mapping[str, str]:
    """Return the commands under ``mtlkit benchmarks``."""
    return {"benchmarks": "mtlkit_benchmarks.cli:benchmarks"}
