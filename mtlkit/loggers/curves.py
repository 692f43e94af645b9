"""Events as values of named curves."""

import math

from mtlkit.loggers.events import EvaluationEvent, Event, PictureEvent, Speed, StepEvent


def curves(event: Event) -> dict[str, float]:
    """Return the values of an event by curve name, without those that are not finite.

    >>> curves(EvaluationEvent(step=1, epoch=1.0, metrics={"pose/accuracy": 0.5}))
    {'validation/pose/accuracy': 0.5}
    """
    return {name: value for name, value in _values(event).items() if math.isfinite(value)}


def _values(event: Event) -> dict[str, float]:
    match event:
        case StepEvent():
            return {
                "learning rate": event.learning_rate,
                **{f"loss/{name}": value for name, value in event.losses.items()},
                **{f"weight/{name}": value for name, value in event.weights.items()},
                **{f"gradient norm/{k}": value for k, value in event.gradient_norms.items()},
                **{f"gradient cosine/{k}": value for k, value in event.gradient_cosines.items()},
                **{f"learning rate/{k}": value for k, value in event.learning_rates.items()},
                **event.values,
            }
        case EvaluationEvent():
            return {f"validation/{name}": value for name, value in event.metrics.items()}
        case Speed():
            return {
                "speed/samples per second": event.samples_per_second,
                "speed/peak memory in bytes": float(event.peak_memory_bytes),
                **{f"system/{name}": value for name, value in event.system.items()},
            }
        case PictureEvent():
            return {}
