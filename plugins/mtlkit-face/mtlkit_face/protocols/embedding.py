"""Templates of pictures, computed a batch at a time.

The paper matches two pictures by the mean of the four cosines of (picture, mirror image) with
(picture, mirror image). A cosine is a dot product of unit vectors, so that mean is the dot product
of the means: one template (t(picture) + t(mirror image)) / 2 for each picture, which is not
normalized again. Common toolkits normalize it again; their score is the cosine of the sums.

Shapes: N pictures, templates of length K.
"""

import collections
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.backbones import one_input
from mtlkit.data import Frame
from mtlkit.plugins import DataError, MultiTaskModel
from mtlkit_face.identification.template import template
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.pictures import DecodedPicture, FaceImage, decode_picture
from mtlkit_face.protocols.protocol import Progress, Protocol
from mtlkit_face.protocols.result import Preprocessing


@attrs.frozen(eq=False, kw_only=True)
class Templates:
    """Templates (N, K), with rows of NaN for failed ones, and errors by row."""

    rows: Tensor
    faults: dict[int, str]


def unchanged(rows: Tensor) -> Tensor:
    """Return the mean over mirror images, as in the paper."""
    return rows


def normalized(rows: Tensor) -> Tensor:
    """Normalize the mean to unit length, as in common toolkits."""
    return F.normalize(rows, dim=1)


FINISH: dict[Mode, Callable[[Tensor], Tensor]] = {
    Mode.STRICT: unchanged,
    Mode.COMPATIBLE: normalized,
}
"""The last step of each mode, after the mean over mirror images."""


class ImageEmbedder:
    """Computes templates by one model, at its picture size, channels and normalization.

    It counts `embedded` pictures and their `sizes` before resizing, and stores in `failed` the
    errors of pictures without a template, by name. `progress` is called after each batch with the
    number of pictures done and expected. `weights` is the SHA-256 of the model's file, or None.
    `frame` is that of the images of training; None is the largest centered rectangle.
    """

    def __init__(
        self,
        config: Protocol,
        model: MultiTaskModel,
        progress: Progress,
        weights: str | None = None,
        frame: Frame | None = None,
    ) -> None:
        inputs = one_input(model.assembly.inputs, config.name)
        shape = inputs.shape
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise DataError(
                f"{config.name}: the model has inputs of shape {shape}; expected pictures, "
                f"(1, height, width) or (3, height, width)"
            )
        if config.task not in model.tasks:
            raise DataError(
                f"{config.name}: no task named {config.task!r}; "
                f"the tasks are {', '.join(model.tasks)}"
            )
        self.shape = shape
        frame = frame or Frame(shape[1], shape[2], shape[0], crop=1.0)
        self.frame = attrs.evolve(frame, reduce=True, square=None)
        self.weights = weights
        self.preprocessing = Preprocessing(
            shape=shape,
            mean=inputs.mean,
            std=inputs.std,
            crop=self.frame.crop,
            standardize=inputs.standardize,
        )
        self.embedded = 0
        self.sizes: collections.Counter[tuple[int, int]] = collections.Counter()
        self.failed: dict[str, str] = {}
        self._done = self._expected = 0
        self._config = config
        self._progress = progress
        self._model = model
        self._finish = FINISH[config.mode]
        self._device = next(model.parameters()).device

    def expect(self, pictures: int) -> None:
        """Announce the number of pictures that will be embedded, for progress."""
        self._expected = pictures

    def templates(self, pictures: Sequence[FaceImage]) -> Templates:
        """Compute templates of `pictures`; raises `DataError` for failures that do not count."""
        parts: list[Tensor] = []
        faults: dict[int, str] = {}
        size = self._config.batch
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            following = pool.map(self._decoded, pictures[:size])
            for start in range(0, len(pictures), size):
                decoded = list(following)
                # decoded while the network computes
                following = pool.map(self._decoded, pictures[start + size : start + 2 * size])
                rows, batch_faults = self._one_batch(decoded)
                parts.append(rows)
                self._done += len(decoded)
                self._progress(self._done, max(self._expected, self._done))
                faults |= {start + i: fault for i, fault in batch_faults.items()}
        self.failed |= {pictures[i].name: fault for i, fault in faults.items()}
        errors = {pictures[i].name: f for i, f in faults.items() if not pictures[i].faceless}
        if errors and not self._config.counts_failures:
            raise DataError(refusal(self._config.name, errors))
        width = max(part.shape[1] for part in parts)  # a batch without templates has one column
        return Templates(rows=torch.cat([p.expand(-1, width) for p in parts]), faults=faults)

    def _decoded(self, picture: FaceImage) -> DecodedPicture | str:
        try:
            return decode_picture(picture, self.frame)
        except DataError as cause:
            return str(cause)

    def _one_batch(self, decoded: list[DecodedPicture | str]) -> tuple[Tensor, dict[int, str]]:
        faults = {i: item for i, item in enumerate(decoded) if isinstance(item, str)}
        valid = [(i, item) for i, item in enumerate(decoded) if isinstance(item, DecodedPicture)]
        if not valid:
            return torch.full((len(decoded), 1), torch.nan), faults  # the width is unknown
        self.sizes.update(picture.size for _, picture in valid)
        self.embedded += len(valid)
        embedded = self.embed(torch.from_numpy(np.stack([p.pixels for _, p in valid])))
        rows = embedded.new_full((len(decoded), embedded.shape[1]), torch.nan)
        rows[[i for i, _ in valid]] = embedded
        for (i, _), finite in zip(valid, embedded.isfinite().all(dim=1).tolist(), strict=True):
            if not finite:
                faults[i] = "has a template that is not finite"
        return rows, faults

    def embed(self, images: Tensor) -> Tensor:
        """Return templates (N, K) on the CPU of images (N, C, H, W) in the model's input shape."""
        images = images.to(self._device)
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=False):
            rows = self._template(images)
            if self._config.mirror:
                rows = (rows + self._template(images.flip(-1))) / 2
            return self._finish(rows).float().cpu().clone()

    def _template(self, images: Tensor) -> Tensor:
        try:
            output = self._model(images)
        except DataError as cause:
            raise DataError(
                f"{self._config.name}: {cause}. Pictures of a protocol have no labels: evaluate a "
                f"run whose recipe has `router.test: expected` or `best`"
            ) from cause
        task = self._config.task
        return template(output.outputs[task], output.branches.get(task))


def refusal(protocol: str, failed: dict[str, str]) -> str:
    """Return the error for a set with failures, with the option that counts them."""
    named = "; ".join(f"{name} {why}" for name, why in list(failed.items())[:5])
    more = f"; and {len(failed) - 5:,} more" if len(failed) > 5 else ""
    pictures = "1 picture" if len(failed) == 1 else f"{len(failed):,} pictures"
    return (
        f"{protocol}: {pictures} cannot be used: {named}{more}. The set is incomplete. "
        f"Complete it, or set `count_failures: true` to count them as never matched"
    )
