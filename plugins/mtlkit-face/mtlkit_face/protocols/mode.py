"""The two modes of a protocol."""

from enum import Enum


class Mode(Enum):
    """The rules of a protocol: those of its definition, or those of common toolkits."""

    STRICT = "strict"
    COMPATIBLE = "compatible"
