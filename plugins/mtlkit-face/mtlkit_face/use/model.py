"""A trained run as something that turns images of faces into templates."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import attrs
import torch
from torch import Tensor, nn

from mtlkit import Recipe, Role, TaskKind, load_catalog, load_model, load_recipe
from mtlkit.data import Frame
from mtlkit.errors import DataError
from mtlkit.model import MultiTaskModel
from mtlkit.routers import BranchSelection, GroupedRouter
from mtlkit.runs import RunFolder, open_run
from mtlkit_face.template import template

TEMPLATE = 1
"""Counts the ways in which templates have been made; two of them must not be compared."""

_BATCH = 256


class Embedder(nn.Module):
    """Raw images (N, C, H, W) to templates (N, K), whose dot products are the scores.

    Cosines of identity's logits, and for a network with branches eq. 12 of Yin & Liu (TIP 2018).
    """

    def __init__(self, network: MultiTaskModel, task: str) -> None:
        super().__init__()
        self.network = network
        self.task = task

    def forward(self, images: Tensor) -> Tensor:
        said = self.network(images)
        return template(said.outputs[self.task], said.branches.get(self.task))


@attrs.frozen(eq=False, kw_only=True)
class FaceModel:
    """A trained network in use: what it was trained as, and what its templates may be compared to.

    `frame` is what every image is brought to. `weights` is the SHA-256 of the run's weights, and
    `fingerprint` that of all that decides a template: weights, normalisation, size, task, routing.
    Only templates of one fingerprint can be compared.
    """

    folder: RunFolder
    recipe: Recipe
    embedder: Embedder
    frame: Frame
    weights: str
    fingerprint: str
    own_routing: bool  # branches are routed as in the run's own evaluation

    @property
    def task(self) -> str:
        """The task whose classes are people."""
        return self.embedder.task

    @property
    def size(self) -> int:
        """The length K of a template."""
        network = self.embedder.network
        classes = len(network.assembly.classes[self.task])
        router = network.router
        branched = isinstance(router, GroupedRouter) and router.task == self.task
        return 2 * classes if branched else classes

    def embed(self, images: Tensor) -> Tensor:
        """Templates (N, K) of raw images (N, C, H, W), in float32 on the CPU.

        Raises `DataError` for images of another shape than the network's.
        """
        expected = (self.frame.channels, self.frame.height, self.frame.width)
        if tuple(images.shape[1:]) != expected:
            raise DataError(
                f"images: expected the shape (N, {', '.join(map(str, expected))}), "
                f"found {tuple(images.shape)}"
            )
        device = self.embedder.network.mean.device
        found = torch.empty(len(images), self.size)
        with torch.inference_mode():
            for start in range(0, len(images), _BATCH):
                part = images[start : start + _BATCH].to(device)
                found[start : start + _BATCH] = self.embedder(part)
        return found


def open_model(
    run: Path | str,
    *,
    task: str | None = None,
    routing: BranchSelection | None = None,
    device: str = "cpu",
) -> FaceModel:
    """The trained model of the run at `run`, ready for use; its data is not needed.

    `task` is the one whose classes are people: the run's only main one, if None. `routing` is how
    branches are weighed, as the recipe says if None; by label cannot be had, as an image to be
    used has none.

    Raises `RunError` where there is no finished run, and `DataError` where it does not embed faces.
    """
    folder = open_run(Path(run))
    catalog = load_catalog()
    recipe = load_recipe(folder.recipe, catalog)
    network = load_model(folder.path, catalog).to(device)
    task = task or _main_task(folder, recipe)
    if task not in network.assembly.classes:
        raise DataError(
            f"{folder.path}: the task {task!r} tells no people apart; the run's tasks with classes "
            f"are {', '.join(network.assembly.classes) or 'none'}"
        )
    own = _route(folder, network, task, routing)
    weights = hashlib.sha256(folder.model.read_bytes()).hexdigest()
    return FaceModel(
        folder=folder,
        recipe=recipe,
        embedder=Embedder(network, task).eval(),
        frame=_frame(folder, network.assembly.sample_shape),
        weights=weights,
        fingerprint=_fingerprint(network, task, weights),
        own_routing=own,
    )


def _main_task(folder: RunFolder, recipe: Recipe) -> str:
    main = [
        name
        for name, task in recipe.tasks.items()
        if task.role is Role.MAIN and task.head.kind is TaskKind.CLASSIFICATION
    ]
    if len(main) != 1:
        raise DataError(
            f"{folder.path}: which task tells people apart? it has {len(main)} main tasks with "
            f"classes; name one of {', '.join(recipe.tasks)} with --task"
        )
    return main[0]


def _route(
    folder: RunFolder, network: MultiTaskModel, task: str, routing: BranchSelection | None
) -> bool:
    """Route the branches of `task` as asked; whether that is as in the run's own evaluation."""
    router = network.router
    if not isinstance(router, GroupedRouter) or router.task != task:
        if routing is not None:
            raise DataError(
                f"{folder.path}: {task!r} has no branches to route; leave --routing out"
            )
        return True
    wanted = routing or router.choice
    if wanted is BranchSelection.LABEL:
        raise DataError(
            f"{folder.path}: its branches are routed by the label of {router.by!r}, which an image "
            f"to be used does not have; use --routing {BranchSelection.EXPECTED.value} (eq. 12) or "
            f"{BranchSelection.BEST.value}"
        )
    own = wanted is router.choice
    router.choice = wanted
    return own


def _frame(folder: RunFolder, shape: Sequence[int]) -> Frame:
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise DataError(
            f"{folder.path}: expected a network of images (channels, height, width), gray or RGB; "
            f"its inputs have the shape {tuple(shape)}"
        )
    return Frame(shape[1], shape[2], shape[0])


def _fingerprint(network: MultiTaskModel, task: str, weights: str) -> str:
    assembly, router = network.assembly, network.router
    branched = isinstance(router, GroupedRouter) and router.task == task
    what = {
        "template": TEMPLATE,
        "weights": weights,
        "task": task,
        "routing": router.choice.value if branched and isinstance(router, GroupedRouter) else None,
        "shape": list(assembly.sample_shape),
        "centre": assembly.mean,
        "scale": assembly.std,
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
