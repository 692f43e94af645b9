"""Check of weightings on labels of several types."""

import math

import attrs

from mtlkit.testing.check import Subject, checks, require
from mtlkit.testing.checks.weightings import UPDATES, run_updates
from mtlkit.testing.small_data import small_map_recipe, small_updater
from mtlkit.training.checkpoint import tensors_of


def trains_on_labels_of_every_type(subject: Subject) -> None:
    """With maps, vectors and several labels, weights and updates are finite, or it is refused."""
    recipe = attrs.evolve(small_map_recipe(), weighting=subject.value)
    if recipe.problems():
        return
    updater = run_updates(small_updater(recipe), range(UPDATES))
    _, weights = updater.meter.read()
    infinite = [name for name, weight in weights.items() if not math.isfinite(weight)]
    require(not infinite, f"the weight of {', '.join(infinite)} is not finite")
    broken = [n for n, value in tensors_of(updater.inner).items() if not value.isfinite().all()]
    require(not broken, f"an update makes {', '.join(broken[:3])} not finite")


CHECKS = checks(trains_on_labels_of_every_type)
