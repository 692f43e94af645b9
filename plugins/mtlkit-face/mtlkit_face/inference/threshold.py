"""Decision threshold of verification and identification, and its source."""

import attrs

from mtlkit.plugins import DataError
from mtlkit.runs import read_evaluation
from mtlkit_face.identification.evaluator import Identification
from mtlkit_face.inference.model import FaceModel

_ORDER = ("validation", "test")


@attrs.frozen(kw_only=True)
class Threshold:
    """Lowest score at which two images count as the same person, and a text on its source."""

    value: float
    source: str


def threshold_of(model: FaceModel, given: float | None = None) -> Threshold:
    """Return the `given` threshold, or the one of equal error in the run's evaluation.

    The validation split is preferred over the test split. Raises `DataError` if the evaluation has
    no threshold for the model's task and routing.
    """
    if given is not None:
        return Threshold(value=given, source="given")
    folder = model.folder
    by_split = {
        evaluator.split: evaluator
        for evaluator in model.recipe.evaluators
        if isinstance(evaluator, Identification) and evaluator.task == model.task
    }
    if not model.default_routing:
        raise DataError(
            f"{folder.path}: its threshold was measured with another routing; set one with "
            f"--threshold"
        )
    split = next((split for split in _ORDER if split in by_split), None)
    if split is None:
        raise DataError(
            f"{folder.path}: its recipe has no `face/identification` of {model.task!r} on the "
            f"validation or test split, which measures a threshold; set one with --threshold"
        )
    metrics = read_evaluation(folder).metrics
    prefix = by_split[split].prefix
    name = f"{prefix}/threshold"
    if name not in metrics:
        raise DataError(
            f"{folder.path}: its evaluation has no {name!r}; run `mtlkit evaluate {folder.path}` "
            f"again, or set a threshold with --threshold"
        )
    caveat = (
        "its subjects are in training, so the rate is higher for unseen subjects"
        if split == "validation"
        else "the threshold was chosen on that split, so the rate is slightly optimistic"
    )
    rate = metrics[f"{prefix}/eer"]
    return Threshold(
        value=metrics[name],
        source=f"equal error on the run's {split} split, rate {rate:.3f}; {caveat}",
    )
