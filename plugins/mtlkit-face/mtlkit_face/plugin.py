"""What this plugin brings to mtlkit."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mtlkit.hooks import hookimpl

if TYPE_CHECKING:
    from mtlkit.catalog import Registrar


@hookimpl
def mtlkit_register(catalog: "Registrar") -> None:
    """Rendered faces as a data source; identification and the protocols as evaluations."""
    catalog.data.add("face/rendered", "mtlkit_face.rendered:Rendered", "rendered, labelled faces")
    catalog.evaluators.add(
        "face/identification",
        "mtlkit_face.identification:Identification",
        "rank-1 and CMC of unseen subjects against a gallery",
    )
    for name, option, summary in (
        ("lfw", "Lfw", "LFW, View 2: verification in ten folds"),
        ("cfp", "Cfp", "CFP: frontal and profile verification in ten folds"),
        ("ijb-a", "IjbA", "IJB-A: templates compared and searched for in ten splits"),
        ("verification-bin", "VerificationBin", "a .bin set of pairs, read without running it"),
    ):
        catalog.evaluators.add(f"face/{name}", f"mtlkit_face.protocols.options:{option}", summary)


@hookimpl
def mtlkit_commands() -> Mapping[str, str]:
    """The commands under ``mtlkit face``."""
    return {"face": "mtlkit_face.commands:face"}
