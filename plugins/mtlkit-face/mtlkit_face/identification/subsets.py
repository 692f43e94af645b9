"""Subsets of a trial's probes: classes of a label, groups of classes, bins of absolute yaw."""

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
"""Smallest absolute yaw, in degrees, that the paper counts as a profile."""


@attrs.frozen(eq=False, kw_only=True)
class Subsets:
    """Masks (P,) of the probes in each class of the label `by` and in each group of classes.

    `abs_yaws` are the bins of absolute yaw in ascending order, as in the paper's tables; it is
    empty if `by` is another label, or if a class is not a number of degrees.
    """

    by: str
    classes: Mapping[str, Tensor]
    groups: Mapping[str, Tensor]
    abs_yaws: Mapping[str, Tensor]


Groups = Mapping[str, Sequence[str | int | float]]
"""Classes of a label by the name of their group."""


def check_labels(split: Split, by: str | None, groups: Groups | None) -> None:
    """Raise `DataError` if the data lacks the label `by` or a class of its `groups`."""
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
    """Return the subsets of `trial` by the label `by` (None: yaw) and by `groups` of its classes.

    Without `groups`, the groups are those of the router, or the paper's. All subsets are empty if
    `by` is None and the data has no yaw.
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
        members = _default_groups(trained, by, column)
    abs_yaws = _by_abs_yaw(column.names) if by == "yaw" else {}
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


def _with_probes(masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: mask for name, mask in masks.items() if mask.any()}


def _label(split: Split, by: str | None, groups: Groups | None) -> str | None:
    """Return the label that breaks down the results, None if there is none."""
    by = by or ("yaw" if "yaw" in split.columns else None)
    if by is None and groups is not None:
        raise DataError("identification: `groups` are classes of a label; name it with `by`")
    return by


def _any(masks: list[Tensor], codes: Tensor) -> Tensor:
    """Return the elementwise or of any number of masks of the shape of `codes`."""
    return torch.stack([torch.zeros_like(codes, dtype=torch.bool), *masks]).any(dim=0)


def _default_groups(
    trained: EvaluationContext, by: str, column: Categorical
) -> dict[str, tuple[str, ...]]:
    """Return the groups of classes of the label `by`: the router's, or the paper's for yaw."""
    router = trained.model.router
    if isinstance(router, GroupedRouter) and (trained.tasks[router.by].target or router.by) == by:
        classes = trained.model.assembly.classes[router.by]
        group_of = router.group_of.tolist()
        return {
            group: tuple(name for name, g in zip(classes, group_of, strict=False) if g == number)
            for number, group in enumerate(router.groups)
        }
    return _by_degrees(column.names) if by == "yaw" else {}


def _named_groups(groups: Groups, by: str, column: Categorical) -> dict[str, tuple[str, ...]]:
    """Return a recipe's groups as class names; raises `DataError` for an unknown class."""
    members = {name: tuple(map(class_name, classes)) for name, classes in groups.items()}
    unknown = [name for names in members.values() for name in names if name not in column.names]
    if unknown:
        raise DataError(
            f"identification: groups: the label {by!r} has no value {unknown[0]!r}; "
            f"it has: {', '.join(column.names)}"
        )
    return members


def _by_degrees(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the paper's groups of yaw: left profiles, near-frontal faces, right profiles.

    >>> _by_degrees(("-90", "-45", "0", "30", "60"))
    {'left': ('-90', '-45'), 'front': ('0', '30'), 'right': ('60',)}
    """
    try:
        degrees = {name: float(name) for name in names}
    except ValueError as cause:
        raise DataError(
            f"identification: yaw has values that are not degrees ({cause}); "
            f"define groups with the option `groups`"
        ) from cause
    return {
        "left": tuple(name for name, yaw in degrees.items() if yaw <= -PROFILE),
        "front": tuple(name for name, yaw in degrees.items() if -PROFILE < yaw < PROFILE),
        "right": tuple(name for name, yaw in degrees.items() if yaw >= PROFILE),
    }


def _by_abs_yaw(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the classes of yaw by absolute degrees, empty if one is not a number of degrees.

    >>> _by_abs_yaw(("-90", "-45", "0", "45"))
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
