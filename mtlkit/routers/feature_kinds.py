"""The check that backbone, router, adapters and heads read the features that they are given."""

from collections.abc import Iterator, Mapping

from mtlkit.adapters.base import Adapter
from mtlkit.adapters.fpn import FPN
from mtlkit.adapters.gather import Gather
from mtlkit.adapters.level import Level
from mtlkit.adapters.pool import Pool
from mtlkit.adapters.upsample import Upsample
from mtlkit.backbones.base import Backbone
from mtlkit.component import Problem
from mtlkit.features.base import FeatureSpec, described
from mtlkit.features.maps import MapFeatures
from mtlkit.features.pyramid import PyramidFeatures
from mtlkit.features.tokens import TokenFeatures
from mtlkit.features.vectors import VectorFeatures
from mtlkit.heads.base import Head
from mtlkit.routers.base import Router

BACKBONES: Mapping[type[FeatureSpec], str] = {
    VectorFeatures: "mlp",
    MapFeatures: "unet",
    PyramidFeatures: "{type: timm, features: pyramid}",
    TokenFeatures: "transformer",
}
"""A backbone of core that returns each kind of features, for messages."""

BUILT_IN: Mapping[str, type[Adapter]] = {
    "pool": Pool,
    "upsample": Upsample,
    "gather": Gather,
    "level": Level,
    "fpn": FPN,
}
"""Built-in adapters by name, preferred ones first; others are not suggested in messages."""


def joining(given: type[FeatureSpec], read: tuple[type[FeatureSpec], ...]) -> str | None:
    """Return the name of an adapter from features `given` to one of the kinds `read`, if any.

    >>> joining(MapFeatures, (VectorFeatures,)), joining(VectorFeatures, (MapFeatures,))
    ('pool', None)
    """
    for name, adapter in BUILT_IN.items():
        if issubclass(given, adapter.reads) and issubclass(adapter.gives, read):
            return name
    return None


def _other_features(backbone: Backbone, kinds: tuple[type[FeatureSpec], ...]) -> str:
    """Return how to get features of one of the `kinds`: an option, or another backbone."""
    setting = backbone.setting_for(kinds)
    name = next((name for kind, name in BACKBONES.items() if issubclass(kind, kinds)), None)
    return (
        (f"set `{setting}` of the backbone, or " if setting else "")
        + f"use a backbone that returns {described(kinds)}"
        + (f", such as `{name}`" if name else "")
    )


def feature_problems(
    backbone: Backbone, router: Router, heads: Mapping[str, tuple[Adapter | None, Head]]
) -> Iterator[Problem]:
    """Yield each part that does not read the kind of features it is given, with what to change."""
    given = backbone.gives
    source = f"got {described((given,))} from the backbone {type(backbone).__name__}"
    if not issubclass(given, router.reads):
        yield Problem(
            ("router",),
            f"{source}, {type(router).__name__} reads {described(router.reads)}; use `router: "
            f"shared`, or {_other_features(backbone, router.reads)}",
        )
    for task, (adapter, head) in heads.items():
        name = type(head).__name__
        if adapter is None and not issubclass(given, head.reads):
            join = joining(given, head.reads)
            fix = f"add `adapter: {join}`" if join else _other_features(backbone, head.reads)
            message = f"{source}, {name} reads {described(head.reads)}; {fix}"
            yield Problem(("tasks", task, "head"), message)
        elif adapter is not None and not issubclass(given, adapter.reads):
            join = joining(given, head.reads)
            if join:
                fix = f"use `adapter: {join}`"
            elif issubclass(given, head.reads):
                fix = "remove the adapter"
            else:
                fix = _other_features(backbone, adapter.reads)
            message = f"{source}, {type(adapter).__name__} reads {described(adapter.reads)}; {fix}"
            yield Problem(("tasks", task, "adapter"), message)
        elif adapter is not None and not issubclass(adapter.gives, head.reads):
            message = (
                f"got {described((adapter.gives,))} from the adapter {type(adapter).__name__}, "
                f"{name} reads {described(head.reads)}; change one of them"
            )
            yield Problem(("tasks", task, "head"), message)
