"""Events that training passes to loggers. All except `Speed` are functions of the recipe alone."""

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class StepEvent:
    """One logged step: the mean losses and weights of each term since the last logged step.

    `gradient_norms`, by term, and `gradient_cosines`, by two terms (``identity, pose``), are of the
    gradients that the weighting reads. If it reads none, they are of gradients at the shared
    features in the logged step; empty if these were not computed. `learning_rates` are those of the
    optimizer's groups by name, if they differ; `values` are those of callbacks, by name.
    """

    step: int  # counted from 1
    epoch: float
    learning_rate: float
    losses: Mapping[str, float]
    weights: Mapping[str, float]
    gradient_norms: Mapping[str, float] = attrs.field(factory=dict)
    gradient_cosines: Mapping[str, float] = attrs.field(factory=dict)
    learning_rates: Mapping[str, float] = attrs.field(factory=dict)
    values: Mapping[str, float] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class EvaluationEvent:
    """Metrics of the model on the validation split after a step, by name."""

    step: int
    epoch: float
    metrics: Mapping[str, float]


@attrs.frozen(kw_only=True)
class Speed:
    """Training speed, logged separately because it is not reproducible.

    `system` holds measurements of the process and the machine by name, such as ``cpu percent``.
    """

    step: int
    seconds: float  # of training so far
    samples_per_second: float
    peak_memory_bytes: int
    system: Mapping[str, float] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class PictureEvent:
    """Pictures of the trained model after the last step, as PNG by name."""

    step: int
    pictures: Mapping[str, bytes]


Event = StepEvent | EvaluationEvent | Speed | PictureEvent
