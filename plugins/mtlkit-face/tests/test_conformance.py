"""What this plugin brings keeps what its families promise."""

import attrs
from mtlkit_face.identification import Identification
from mtlkit_face.networks import POSE_GROUPS
from mtlkit_face.pose_errors import PoseErrors
from mtlkit_face.rendered import Rendered
from mtlkit_face.side_block import SideBlock

from mtlkit import Grouped, Mlp, Recipe, Role, Task, testing

SMALL = Rendered(
    subjects=3, test_subjects=2, images_per_subject=14, size=32, lights_per_geometry=2, sessions=2
)
RECIPE = Recipe(
    data=SMALL,
    backbone=Mlp(hidden=(8,)),
    tasks={"identity": Task(role=Role.MAIN, target="subject"), "pose": Task(target="yaw")},
)
BRANCHED = attrs.evolve(RECIPE, routing=Grouped(task="identity", by="pose", groups=POSE_GROUPS))

test_conformance = testing.conformance(
    "face",
    examples={
        "data/face/rendered": SMALL,
        "evaluators/face/identification": testing.Example(value=Identification(), recipe=RECIPE),
        "evaluators/face/pose-errors": testing.Example(value=PoseErrors(), recipe=BRANCHED),
        "routers/face/side-block": SideBlock(tasks=("side",)),
    },
)
