"""What this plugin brings keeps what its families promise."""

from pathlib import Path

import pytest
from mtlkit_face.identification import Identification
from mtlkit_face.protocols.options import Cfp, IjbA, Lfw, VerificationBin
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


@pytest.fixture(autouse=True)
def where_the_sets_are(built, monkeypatch):
    """The examples name sets by relative paths, which start from the working directory."""
    monkeypatch.chdir(built)


test_conformance = testing.conformance(
    "face",
    examples={
        "data/face/rendered": SMALL,
        "evaluators/face/identification": testing.Example(value=Identification(), recipe=RECIPE),
        # the task is one of the kit's small world, which needs no rendering
        "evaluators/face/lfw": Lfw(images=Path("lfw"), folds=2, fold_pairs=2, task="kind"),
        "evaluators/face/cfp": Cfp(images=Path("cfp"), folds=2, fold_pairs=2, task="kind"),
        "evaluators/face/verification-bin": VerificationBin(
            file=Path("pairs.bin"), folds=2, task="kind"
        ),
        "evaluators/face/ijb-a": IjbA(
            images=Path("ijb-a/aligned"), protocol=Path("ijb-a"), splits=2, task="kind"
        ),
    },
)
