"""Mirror left and right."""

from collections.abc import Iterable, Iterator, Mapping

import attrs
from torch import Tensor

from mtlkit.component import Problem, between
from mtlkit.errors import DataError, did_you_mean
from mtlkit.targets.base import Target
from mtlkit.targets.codes import CodedTarget
from mtlkit.targets.keypoints import other_side
from mtlkit.targets.multi_label import MultiLabelTarget
from mtlkit.transforms.base import Transform
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.sample import Sample


@attrs.frozen(kw_only=True)
class Mirror(Transform):
    """Mirror the sample left to right, with probability `p`.

    Maps are mirrored, x of unit vectors changes its sign, and keypoints called left and right are
    exchanged. What a mirror does to other labels cannot be read from them: `negate` lists numbers
    whose sign changes, such as a yaw, as ``TASK`` or ``TASK.COMPONENT``; `swap` gives the classes,
    or the labels of a multi-label task, that are exchanged. A task with classes named left and
    right must have an entry, empty if they stay.

    >>> Mirror(negate=("yaw",), swap={"pose": {"left": "right"}}).p
    0.5
    """

    p: float = attrs.field(default=0.5, validator=between(0, 1))
    negate: tuple[str, ...] = ()
    swap: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        if not draw.chance(self.p):
            return sample
        mirrored = sample.flip()
        labels = {
            task: self._negated(task, target, self._swapped(task, target, mirrored.labels[task]))
            for task, target in mirrored.targets.items()
        }
        return attrs.evolve(mirrored, labels=labels)

    def problems(self, tasks: Iterable[str]) -> Iterator[Problem]:
        tasks = tuple(tasks)
        named = [("negate", name.partition(".")[0]) for name in self.negate]
        named += [("swap", task) for task in self.swap]
        for option, task in named:
            if task not in tasks:
                hint = did_you_mean(task, tasks) or f"; expected one of {', '.join(tasks)}"
                yield Problem((option,), f"no task named {task!r}{hint}")

    def _swapped(self, task: str, target: Target, labels: Tensor) -> Tensor:
        """Return the labels with the classes, or the columns of labels, exchanged."""
        names = target.classes or (
            target.components if isinstance(target, MultiLabelTarget) else ()
        )
        if task not in self.swap:
            _require_no_sides(task, names)
            return labels
        order = list(range(len(names)))
        for one, other in self.swap[task].items():
            for name in (one, other):
                if name not in names:
                    raise DataError(
                        f"transforms: mirror: swap.{task}: got {name!r}, expected a class of the "
                        f"task{did_you_mean(name, names) or ': ' + ', '.join(names[:10])}"
                    )
            first, second = names.index(one), names.index(other)
            order[first], order[second] = second, first
        if isinstance(target, MultiLabelTarget):
            return labels[order]
        table = labels.new_tensor([*order, target.missing])
        return table[labels]  # the code -1 selects the last entry

    def _negated(self, task: str, target: Target, labels: Tensor) -> Tensor:
        """Return the labels with the sign changed of all numbers, or of some components."""
        if isinstance(target, CodedTarget):
            if any(name.partition(".")[0] == task for name in self.negate):
                raise DataError(
                    f"transforms: mirror: negate: got {task!r}, which has classes, expected a task "
                    f"with numbers; use `swap`"
                )
            return labels
        if task in self.negate:
            return -labels
        for name in self.negate:
            owner, _, component = name.partition(".")
            if owner == task:
                labels = _with_sign(task, target, component, labels)
        return labels


def _with_sign(task: str, target: Target, component: str, labels: Tensor) -> Tensor:
    names = target.components
    if component not in names:
        raise DataError(
            f"transforms: mirror: negate: got {task}.{component}, expected a component of the task"
            f"{did_you_mean(component, names) or ': ' + ', '.join(names)}"
        )
    labels = labels.clone()
    labels[names.index(component)].neg_()
    return labels


def _require_no_sides(task: str, names: tuple[str, ...]) -> None:
    for name in names:
        other = other_side(name)
        if other != name and other in names:
            raise DataError(
                f"transforms: mirror: got the classes {name!r} and {other!r} of the task {task!r}; "
                f"add `swap: {{{task}: {{{name}: {other}}}}}`, or `swap: {{{task}: {{}}}}` if a "
                f"mirror does not exchange them"
            )
