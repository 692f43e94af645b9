"""States of optimizers in checkpoints of format 2, which number the parameters.

A tensor of a parameter is named ``<number>.<name>`` there, and has no reference in JSON.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def named_values(
    tensors: Iterable[str], values: Mapping[str, Any], labels: Sequence[str], sizes: Sequence[int]
) -> Mapping[str, Any]:
    """Return the `values` of a state with the names `labels` in place of numbers.

    `tensors` are the names of its tensors, and `sizes` the numbers of parameters of the groups now.
    A state with names is returned as it is. Raises `ValueError` for groups of other sizes.
    """
    groups = values["groups"]
    if not any(isinstance(number, int) for group in groups for number in group["params"]):
        return values
    before = [len(group["params"]) for group in groups]
    if before != list(sizes):
        raise ValueError(
            f"got groups of {list(sizes)} parameters, expected {before} as in the optimizer's state"
        )
    state: dict[str, dict[str, Any]] = {}
    entries = {**{key: {"tensor": key} for key in tensors}, **values["state"]}
    for key, value in entries.items():
        number, _, name = key.partition(".")
        if number.isdecimal() and "/" not in name:  # others are in a group or in a list
            state.setdefault(labels[int(number)], {})[name] = value
    named = [
        {
            **group,
            "name": group["name"].replace("divided ", ""),
            "params": [labels[number] for number in group["params"]],
        }
        for group in groups
    ]
    return {**values, "state": state, "groups": named}
