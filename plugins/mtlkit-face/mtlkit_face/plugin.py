"""Hooks of the plugin: its components and its commands."""

from collections.abc import Mapping

from mtlkit.plugins import Registrar, hookimpl


@hookimpl
def mtlkit_register(catalog: Registrar) -> None:
    """Register data sources of faces, evaluators of face recognition, and a router."""
    catalog.data.add(
        "face/rendered", "mtlkit_face.data.rendered:Rendered", "rendered, labeled faces"
    )
    catalog.data.add("face/folder", "mtlkit_face.data.folder:FaceFolder", "a folder of faces")
    catalog.data.add(
        "face/recordio",
        "mtlkit_face.data.recordio.source:FaceRecords",
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
        "energy of each dimension of x per task, and information left in y",
    )
    catalog.routers.add(
        "face/side-block",
        "mtlkit_face.networks.side_block:SideBlock",
        "a separate last block for the side tasks",
    )
    catalog.routers.add(
        "face/second-head",
        "mtlkit_face.networks.second_head:SecondHead",
        "a second identity head without poses, the control of branches",
    )
    for name, target, summary in (
        ("lfw", "pairs.lfw:LFW", "LFW, View 2: verification in ten folds"),
        ("cfp", "pairs.cfp:CFP", "CFP: frontal and profile verification in ten folds"),
        (
            "ijb-a",
            "templates.ijb_a:IJBA",
            "IJB-A: templates compared and searched for in ten splits",
        ),
        (
            "verification-bin",
            "pairs.verification_bin:VerificationBin",
            "a .bin set of pairs, read without executing its pickle",
        ),
    ):
        catalog.evaluators.add(f"face/{name}", f"mtlkit_face.protocols.{target}", summary)


@hookimpl
def mtlkit_commands() -> Mapping[str, str]:
    """Return the commands under ``mtlkit face``."""
    return {"face": "mtlkit_face.cli:face"}
