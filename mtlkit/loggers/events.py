"""What training tells its loggers. Everything but `Speed` is a function of the recipe alone."""

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class StepEvent:
    """One logged step: the means, since the last logged step, of losses and weights by term.

    `gradient_norms`, by term, and `gradient_cosines`, by two terms (``identity, pose``), are of the
    tasks' gradients where the weighting takes them, or else at the shared features in the logged
    step alone; empty where they were not looked at.
    """

    step: int  # counted from 1
    epoch: float
    learning_rate: float
    losses: Mapping[str, float]
    weights: Mapping[str, float]
    gradient_norms: Mapping[str, float] = attrs.field(factory=dict)
    gradient_cosines: Mapping[str, float] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class EvaluationEvent:
    """What the model was worth on the validation split after a step, by metric name."""

    step: int
    epoch: float
    metrics: Mapping[str, float]


@attrs.frozen(kw_only=True)
class Speed:
    """How fast it goes; kept apart from the rest because it differs from run to run."""

    step: int
    seconds: float  # of training so far
    samples_per_second: float
    peak_memory_bytes: int


Event = StepEvent | EvaluationEvent | Speed
