"""From which score on two images count as one person, and who says so."""

import attrs

from mtlkit.plugins import DataError
from mtlkit.runs import read_evaluation
from mtlkit_face.identification.evaluator import Identification
from mtlkit_face.inference.model import FaceModel

_ORDER = ("validation", "test")


@attrs.frozen(kw_only=True)
class Threshold:
    """A score, and in words where it comes from."""

    value: float
    source: str


def threshold_of(model: FaceModel, given: float | None = None) -> Threshold:
    """The threshold that is `given`, or else that of equal error in the run's own evaluation.

    The validation split comes before the test split. Raises `DataError` where the run has none
    that suits the model as it is used.
    """
    if given is not None:
        return Threshold(value=given, source="given")
    folder = model.folder
    asked = {
        each.split: each
        for each in model.recipe.evaluators
        if isinstance(each, Identification) and each.task == model.task
    }
    found = [asked[split] for split in _ORDER if split in asked]
    if not model.own_routing:
        raise DataError(
            f"{folder.path}: its threshold is of another way of routing than the one asked for; "
            f"give one of your own with --threshold"
        )
    if not found:
        raise DataError(
            f"{folder.path}: its recipe has no `face/identification` of {model.task!r} on the "
            f"validation or test split, which would measure a threshold; give one with --threshold"
        )
    metrics = read_evaluation(folder).metrics
    name = f"{found[0].prefix}/threshold"
    if name not in metrics:
        raise DataError(
            f"{folder.path}: its evaluation has no {name!r}; run `mtlkit evaluate {folder.path}` "
            f"again, or give a threshold with --threshold"
        )
    split = found[0].split
    rate = metrics[f"{found[0].prefix}/eer"]
    seen = (
        "subjects known from training, so strangers will do worse"
        if split == "validation"
        else "it was chosen on that split, so the rate is a little better than true"
    )
    return Threshold(
        value=metrics[name],
        source=f"equal error on the run's own {split} split, rate {rate:.3f}; {seen}",
    )
