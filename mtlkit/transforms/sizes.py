"""Options that give a size in pixels, and boxes of that size."""

from typing import Any

import attrs

from mtlkit.component import at_least
from mtlkit.errors import DataError
from mtlkit.targets.geometry import Size


def height_and_width(instance: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
    """Accept a side in pixels, or height and width."""
    sides = value if isinstance(value, tuple) else (value, value)
    if len(sides) != 2:
        raise ValueError(f"{field.name}: expected one number, or height and width, got {value!r}")
    for side in sides:
        at_least(1)(instance, field, side)


def as_size(value: int | Size) -> Size:
    """Return height and width.

    >>> as_size(32), as_size((24, 32))
    ((32, 32), (24, 32))
    """
    return value if isinstance(value, tuple) else (value, value)


def require_room(place: str, frame: Size, size: Size) -> None:
    """Raise `DataError` unless a box of `size` fits into the `frame`."""
    if size[0] > frame[0] or size[1] > frame[1]:
        raise DataError(
            f"transforms: {place}: got an input of {frame[0]} x {frame[1]} pixels, expected at "
            f"least {size[0]} x {size[1]}; use a smaller size, or `resize` first"
        )
