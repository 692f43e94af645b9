"""Load a trained run as a model that embeds face images as templates."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import attrs
import torch
from torch import Tensor, nn

from mtlkit import Recipe, Role, load_catalog, load_model, load_recipe
from mtlkit.backbones import one_input
from mtlkit.data import Boxes, ClassTarget, DataSource, Frame, Images, InputSpec, Landmarks
from mtlkit.plugins import DataError, MultiTaskModel
from mtlkit.routers import BranchSelection, GroupedRouter
from mtlkit.runs import RunFolder, open_run
from mtlkit_face.data.image_source import FaceImageSource
from mtlkit_face.identification.template import template
from mtlkit_face.networks.second_head import SecondHeadRouter

TEMPLATE = 1
"""Version of the template computation; templates of different versions are not comparable."""

_BATCH = 256


class Embedder(nn.Module):
    """Module from raw images (N, C, H, W) to templates (N, K), whose dot products are the scores.

    Scores are cosines of identity logits, or eq. 12 of Yin & Liu (TIP 2018) with pose branches.
    """

    def __init__(self, network: MultiTaskModel, task: str) -> None:
        super().__init__()
        self.network = network
        self.task = task

    def forward(self, images: Tensor) -> Tensor:
        predictions = self.network(images)
        return template(predictions.outputs[self.task], predictions.branches.get(self.task))


@attrs.frozen(eq=False, kw_only=True)
class FaceModel:
    """Trained network with its run and the fingerprint of its templates.

    `frame` states how images become inputs, as in training: size, channels and framing. `weights`
    is the SHA-256 of the run's weights; `fingerprint` also covers normalization, input shape, task
    and routing. Only templates of the same fingerprint are comparable. `default_routing` is true if
    branches are routed as in the run's evaluation.
    """

    folder: RunFolder
    recipe: Recipe
    embedder: Embedder
    frame: Frame
    weights: str
    fingerprint: str
    default_routing: bool

    @property
    def task(self) -> str:
        """Name of the task whose classes are people."""
        return self.embedder.task

    @property
    def region_table(self) -> Boxes | Landmarks | None:
        """Option by which the training images were cut out, if any."""
        data = self.recipe.data
        return data.boxes or data.landmarks if isinstance(data, Images | FaceImageSource) else None

    @property
    def preprocessing(self) -> str:
        """SHA-256 of how an image becomes the network's input: frame, region, normalization."""
        inputs = one_input(self.embedder.network.assembly.inputs, self.task)
        table = self.region_table
        region = None if table is None else repr(attrs.evolve(table, table=Path()))
        parts = {
            **attrs.asdict(self.frame),
            "region": region,
            **_normalization(inputs),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Number of elements K of a template."""
        network = self.embedder.network
        classes = len(network.assembly.classes[self.task])
        router = network.router
        two = isinstance(router, GroupedRouter | SecondHeadRouter) and router.task == self.task
        return 2 * classes if two else classes

    def embed(self, images: Tensor) -> Tensor:
        """Return templates (N, K) of raw images (N, C, H, W), in float32 on the CPU.

        Raises `DataError` if the shape of the images is not that of the network's inputs.
        """
        expected = (self.frame.channels, self.frame.height, self.frame.width)
        if tuple(images.shape[1:]) != expected:
            raise DataError(
                f"images: got the shape {tuple(images.shape)}, "
                f"expected (N, {', '.join(map(str, expected))})"
            )
        device = next(self.embedder.network.parameters()).device
        templates = torch.empty(len(images), self.size)
        with torch.inference_mode():
            for start in range(0, len(images), _BATCH):
                batch = images[start : start + _BATCH].to(device)
                templates[start : start + _BATCH] = self.embedder(batch)
        return templates


def open_model(
    run: Path | str,
    *,
    task: str | None = None,
    routing: BranchSelection | None = None,
    device: str = "cpu",
) -> FaceModel:
    """Load the trained model of the run at `run`; its data is not needed.

    `task` is the one whose classes are people; None means the run's only main task. `routing` sets
    the weights of branches; None means the recipe's. Routing by label is unavailable, because new
    images have no labels.

    Raises `RunError` unless the run is finished, and `DataError` if it does not embed faces.
    """
    folder = open_run(Path(run))
    catalog = load_catalog()
    recipe = load_recipe(folder.recipe, catalog)
    network = load_model(folder.path, catalog).network.to(device)
    task = task or _main_task(folder, recipe)
    if task not in network.assembly.classes:
        raise DataError(
            f"{folder.path}: the task {task!r} has no classes; the run's tasks with classes are: "
            f"{', '.join(network.assembly.classes) or 'none'}"
        )
    default_routing = _set_routing(folder, network, task, routing)
    weights = hashlib.sha256(folder.model.read_bytes()).hexdigest()
    return FaceModel(
        folder=folder,
        recipe=recipe,
        embedder=Embedder(network, task).eval(),
        frame=_frame(
            folder, recipe.data, one_input(network.assembly.inputs, str(folder.path)).shape
        ),
        weights=weights,
        fingerprint=_fingerprint(network, task, weights),
        default_routing=default_routing,
    )


def _main_task(folder: RunFolder, recipe: Recipe) -> str:
    main = [
        name
        for name, task in recipe.tasks.items()
        if task.role is Role.MAIN and task.head.predicts(ClassTarget)
    ]
    if len(main) != 1:
        raise DataError(
            f"{folder.path}: got {len(main)} main tasks with classes, expected one; choose one of "
            f"{', '.join(recipe.tasks)} with --task"
        )
    return main[0]


def _set_routing(
    folder: RunFolder, network: MultiTaskModel, task: str, routing: BranchSelection | None
) -> bool:
    """Set the routing of the branches of `task`, and return True if it is the run's default."""
    router = network.router
    if not isinstance(router, GroupedRouter) or router.task != task:
        if routing is not None:
            raise DataError(
                f"{folder.path}: {task!r} has no branches to route; leave out --routing"
            )
        return True
    default = router.choice
    router.choice = routing or default
    if router.choice is BranchSelection.LABEL:
        raise DataError(
            f"{folder.path}: its branches are routed by the label of {router.by!r}, which new "
            f"images do not have; use --routing {BranchSelection.EXPECTED.value} (eq. 12) or "
            f"{BranchSelection.BEST.value}"
        )
    return router.choice is default


def _frame(folder: RunFolder, data: DataSource, shape: Sequence[int]) -> Frame:
    """Return the frame of the training images; the largest centered square of an unknown source."""
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise DataError(
            f"{folder.path}: got a network with inputs of shape {tuple(shape)}, expected gray or "
            f"RGB images (channels, height, width)"
        )
    return data.frame or Frame(shape[1], shape[2], shape[0], crop=1.0)


def _normalization(inputs: InputSpec) -> dict[str, object]:
    """Return the entries of a digest for how inputs are normalized."""
    return {"mean": inputs.mean, "std": inputs.std, "standardize": inputs.standardize}


def _fingerprint(network: MultiTaskModel, task: str, weights: str) -> str:
    inputs, router = one_input(network.assembly.inputs, task), network.router
    branched = isinstance(router, GroupedRouter) and router.task == task
    parts = {
        "template": TEMPLATE,
        "weights": weights,
        "task": task,
        "routing": router.choice.value if branched and isinstance(router, GroupedRouter) else None,
        "shape": list(inputs.shape),
        **_normalization(inputs),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
