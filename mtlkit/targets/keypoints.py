"""Keypoints in a vector: pairs of components ``NAME_x`` and ``NAME_y``."""

import re
from collections.abc import Sequence

SIDES = {"left": "right", "right": "left"}


def points_of(components: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the points that have both components.

    >>> points_of(("eye_x", "eye_y", "age", "nose_x"))
    ('eye',)
    """
    names = (name.removesuffix("_x") for name in components if name.endswith("_x"))
    return tuple(name for name in names if f"{name}_y" in components)


def other_side(name: str) -> str:
    """Return `name` with left and right exchanged.

    >>> other_side("left_eye"), other_side("nose")
    ('right_eye', 'nose')
    """
    words = re.split(r"(left|right)", name)
    return "".join(SIDES.get(word, word) for word in words)
