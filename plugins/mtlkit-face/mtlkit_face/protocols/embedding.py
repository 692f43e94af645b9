"""Templates of pictures, a batch at a time: decoded, mirrored, through the network, and let go.

The paper matches two pictures by the mean of the four cosines of (picture, mirror image) with
(picture, mirror image). A cosine is a dot product of unit vectors, so that mean is the dot product
of the means: one template (t(picture) + t(mirror image)) / 2 for each picture, which is not
normalised again. The common kits do normalise it again, which is another score: theirs is the
cosine of the sums.

Shapes: N pictures, K numbers of a template.
"""

import collections
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.errors import DataError
from mtlkit.model import MultiTaskModel
from mtlkit_face.protocols.options import Mode, Progress, Protocol
from mtlkit_face.protocols.pictures import Decoded, Picture, decode
from mtlkit_face.protocols.result import Preprocessing
from mtlkit_face.template import template


@attrs.frozen(eq=False, kw_only=True)
class Templates:
    """Templates (N, K), rows of NaN for those that failed, and by position why they did."""

    rows: Tensor
    faults: dict[int, str]


def as_it_is(rows: Tensor) -> Tensor:
    """The mean over mirror images, as in the paper."""
    return rows


def normalised(rows: Tensor) -> Tensor:
    """To unit length again, as in the common kits."""
    return F.normalize(rows, dim=1)


FINISH: dict[Mode, Callable[[Tensor], Tensor]] = {
    Mode.STRICT: as_it_is,
    Mode.COMPATIBLE: normalised,
}
"""What each mode makes of the mean over mirror images."""


class Embedder:
    """Embeds pictures by one model, with its own size, channels and normalisation.

    It counts what it did: `embedded` pictures, `sizes` of the pictures before they were resized,
    and `failed`, the names of pictures without a template with the reason. `progress` is told how
    many pictures a batch had. `weights` is the SHA-256 of the file of the model, if it is of one.
    """

    def __init__(
        self,
        config: Protocol,
        model: MultiTaskModel,
        progress: Progress,
        weights: str | None = None,
    ) -> None:
        shape = model.assembly.sample_shape
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise DataError(
                f"{config.name}: the model takes inputs of shape {shape}; expected pictures, "
                f"(1, height, width) or (3, height, width)"
            )
        if config.task not in model.tasks:
            raise DataError(
                f"{config.name}: no task named {config.task!r}; "
                f"the tasks are {', '.join(model.tasks)}"
            )
        self.shape = shape
        self.weights = weights
        self.preprocessing = Preprocessing(
            shape=shape, centre=model.assembly.mean, scale=model.assembly.std
        )
        self.embedded = 0
        self.sizes: collections.Counter[tuple[int, int]] = collections.Counter()
        self.failed: dict[str, str] = {}
        self._config = config
        self._progress = progress
        self._model = model
        self._finish = FINISH[config.mode]
        self._device = next(model.parameters()).device

    def templates(self, pictures: Sequence[Picture]) -> Templates:
        """The templates of `pictures`; `DataError` for one that fails, unless failures count."""
        parts: list[Tensor] = []
        faults: dict[int, str] = {}
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for start in range(0, len(pictures), self._config.batch):
                batch = pictures[start : start + self._config.batch]
                rows, bad = self._one_batch(list(pool.map(self._decoded, batch)))
                parts.append(rows)
                self._progress(len(batch))
                faults |= {start + place: why for place, why in bad.items()}
        self.failed |= {pictures[place].name: why for place, why in faults.items()}
        wrong = {pictures[i].name: why for i, why in faults.items() if not pictures[i].faceless}
        if wrong and not self._config.counts_failures:
            raise DataError(refusal(self._config.name, wrong))
        width = max(part.shape[1] for part in parts)  # a batch of failures alone has one column
        return Templates(rows=torch.cat([p.expand(-1, width) for p in parts]), faults=faults)

    def _decoded(self, picture: Picture) -> Decoded | str:
        try:
            return decode(picture, self.shape)
        except DataError as cause:
            return str(cause)

    def _one_batch(self, decoded: list[Decoded | str]) -> tuple[Tensor, dict[int, str]]:
        faults = {i: each for i, each in enumerate(decoded) if isinstance(each, str)}
        whole = [(i, each) for i, each in enumerate(decoded) if isinstance(each, Decoded)]
        if not whole:
            return torch.full((len(decoded), 1), torch.nan), faults  # how wide is not known
        self.sizes.update(each.size for _, each in whole)
        self.embedded += len(whole)
        found = self.embed(torch.from_numpy(np.stack([each.pixels for _, each in whole])))
        rows = found.new_full((len(decoded), found.shape[1]), torch.nan)
        rows[[i for i, _ in whole]] = found
        for (i, _), finite in zip(whole, found.isfinite().all(dim=1).tolist(), strict=True):
            if not finite:
                faults[i] = "has a template that is not finite"
        return rows, faults

    def embed(self, images: Tensor) -> Tensor:
        """Templates (N, K) on the CPU of images (N, C, H, W) as the model takes them."""
        images = images.to(self._device)
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=False):
            rows = self._template(images)
            if self._config.mirror:
                rows = (rows + self._template(images.flip(-1))) / 2
            return self._finish(rows).float().cpu().clone()

    def _template(self, images: Tensor) -> Tensor:
        try:
            said = self._model(images)
        except DataError as cause:
            raise DataError(
                f"{self._config.name}: {cause}. Pictures of a protocol have no labels: evaluate a "
                f"run whose recipe has `routing.test: expected` or `best`"
            ) from cause
        task = self._config.task
        return template(said.outputs[task], said.branches.get(task))


def refusal(place: str, failed: dict[str, str]) -> str:
    """Why a set with failures is refused, and how it would be counted."""
    named = "; ".join(f"{name} {why}" for name, why in list(failed.items())[:5])
    more = f"; and {len(failed) - 5:,} more" if len(failed) > 5 else ""
    pictures = "1 picture" if len(failed) == 1 else f"{len(failed):,} pictures"
    return (
        f"{place}: {pictures} cannot be used: {named}{more}. The set is incomplete. "
        f"Complete it, or set `count_failures: true` to count them as recognised by nobody"
    )
