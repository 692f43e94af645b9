"""Pictures of the probes that were taken for somebody else."""

import base64
import io
from collections.abc import Iterable

import torch
from PIL import Image
from torch import Tensor

from mtlkit.data import Categorical, Split
from mtlkit.report import Block, Gallery, Picture, Text
from mtlkit_face.identification.gallery import GalleryTrial
from mtlkit_face.identification.matching import Matches
from mtlkit_face.identification.subsets import Subsets

MOST = 12


def failure_gallery(
    split: Split, trial: GalleryTrial, matches: Matches, breakdown: Subsets
) -> tuple[Block, ...]:
    """Failed probes, each beside its own gallery image and the one it was taken for.

    At most `MOST`, in turn from each class of the breakdown. Inputs that are no 8-bit pictures
    cannot be shown, and give no block.
    """
    failed = matches.ranks > 1
    if not failed.any():
        return (Text(text="No probe was taken for another subject."),)
    if not _pictures(split.inputs[trial.gallery[:1]]):
        return ()
    shown = _in_turn([(failed & among) for among in breakdown.classes.values()] or [failed])
    rows = tuple(_row(split, trial, matches, probe) for probe in shown)
    caption = (
        f"{len(rows)} of {int(failed.sum())} failed probes, spread evenly: the probe, its own "
        f"gallery image, and the gallery image it was taken for."
    )
    return (Gallery(rows=rows, caption=caption),)


def _in_turn(kinds: Iterable[Tensor]) -> list[int]:
    """Some of the positions marked in each mask, one from each in turn."""
    queues = [mask.nonzero().squeeze(1).tolist() for mask in kinds]
    chosen: list[int] = []
    depth = 0
    while len(chosen) < MOST and any(len(queue) > depth for queue in queues):
        # golden-ratio steps through each queue, so that not all come from the first subject
        for queue in queues:
            if len(queue) > depth and len(chosen) < MOST:
                chosen.append(_spread(queue)[depth])
        depth += 1
    return sorted(chosen)


def _spread(queue: list[int]) -> list[int]:
    return sorted(queue, key=lambda position: (position * 0.6180339887498949) % 1.0)


def _row(split: Split, trial: GalleryTrial, matches: Matches, probe: int) -> tuple[Picture, ...]:
    at, owner = int(trial.probes[probe]), int(trial.owners[probe])
    rival = int(matches.rivals[probe])
    return (
        _picture(split, at, f"{_labels(split, at)}: rank {int(matches.ranks[probe])}"),
        _picture(
            split,
            int(trial.gallery[owner]),
            f"gallery, {trial.subjects[owner]}: {matches.own[probe]:.3f}",
        ),
        _picture(
            split,
            int(trial.gallery[rival]),
            f"taken for {trial.subjects[rival]}: {matches.rival_scores[probe]:.3f}",
        ),
    )


def _labels(split: Split, at: int) -> str:
    """What is known of a sample: ``yaw -90, light 3``."""
    named = {name: c for name, c in split.columns.items() if isinstance(c, Categorical)}
    codes = {name: int(column.codes[at]) for name, column in named.items()}
    return ", ".join(f"{name} {named[name].names[c]}" for name, c in codes.items() if c >= 0)


def _pictures(inputs: Tensor) -> bool:
    return inputs.dtype == torch.uint8 and inputs.dim() == 4 and inputs.shape[1] in (1, 3)


def _picture(split: Split, at: int, caption: str) -> Picture:
    pixels = split.inputs[torch.tensor([at])][0].numpy()
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0).copy())
    target = io.BytesIO()
    image.save(target, format="PNG")
    return Picture(png=base64.b64encode(target.getvalue()).decode(), caption=caption)
