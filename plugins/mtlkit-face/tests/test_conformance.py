"""What this plugin brings keeps what its families promise."""

from pathlib import Path

import attrs
import numpy as np
import pytest
from mtlkit_face.data.folder import FaceFolder, list_folder
from mtlkit_face.data.multi_pie.source import MultiPie
from mtlkit_face.data.recordio.pack import pack
from mtlkit_face.data.recordio.source import FaceRecords
from mtlkit_face.data.rendered import Rendered
from mtlkit_face.energy.evaluator import Energy
from mtlkit_face.identification.evaluator import Identification
from mtlkit_face.identification.pose_errors import PoseErrors
from mtlkit_face.networks.second_head import SecondHead
from mtlkit_face.networks.side_block import SideBlock
from mtlkit_face.networks.yin_liu import POSE_GROUPS
from mtlkit_face.protocols.pairs.cfp import CFP
from mtlkit_face.protocols.pairs.lfw import LFW
from mtlkit_face.protocols.pairs.verification_bin import VerificationBin
from mtlkit_face.protocols.templates.ijb_a import IJBA
from PIL import Image

from mtlkit import Recipe, Role, Task, testing
from mtlkit.backbones import MLP
from mtlkit.routers import Grouped

SMALL = Rendered(
    subjects=3, test_subjects=2, images_per_subject=14, size=32, lights_per_geometry=2, sessions=2
)
RECIPE = Recipe(
    data=SMALL,
    backbone=MLP(hidden=(8,)),
    tasks={"identity": Task(role=Role.MAIN, target="subject"), "pose": Task(target="yaw")},
)
BRANCHED = attrs.evolve(RECIPE, router=Grouped(task="identity", by="pose", groups=POSE_GROUPS))

WILD = {"size": 16, "mirror": True, "validation": 0.34, "labels": Path("poses.csv")}
POSE = {"classes": ("pose",), "swap": {"pose": ("left", "right")}}


@pytest.fixture(autouse=True)
def _faces(tmp_path, monkeypatch, built):
    """Faces in files and the protocols' sets, where the examples look for them."""
    monkeypatch.chdir(tmp_path)
    for each in built.iterdir():
        Path(each.name).symlink_to(each)
    random = np.random.default_rng(0)
    for subject in "abc":
        Path("faces", subject).mkdir(parents=True)
        for pose in ("left", "right", "unsure"):
            pixels = random.integers(0, 256, (16, 16), np.uint8)
            Image.fromarray(pixels).save(f"faces/{subject}/{pose}.png")
    Path("multi-pie").mkdir()
    for subject in (1, 2, 201):
        for camera in ("051", "191", "240"):
            pixels = random.integers(0, 256, (16, 16), np.uint8)
            Image.fromarray(pixels).save(f"multi-pie/{subject:03d}_01_01_{camera}_00.png")
    Path("faces/poses.csv").write_text("file,pose\na/left.png,left\nb/right.png,right\n")
    listing = list_folder(Path("faces"))
    pack(listing.store, listing.subjects, Path("records/train.rec"))
    Path("records/poses.csv").write_text("file,pose\n1,left\n5,right\n9,-1\n")


test_conformance = testing.conformance(
    "face",
    examples={
        "data/face/folder": FaceFolder(folder=Path("faces"), **WILD, **POSE),
        "data/face/multi-pie": MultiPie(
            folder=Path("multi-pie"), size=16, incomplete=True, validation=0.34
        ),
        "data/face/recordio": FaceRecords(file=Path("records/train.rec"), **WILD, **POSE),
        "data/face/rendered": SMALL,
        "evaluators/face/identification": testing.Example(value=Identification(), recipe=RECIPE),
        "evaluators/face/pose-errors": testing.Example(value=PoseErrors(), recipe=BRANCHED),
        "routers/face/side-block": SideBlock(tasks=("side",)),
        "routers/face/second-head": SecondHead(task="kind"),
        # the task is one of the kit's small world, which needs no rendering
        "evaluators/face/lfw": LFW(images=Path("lfw"), fold_count=2, fold_pairs=2, task="kind"),
        "evaluators/face/cfp": CFP(images=Path("cfp"), fold_count=2, fold_pairs=2, task="kind"),
        "evaluators/face/verification-bin": VerificationBin(
            file=Path("pairs.bin"), fold_count=2, task="kind"
        ),
        "evaluators/face/ijb-a": IJBA(
            images=Path("ijb-a/aligned"), protocol=Path("ijb-a"), splits=2, task="kind"
        ),
        "evaluators/face/energy": testing.Example(value=Energy(points=5), recipe=RECIPE),
    },
)
