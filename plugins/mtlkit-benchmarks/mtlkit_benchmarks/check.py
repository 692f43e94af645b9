"""The check of an official tree: what is there, what is missing, and where it can be had."""

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch

from mtlkit.data import Data, Loading
from mtlkit.plugins import DataError, MtlkitError, did_you_mean
from mtlkit_benchmarks.sources import CHECKED
from mtlkit_benchmarks.trees.source import OfficialTree


def check_tree(name: str, folder: Path, *, complete: bool = True) -> tuple[list[str], bool]:
    """Return the lines to print about the tree of the data set `name`, and whether it is sound."""
    source = source_of(name, folder, complete=complete)
    layout = source.layout()
    lines, states = [f"{layout.title} in {folder}"], set[str]()
    for part in layout.parts:
        pattern, count = part.found(folder) if folder.is_dir() else (part.pattern, 0)
        fault = part.fault(folder, complete=complete) if folder.is_dir() else "no such folder"
        state = "there" if fault is None else part.state(count)
        lines.append(f"  {state:8} {count:>9,} of {part.expected:>10}  {pattern}")
        states.add(state)
    steps = []
    if states & {"missing", "partly"}:
        steps += [f"get what is missing from {layout.page}"]
        steps += [f"place it in {folder}, under the names above"]
    if "too many" in states:
        steps.append("remove files that are not of the data set where there are too many")
    if steps:
        if complete:
            steps.append("or set `complete: false` (here: --part) to read a part of it")
        return [*lines, *to_do(steps)], False
    try:
        data = source.load(Loading())
        read_ends(data)
    except MtlkitError as cause:
        steps = [f"correct what is named, or get it again from {layout.page}"]
        return [*lines, f"cannot be read: {cause}", *to_do(steps)], False
    return [*lines, *described(data)], True


def to_do(steps: Sequence[str]) -> list[str]:
    """Return the lines of a list of steps."""
    return ["to do:", *(f"  {number}. {step}" for number, step in enumerate(steps, start=1))]


def read_ends(data: Data) -> None:
    """Read the first and the last sample of each split, whose files may be read on access."""
    for split in data.splits().values():
        for place in {0, len(split) - 1} if len(split) else ():
            index = torch.tensor([place])
            _ = split.inputs[index]
            for column in split.columns.values():
                _ = column[index]


def described(data: Data) -> list[str]:
    """Return the numbers of samples, the labels and the facts of the summary."""
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in data.splits().items())
    labels = list(data.train.columns)
    shown = ", ".join(labels[:12]) + (f", ... ({len(labels)} in all)" if len(labels) > 12 else "")
    facts = [f"{fact}: {value}" for fact, value in data.summary.items()]
    return [f"samples: {sizes}", f"labels: {shown}", *facts]


def source_of(name: str, folder: Path, *, complete: bool = True) -> OfficialTree:
    """Return the source of the data set `name` for the tree in `folder`."""
    if name not in CHECKED:
        raise DataError(f"got the data set {name!r}{nearest_names(name)}")
    known = CHECKED[name]
    module, _, kind = known.source.partition(":")
    source: type[OfficialTree] = getattr(import_module(f"mtlkit_benchmarks.{module}"), kind)
    return source(folder=folder, complete=complete, **known.options)


def nearest_names(name: str) -> str:
    """Return the data sets whose name or summary has `name`, or else the most similar one, or all.

    >>> nearest_names("300W-LP")
    "; expected 'head-pose' (300W-LP and AFLW2000: pose of heads)"
    """
    word = re.compile(rf"(?<![a-z0-9]){re.escape(name.lower())}(?![a-z0-9])")
    named = {
        key: known.summary
        for key, known in CHECKED.items()
        if word.search(f"{key} {known.summary}".lower())
    }
    if len(named) == 1:
        return "".join(f"; expected {key!r} ({summary})" for key, summary in named.items())
    similar = "" if named else did_you_mean(name, CHECKED)
    return similar or f"; expected one of {', '.join(sorted(named or CHECKED))}"
