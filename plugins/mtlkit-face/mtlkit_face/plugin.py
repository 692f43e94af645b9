"""What this plugin brings to mtlkit."""

from collections.abc import Mapping

from mtlkit.plugins import Registrar, hookimpl


@hookimpl
def mtlkit_register(catalog: Registrar) -> None:
    """Faces as data, rendered or from files, and what is asked of a network that knows them."""
    catalog.data.add(
        "face/rendered", "mtlkit_face.data.rendered:Rendered", "rendered, labelled faces"
    )
    catalog.data.add("face/folder", "mtlkit_face.data.folder:FaceFolder", "a folder of faces")
    catalog.data.add(
        "face/recordio",
        "mtlkit_face.data.records:FaceRecords",
        "faces in a RecordIO file, read without MXNet",
    )
    catalog.data.add(
        "face/multi-pie",
        "mtlkit_face.data.multi_pie.source:MultiPie",
        "CMU Multi-PIE under its published settings",
    )
    catalog.evaluators.add(
        "face/identification",
        "mtlkit_face.identification.evaluator:Identification",
        "rank-1 and CMC of unseen subjects against a gallery",
    )
    catalog.evaluators.add(
        "face/pose-errors",
        "mtlkit_face.identification.pose_errors:PoseErrors",
        "best and expected routing under wrong pose estimates",
    )
    catalog.evaluators.add(
        "face/energy",
        "mtlkit_face.energy.evaluator:Energy",
        "which dimensions of x each task reads, and what is left in y",
    )
    catalog.routers.add(
        "face/side-block",
        "mtlkit_face.networks.side_block:SideBlock",
        "a last block for the side tasks, apart from the main tasks'",
    )
    for name, target, summary in (
        ("lfw", "pairs.lfw:Lfw", "LFW, View 2: verification in ten folds"),
        ("cfp", "pairs.cfp:Cfp", "CFP: frontal and profile verification in ten folds"),
        (
            "ijb-a",
            "templates.ijb_a:IjbA",
            "IJB-A: templates compared and searched for in ten splits",
        ),
        (
            "verification-bin",
            "pairs.verification_bin:VerificationBin",
            "a .bin set of pairs, read without running it",
        ),
    ):
        catalog.evaluators.add(f"face/{name}", f"mtlkit_face.protocols.{target}", summary)


@hookimpl
def mtlkit_commands() -> Mapping[str, str]:
    """The commands under ``mtlkit face``."""
    return {"face": "mtlkit_face.cli:face"}
