"""Small pictures of people, and tiny networks of each shape trained on them."""

from pathlib import Path

import attrs
import numpy as np
import pytest
from mtlkit_face.identification.evaluator import Identification
from mtlkit_face.inference import open_model
from PIL import Image

from mtlkit import Recipe, Role, Task, Train, fit
from mtlkit.backbones import CasiaNet
from mtlkit.cli import main
from mtlkit.data import Images, Loading, RandomSplit
from mtlkit.optim import SGD
from mtlkit.routers import BranchSelection, Grouped
from mtlkit.weightings import Equal

YAWS, EXPRESSIONS = ("-45", "0", "45"), ("neutral", "smile")
GROUPS = {"left": (-45,), "front": (0,), "right": (45,)}
IDENTITY = {"identity": Task(role=Role.MAIN, target="subject")}
TASKS = {**IDENTITY, "pose": Task(target="yaw"), "expression": Task()}


def picture(subject: int, yaw: int, expression: int) -> np.ndarray:
    """A pattern of the subject's own, brighter on the side that the yaw says, with noise."""
    pattern = np.random.default_rng(subject).integers(0, 120, (8, 8)).repeat(4, 0).repeat(4, 1)
    noise = np.random.default_rng((subject, yaw, expression)).integers(0, 40, (32, 32))
    light = 60 * (np.arange(32) // 11 == yaw)
    return (pattern + noise + light + 20 * expression).astype(np.uint8)


@pytest.fixture(scope="session")
def people(tmp_path_factory) -> Path:
    """A folder for each of eight people, with six pictures of 32 pixels in it."""
    folder = tmp_path_factory.mktemp("people")
    for subject in range(8):
        (folder / f"p{subject}").mkdir()
        for y, yaw in enumerate(YAWS):
            for e, expression in enumerate(EXPRESSIONS):
                name = f"p{subject}/{subject}_{yaw}_{expression}.png"
                Image.fromarray(picture(subject, y, e)).save(folder / name)
    return folder


def recipe(people: Path) -> Recipe:
    """The m-CNN, small and short: good enough that no two people look alike to it."""
    return Recipe(
        data=Images(
            folder=people,
            pattern="p{person}/{subject}_{yaw}_{expression}.png",
            size=32,
            channels=1,
            split=RandomSplit(groups="subject", validation=0.0, test=0.4),
            open_labels=("person",),
        ),
        backbone=CasiaNet(width=0.1),
        tasks=TASKS,
        weighting=Equal(),
        optimizer=SGD(lr=0.05),
        train=Train(epochs=10, batch=10, threads=1, device="cpu"),
        evaluators=(Identification(),),
    )


@pytest.fixture(scope="session")
def runs(people, tmp_path_factory) -> dict[str, Path]:
    """The folders of a trained s-, m- and p-CNN."""
    whole = recipe(people)
    router = Grouped(task="identity", by="pose", groups=GROUPS, test=BranchSelection.EXPECTED)
    recipes = {
        "s": attrs.evolve(whole, tasks=IDENTITY),
        "m": whole,
        "p": attrs.evolve(whole, router=router),
    }
    folder = tmp_path_factory.mktemp("runs")
    for name, each in recipes.items():
        fit(each, folder / name, loading=Loading(workers=1), quiet=True)
    return {name: folder / name for name in recipes}


@pytest.fixture(scope="session")
def models(runs):
    """The same, opened for use."""
    return {name: open_model(path) for name, path in runs.items()}


@pytest.fixture
def face(capsys):
    """Calls ``mtlkit face``: gives the exit code, and all that was said on one line."""

    def call(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as caught:
            main(["face", *map(str, arguments)])
        said = capsys.readouterr()
        return caught.value.code, " ".join((said.out + said.err).split())

    return call
