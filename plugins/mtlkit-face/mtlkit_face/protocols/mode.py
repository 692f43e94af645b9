"""The two sets of rules by which a protocol is judged."""

from enum import Enum


class Mode(Enum):
    """Whose rules decide: those of the definition, or those that the common kits follow."""

    STRICT = "strict"
    COMPATIBLE = "compatible"
