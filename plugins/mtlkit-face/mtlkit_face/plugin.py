"""What this plugin brings to mtlkit."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mtlkit.hooks import hookimpl

if TYPE_CHECKING:
    from mtlkit.catalog import Registrar


@hookimpl
def mtlkit_register(catalog: "Registrar") -> None:
    """Rendered faces as a data source; identification and the weights' energy as evaluations."""
    catalog.data.add("face/rendered", "mtlkit_face.rendered:Rendered", "rendered, labelled faces")
    catalog.evaluators.add(
        "face/identification",
        "mtlkit_face.identification:Identification",
        "rank-1 and CMC of unseen subjects against a gallery",
    )
    catalog.evaluators.add(
        "face/energy",
        "mtlkit_face.energy.configs:Energy",
        "which dimensions of x each task reads, and what is left in y",
    )


@hookimpl
def mtlkit_commands() -> Mapping[str, str]:
    """The commands under ``mtlkit face``."""
    return {"face": "mtlkit_face.commands:face"}
