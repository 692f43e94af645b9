"""What this plugin brings to mtlkit. Nothing is imported before it is used."""

from typing import TYPE_CHECKING

from mtlkit.plugins import hookimpl

if TYPE_CHECKING:
    from mtlkit.plugins import Registrar


@hookimpl
def mtlkit_register(catalog: "Registrar") -> None:
    """Every component: its name, where its class is, and what it is in a few words."""
    catalog.backbones.add(
        "hello/small-conv",
        "mtlkit_hello.small_conv:SmallConv",
        "two convolutions, for small images",
    )
    catalog.heads.add(
        "hello/cosine",
        "mtlkit_hello.cosine:Cosine",
        "classes by the cosine of an angle",
    )
    catalog.metrics.add(
        "hello/within",
        "mtlkit_hello.within:Within",
        "the fraction of numbers within a tolerance",
    )
    catalog.weightings.add(
        "hello/discount",
        "mtlkit_hello.discount:Discount",
        "each side task counts less than the last",
    )
    catalog.routers.add(
        "hello/adapters",
        "mtlkit_hello.adapters:Adapters",
        "a small layer for each task",
    )
    catalog.data.add(
        "hello/stripes",
        "mtlkit_hello.stripes:Stripes",
        "drawn images of stripes",
    )
    catalog.implementations.add(
        "hello/by-rows",
        "mtlkit_hello.by_rows:BY_ROWS",
        "a few rows at a time",
    )
