"""Report images of misidentified probes."""

import base64
import io
from collections.abc import Iterable

import torch
from PIL import Image
from torch import Tensor

from mtlkit.data import Batch, Categorical, Split, single_input
from mtlkit.evaluators import Block, Gallery, Picture, Text
from mtlkit_face.identification.gallery import GalleryTrial
from mtlkit_face.identification.matching import Matches
from mtlkit_face.identification.subsets import Subsets

MAX_SHOWN = 12


def failure_gallery(
    split: Split, trial: GalleryTrial, matches: Matches, breakdown: Subsets
) -> tuple[Block, ...]:
    """Return failed probes, each with its mate in the gallery and the image it was taken for.

    At most `MAX_SHOWN` probes are chosen, in turn from each class of the breakdown. Inputs that are
    not 8-bit images yield no block.
    """
    failed = matches.ranks > 1
    if not failed.any():
        return (Text(text="No probe was taken for another subject."),)
    if not _are_images(split.inputs[trial.gallery[:1]]):
        return ()
    shown = _in_turn([(failed & among) for among in breakdown.classes.values()] or [failed])
    rows = tuple(_row(split, trial, matches, probe) for probe in shown)
    caption = (
        f"{len(rows)} of {int(failed.sum())} failed probes, spread evenly: the probe, its own "
        f"gallery image, and the gallery image it was taken for."
    )
    return (Gallery(rows=rows, caption=caption),)


def _in_turn(masks: Iterable[Tensor]) -> list[int]:
    """Return up to `MAX_SHOWN` of the positions set in `masks`, one from each mask in turn."""
    queues = [_spread(mask.nonzero().squeeze(1).tolist()) for mask in masks]
    chosen: list[int] = []
    depth = 0
    while len(chosen) < MAX_SHOWN and any(len(queue) > depth for queue in queues):
        for queue in queues:
            if len(queue) > depth and len(chosen) < MAX_SHOWN:
                chosen.append(queue[depth])
        depth += 1
    return sorted(chosen)


def _spread(queue: list[int]) -> list[int]:
    """Reorder positions by golden-ratio steps, so that not all come from the first subject."""
    return sorted(queue, key=lambda position: (position * 0.6180339887498949) % 1.0)


def _row(split: Split, trial: GalleryTrial, matches: Matches, probe: int) -> tuple[Picture, ...]:
    index, mate = int(trial.probes[probe]), int(trial.mates[probe])
    impostor = int(matches.best_impostors[probe])
    return (
        _picture(split, index, f"{_labels(split, index)}: rank {int(matches.ranks[probe])}"),
        _picture(
            split,
            int(trial.gallery[mate]),
            f"gallery, {trial.subjects[mate]}: {matches.mate_scores[probe]:.3f}",
        ),
        _picture(
            split,
            int(trial.gallery[impostor]),
            f"taken for {trial.subjects[impostor]}: {matches.best_impostor_scores[probe]:.3f}",
        ),
    )


def _labels(split: Split, index: int) -> str:
    """Return the labels of a sample: ``yaw -90, light 3``."""
    named = {name: c for name, c in split.columns.items() if isinstance(c, Categorical)}
    codes = {name: int(column.codes[index]) for name, column in named.items()}
    return ", ".join(f"{name} {named[name].names[c]}" for name, c in codes.items() if c >= 0)


def _are_images(inputs: Batch) -> bool:
    if not isinstance(inputs, Tensor):
        return False
    return inputs.dtype == torch.uint8 and inputs.dim() == 4 and inputs.shape[1] in (1, 3)


def _picture(split: Split, index: int, caption: str) -> Picture:
    pixels = single_input(split.inputs[torch.tensor([index])])[0].numpy()
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0).copy())
    target = io.BytesIO()
    image.save(target, format="PNG")
    return Picture(png=base64.b64encode(target.getvalue()).decode(), caption=caption)
