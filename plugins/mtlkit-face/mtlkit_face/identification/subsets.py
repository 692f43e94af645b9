"""The parts of a trial that are told apart: classes of a label, groups of them, bins of |yaw|."""

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.data import Categorical, Split
from mtlkit.evaluators import EvaluationContext
from mtlkit.plugins import DataError
from mtlkit.routers import GroupedRouter, class_name
from mtlkit_face.identification.gallery import GalleryTrial

PROFILE = 45
"""Degrees of yaw from which the paper counts a face as a profile."""


@attrs.frozen(eq=False, kw_only=True)
class Subsets:
    """Which probes (P,) belong to each class of the label `by`, and to each group of classes.

    `abs_yaws` are the bins of yaw without its sign, as in the paper's tables, from the least on;
    there are none where `by` is another label, or has classes that are no degrees.
    """

    by: str
    classes: Mapping[str, Tensor]
    groups: Mapping[str, Tensor]
    abs_yaws: Mapping[str, Tensor]


Groups = Mapping[str, Sequence[str | int | float]]
"""Classes of a label by the name of their group."""


def check_labels(split: Split, by: str | None, groups: Groups | None) -> None:
    """`DataError` where the labels that results are broken down by are not there."""
    by = _label(split, by, groups)
    if by is not None and groups is not None:
        _named_groups(groups, by, split.categorical(by))
    elif by is not None:
        split.categorical(by)


def subsets_of(
    trial: GalleryTrial,
    split: Split,
    trained: EvaluationContext,
    by: str | None,
    groups: Groups | None,
) -> Subsets:
    """The parts of `trial`, by the label `by` (None: yaw) and `groups` of its classes (None: those
    of the router, or the paper's); empty where the data has no yaw and nothing else was asked for.
    """
    by = _label(split, by, groups)
    if by is None:
        return Subsets(by="", classes={}, groups={}, abs_yaws={})
    column = split.categorical(by)
    codes = column.codes[trial.probes]
    classes = {name: codes == code for code, name in enumerate(column.names)}
    if groups is not None:
        members = _named_groups(groups, by, column)
    else:
        members = _usual_groups(trained, by, column)
    abs_yaws = _without_sign(column.names) if by == "yaw" else {}
    return Subsets(
        by=by,
        classes=_with_probes(classes),
        groups=_with_probes(
            {
                group: _any([classes[name] for name in names if name in classes], codes)
                for group, names in members.items()
            }
        ),
        abs_yaws=_with_probes(
            {
                size: _any([classes[name] for name in names], codes)
                for size, names in abs_yaws.items()
            }
        ),
    )


def _with_probes(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: found for name, found in parts.items() if found.any()}


def _label(split: Split, by: str | None, groups: Groups | None) -> str | None:
    """The label to break results down by, if any."""
    by = by or ("yaw" if "yaw" in split.columns else None)
    if by is None and groups is not None:
        raise DataError("identification: `groups` are classes of a label; name it with `by`")
    return by


def _any(masks: list[Tensor], codes: Tensor) -> Tensor:
    """Where one of the masks is true, of which there may be none."""
    return torch.stack([torch.zeros_like(codes, dtype=torch.bool), *masks]).any(dim=0)


def _usual_groups(
    trained: EvaluationContext, by: str, column: Categorical
) -> dict[str, tuple[str, ...]]:
    """Groups of classes of the label `by`: the router's, or for yaw the paper's."""
    router = trained.model.router
    if isinstance(router, GroupedRouter) and (trained.tasks[router.by].target or router.by) == by:
        classes = trained.model.assembly.classes[router.by]
        places = router.group_of.tolist()
        return {
            group: tuple(name for name, at in zip(classes, places, strict=False) if at == number)
            for number, group in enumerate(router.groups)
        }
    return _by_degrees(column.names) if by == "yaw" else {}


def _named_groups(groups: Groups, by: str, column: Categorical) -> dict[str, tuple[str, ...]]:
    """The groups of a recipe, by the classes' names; `DataError` for a class that is not there."""
    asked = {name: tuple(map(class_name, found)) for name, found in groups.items()}
    strays = [m for members in asked.values() for m in members if m not in column.names]
    if strays:
        raise DataError(
            f"identification: groups: the label {by!r} has no value {strays[0]!r}; "
            f"it has: {', '.join(column.names)}"
        )
    return asked


def _by_degrees(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The paper's groups of yaw: left and right profiles, and what lies between.

    >>> _by_degrees(("-90", "-45", "0", "30", "60"))
    {'left': ('-90', '-45'), 'front': ('0', '30'), 'right': ('60',)}
    """
    try:
        degrees = {name: float(name) for name in names}
    except ValueError as cause:
        raise DataError(
            f"identification: yaw has values that are no degrees ({cause}); "
            f"name groups of them with `groups`"
        ) from cause
    return {
        "left": tuple(name for name, yaw in degrees.items() if yaw <= -PROFILE),
        "front": tuple(name for name, yaw in degrees.items() if -PROFILE < yaw < PROFILE),
        "right": tuple(name for name, yaw in degrees.items() if yaw >= PROFILE),
    }


def _without_sign(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The classes of yaw by their degrees without a sign; empty where one is no degrees.

    >>> _without_sign(("-90", "-45", "0", "45"))
    {'0': ('0',), '45': ('-45', '45'), '90': ('-90',)}
    """
    try:
        sizes = {name: abs(float(name)) for name in names}
    except ValueError:
        return {}
    return {
        f"{size:g}": tuple(name for name in names if sizes[name] == size)
        for size in sorted({*sizes.values()})
    }
