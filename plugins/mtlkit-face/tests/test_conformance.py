"""What this plugin brings keeps what its families promise."""

from mtlkit_face.energy import Energy
from mtlkit_face.identification import Identification
from mtlkit_face.rendered import Rendered

from mtlkit import Mlp, Recipe, Role, Task, testing

SMALL = Rendered(
    subjects=3, test_subjects=2, images_per_subject=14, size=32, lights_per_geometry=2, sessions=2
)
RECIPE = Recipe(
    data=SMALL,
    backbone=Mlp(hidden=(8,)),
    tasks={"identity": Task(role=Role.MAIN, target="subject"), "pose": Task(target="yaw")},
)

test_conformance = testing.conformance(
    "face",
    examples={
        "data/face/rendered": SMALL,
        "evaluators/face/identification": testing.Example(value=Identification(), recipe=RECIPE),
        "evaluators/face/energy": testing.Example(value=Energy(points=5), recipe=RECIPE),
    },
)
