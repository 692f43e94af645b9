"""Registration of everything in this plugin. Each component is imported on first use."""

from mtlkit.plugins import Registrar, hookimpl
from mtlkit_hello.observer import mtlkit_epoch_ended as mtlkit_epoch_ended
from mtlkit_hello.observer import mtlkit_report_sections as mtlkit_report_sections


@hookimpl
def mtlkit_register(catalog: Registrar) -> None:
    """Register every component: its name, the import path of its class, and a summary."""
    catalog.backbones.add(
        "hello/small-conv",
        "mtlkit_hello.small_conv:SmallConv",
        "two convolutions",
    )
    catalog.adapters.add(
        "hello/spread",
        "mtlkit_hello.spread:Spread",
        "the spread over the pixels",
    )
    catalog.heads.add(
        "hello/cosine",
        "mtlkit_hello.cosine:CosineClassifier",
        "classes by the cosine of an angle",
    )
    catalog.heads.add(
        "hello/charbonnier",
        "mtlkit_hello.charbonnier:Charbonnier",
        "numbers of pixels, robustly",
    )
    catalog.heads.add(
        "hello/label-margins",
        "mtlkit_hello.label_margins:LabelMargins",
        "several labels by a margin",
    )
    catalog.metrics.add(
        "hello/within",
        "mtlkit_hello.within:Within",
        "the fraction within a tolerance",
    )
    catalog.routers.add(
        "hello/adapters",
        "mtlkit_hello.adapters:Adapters",
        "a small layer for each task",
    )
    catalog.branches.add(
        "hello/scaled",
        "mtlkit_hello.scaled:Scaled",
        "features scaled for each group",
    )
    catalog.weightings.add(
        "hello/discount",
        "mtlkit_hello.discount:Discount",
        "less for each later side task",
    )
    catalog.data.add(
        "hello/stripes",
        "mtlkit_hello.stripes:Stripes",
        "drawn images of stripes",
    )
    catalog.data.add(
        "hello/balls",
        "mtlkit_hello.balls:Balls",
        "drawn balls with labels of pixels",
    )
    catalog.targets.add(
        "hello/angle",
        "mtlkit_hello.angle:Angle",
        "an angle in degrees",
    )
    catalog.transforms.add(
        "hello/shift",
        "mtlkit_hello.shift:Shift",
        "the frame moved by a few pixels",
    )
    catalog.optimizers.add(
        "hello/rmsprop",
        "mtlkit_hello.rmsprop:RMSprop",
        "by the root mean square",
    )
    catalog.schedules.add(
        "hello/polynomial",
        "mtlkit_hello.polynomial:Polynomial",
        "falls to 0 by a power",
    )
    catalog.callbacks.add(
        "hello/lookahead",
        "mtlkit_hello.lookahead:Lookahead",
        "weights pulled back",
    )
    catalog.evaluators.add(
        "hello/calibration",
        "mtlkit_hello.calibration:Calibration",
        "confidence less accuracy",
    )
    catalog.loggers.add(
        "hello/csv",
        "mtlkit_hello.csv_lines:CSVLines",
        "losses and weights as a table",
    )
    catalog.ops.add(
        "hello/hinge",
        "mtlkit_hello.hinge:HINGE",
        "the squared hinge of each row",
    )
    catalog.implementations.add(
        "hello/by-rows",
        "mtlkit_hello.by_rows:BY_ROWS",
        "a few rows at a time",
    )
