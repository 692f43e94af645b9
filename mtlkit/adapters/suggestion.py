"""The built-in adapter that joins two kinds of features, for error messages."""

from collections.abc import Mapping

from mtlkit.adapters.base import Adapter
from mtlkit.adapters.fpn import FPN
from mtlkit.adapters.gather import Gather
from mtlkit.adapters.level import Level
from mtlkit.adapters.pool import Pool
from mtlkit.adapters.upsample import Upsample
from mtlkit.features.base import FeatureSpec, readable

BUILT_IN: Mapping[str, type[Adapter]] = {
    "pool": Pool,
    "upsample": Upsample,
    "gather": Gather,
    "level": Level,
    "fpn": FPN,
}
"""Built-in adapters by name, preferred ones first; others are not suggested."""


def joining(given: type[FeatureSpec], read: tuple[type[FeatureSpec], ...]) -> str | None:
    """Return the name of an adapter from features `given` to one of the kinds `read`, if any.

    >>> from mtlkit.features.maps import MapFeatures
    >>> from mtlkit.features.vectors import VectorFeatures
    >>> joining(MapFeatures, (VectorFeatures,)), joining(VectorFeatures, (MapFeatures,))
    ('pool', None)
    """
    for name, adapter in BUILT_IN.items():
        if readable(given, adapter.reads) and readable(adapter.gives, read):
            return name
    return None
