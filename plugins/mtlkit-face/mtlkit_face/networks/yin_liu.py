"""Networks of Yin & Liu (TIP 2018) as recipes built from components of mtlkit.

Each function returns a `Recipe` for labeled faces `data` with the columns subject, yaw, light and
expression. Replace any part of it with `attrs.evolve`.
"""

from collections.abc import Mapping

import attrs

from mtlkit import Recipe, Role, Task, Train
from mtlkit.backbones import CasiaNet
from mtlkit.data import DataSource
from mtlkit.optim import SGD, Steps
from mtlkit.routers import Branch, Grouped, LinearBranch
from mtlkit.weightings import Dynamic
from mtlkit_face.energy.evaluator import Energy
from mtlkit_face.identification.evaluator import Identification
from mtlkit_face.identification.pose_errors import PoseErrors

IDENTITY = Task(role=Role.MAIN, target="subject")

SIDE_TASKS: Mapping[str, Task] = {
    "pose": Task(target="yaw"),
    "illumination": Task(target="light"),
    "expression": Task(target="expression"),
}

POSE_GROUPS: Mapping[str, tuple[int, ...]] = {
    "left": (-90, -75, -60, -45),
    "front": (-30, -15, 0, 15, 30),
    "right": (45, 60, 75, 90),
}
"""The 4, 5 and 4 poses of section 4.4: left profiles, near-frontal faces, right profiles."""


def s_cnn(data: DataSource, *, width: float = 1.0) -> Recipe:
    """Return the single-task network: identity alone (eq. 6 with side weights 0).

    >>> from mtlkit_face.data.rendered import Rendered
    >>> list(s_cnn(Rendered()).tasks)
    ['identity']
    """
    return Recipe(
        data=data,
        backbone=CasiaNet(width=width),
        tasks={"identity": IDENTITY},
        optimizer=SGD(lr=0.02, momentum=0.9, weight_decay=5e-4),
        schedule=Steps(at_progress=(0.5, 0.75, 0.95)),
        train=Train(epochs=20, batch=64, precision="bf16"),
        evaluators=(Identification(), Energy()),
    )


def m_cnn(data: DataSource, *, width: float = 1.0) -> Recipe:
    """Return the multi-task network: identity and three side tasks, dynamic weights (eq. 7-8)."""
    return attrs.evolve(
        s_cnn(data, width=width),
        tasks={"identity": IDENTITY, **SIDE_TASKS},
        weighting=Dynamic(total=0.1),
    )


def p_cnn(
    data: DataSource,
    *,
    width: float = 1.0,
    branch: Branch = LinearBranch(),  # noqa: B008
) -> Recipe:
    """Return the pose-directed network: identity has a branch for each group of poses (eq. 9-12).

    `branch` is `LinearBranch()`, one classifier per group as in the paper, or `BlockBranch()`, one
    block 5 per group as in the authors' released networks.
    """
    router = Grouped(task="identity", by="pose", groups=POSE_GROUPS, branch=branch)
    plain = m_cnn(data, width=width)
    return attrs.evolve(plain, router=router, evaluators=(*plain.evaluators, PoseErrors()))
