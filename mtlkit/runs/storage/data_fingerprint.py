"""Fingerprint of a run's data, which detects data that changed between start and resumption."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from mtlkit.assembly import Assembly, encode_targets
from mtlkit.checksums import checksum
from mtlkit.data.dataset import Data, Split
from mtlkit.data.imaging.image_stores import EncodedSizes, Sizes
from mtlkit.data.inputs import Inputs
from mtlkit.data.joined.concatenation import ConcatInputs
from mtlkit.data.transformed import source_of
from mtlkit.task import Task

CONTENT = "content"
"""The entry for the values of inputs in memory.

Another machine or library may decode them with other last digits, so a difference is a warning.
"""

SIZES = "sizes of encoded samples"
"""The entry for samples that are read from a container, such as a shard.

Runs that began before it existed lack it.
"""

Fingerprint = Mapping[str, Mapping[str, str]]
"""Checksums and sizes by split and part."""


def data_fingerprint(data: Data, tasks: Mapping[str, Task], assembly: Assembly) -> Fingerprint:
    """Return checksums of the ids, encoded targets and inputs of each split of `data`.

    Inputs that are not in memory are represented by their number, shape and dtype, and by the sizes
    of encoded samples where these are known. Raises `DataError` if a label does not fit.
    """
    return {
        name: {
            **_inputs(split),
            "ids": checksum(f"{id_}\0".encode("utf-8", "surrogatepass") for id_ in split.ids),
            **{
                f"labels of {task!r}": _of(target)
                for task, target in encode_targets(
                    split, tasks, assembly, data.open_labels if name == "test" else frozenset()
                ).items()
            },
        }
        for name, split in data.splits().items()
    }


def data_changes(then: Fingerprint, now: Fingerprint, *, content: bool = False) -> list[str]:
    """Return what differs between two fingerprints, except for the content of inputs.

    With `content`, return the splits whose inputs have other values; see `CONTENT`. Inputs that are
    in memory in one of the two alone, by its size, are not compared.

    >>> data_changes({"train": {"ids": "a", "inputs": "2 of"}}, {"train": {"ids": "b"}})
    ['ids of train', 'inputs of train']
    >>> data_changes({"train": {}, "test": {}}, {"train": {}})
    ['split test']
    """
    changes = []
    for split in {**then, **now}:
        if split not in then or split not in now:
            changes += [] if content else [f"split {split}"]
            continue
        one, other = then[split], now[split]
        changes += [
            f"{part} of {split}"
            for part in {**one, **other}
            if (part == CONTENT) == content
            and one.get(part) != other.get(part)
            and not (part in (CONTENT, SIZES) and (part not in one or part not in other))
        ]
    return changes


def _inputs(split: Split) -> dict[str, str]:
    sample = split.inputs[torch.tensor([0])]
    named = {"": sample} if isinstance(sample, Tensor) else sample
    shapes = [f"{name} {tuple(part.shape[1:])}, {part.dtype}" for name, part in named.items()]
    parts = {"inputs": f"{len(split)} of shape {'; '.join(shapes)}"}
    if isinstance(split.inputs, Tensor):
        parts[CONTENT] = _of(split.inputs)
    if sizes := list(encoded_sizes(source_of(split).inputs)):
        parts[SIZES] = checksum(part.astype("<i8").data for part in sizes)
    return parts


def encoded_sizes(inputs: Inputs) -> Iterator[Sizes]:
    """Yield the sizes (N,) of the samples of each part of `inputs` that has them."""
    for part in inputs.parts if isinstance(inputs, ConcatInputs) else [inputs]:
        if isinstance(part, EncodedSizes) and (sizes := part.encoded_sizes()) is not None:
            yield sizes


def _of(values: Any) -> str:
    """Return the checksum of a tensor; of other targets only their number."""
    if not isinstance(values, Tensor):
        return f"{len(values)} values"
    flat = values.detach().cpu().contiguous().reshape(-1)
    return checksum([str(values.dtype).encode(), flat.view(torch.uint8).numpy().data])
