"""From a folder of images to data: list, check, decode, divide."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mtlkit.data.dataset import Data, Inputs, Split
from mtlkit.data.decode import MEMORY, Frame, StoredImages, read_images, threads
from mtlkit.data.image_listing import Fault, Listing, list_by_pattern, list_by_table
from mtlkit.data.images import Images
from mtlkit.data.label_columns import check_labels, columns_by_split, describe, named
from mtlkit.data.paths import find_file, find_folder
from mtlkit.data.read_table import read_table
from mtlkit.data.source import Loading
from mtlkit.data.split_indices import SPLIT, positions_of
from mtlkit.errors import DataError

SHOWN = 10
"""How many files a message names before it only counts them."""


def load_images(config: Images, loading: Loading, memory: int = MEMORY) -> Data:
    """The images and labels that `config` describes; `DataError` where they cannot be had whole.

    Decoded images of more than `memory` bytes are left on disk and decoded whenever needed.
    """
    folder = find_folder(config.folder, (loading.base, Path()), "data.folder")
    listing = _list(config, folder, loading.base)
    check_labels(config, listing.rows)
    frame = _frame(config)
    paths = [folder / row.file for row in listing.rows]
    pixels, unreadable = read_images(paths, frame, loading, memory)
    faults = [*listing.faults]
    faults += [Fault(listing.rows[place].file, reason) for place, reason in unreadable.items()]
    faults.sort(key=lambda fault: fault.file)
    total = len(listing.rows) + len(listing.faults)
    if faults and not config.skip_bad:
        raise DataError(_complaint(faults, total, config.folder))
    good = [place for place in range(len(listing.rows)) if place not in unreadable]
    if not good:
        raise DataError(f"{config.folder}: {_nothing(faults, listing.other)}")
    rows = [listing.rows[place] for place in good]
    positions = positions_of(config.split, rows)
    columns = columns_by_split(config, rows, positions, without=SPLIT)
    splits = {
        name: Split(
            inputs=_inputs([good[i] for i in chosen], pixels, paths, frame, threads(loading)),
            columns=columns[name],
            ids=[rows[i].file for i in chosen],
        )
        for name, chosen in positions.items()
    }
    summary = {"images": str(len(rows)), "size": _size(frame)}
    summary["splits"] = ", ".join(f"{len(split)} {name}" for name, split in splits.items())
    summary |= describe(config, rows, without=SPLIT)
    summary |= _left_out(faults, listing.other)
    by = config.split.by if config.split else None
    return Data(
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        open_labels=frozenset([*config.open_labels, *([by] if by else [])]),
        summary=summary,
    )


def _list(config: Images, folder: Path, base: Path) -> Listing:
    if config.pattern is not None:
        return list_by_pattern(folder, config.pattern, config.ignore)
    assert config.labels is not None, "the component takes labels or a pattern"
    table = find_file(config.labels, (folder, base, Path()), "data.labels")
    return list_by_table(folder, read_table(table), config.ignore)


def _frame(config: Images) -> Frame:
    sides = config.size if isinstance(config.size, tuple) else (config.size, config.size)
    return Frame(*sides, config.channels)


def _inputs(
    places: Sequence[int],
    pixels: Tensor | None,
    paths: Sequence[Path],
    frame: Frame,
    workers: int,
) -> Inputs:
    if pixels is None:
        return StoredImages([paths[place] for place in places], frame, workers)
    return pixels[torch.tensor(places)]


def _complaint(faults: Sequence[Fault], total: int, folder: Path) -> str:
    lines = [f"{folder}: {len(faults)} of {total} files cannot be used:"]
    lines += [f"  {fault.file}: {fault.reason}" for fault in faults[:SHOWN]]
    if len(faults) > SHOWN:
        lines.append(f"  and {len(faults) - SHOWN} more")
    lines.append(
        "mend them, name them under `ignore`, or let `skip_bad: true` leave them out and count them"
    )
    return "\n".join(lines)


def _nothing(faults: Sequence[Fault], other: Sequence[str]) -> str:
    facts = [f"{key}: {value}" for key, value in _left_out(faults, other).items()]
    return "; ".join(["no image can be used", *(facts or ["no file was found"])])


def _left_out(faults: Sequence[Fault], other: Sequence[str]) -> dict[str, str]:
    found = {}
    if faults:
        found["left out"] = _files([fault.file for fault in faults])
    if other:
        found["no images"] = _files(other)
    return found


def _files(names: Sequence[str]) -> str:
    return f"{len(names)} {'file' if len(names) == 1 else 'files'}: {named(names)}"


def _size(frame: Frame) -> str:
    colour = "gray" if frame.channels == 1 else "RGB"
    return f"{frame.width} x {frame.height} pixels, {colour}"
