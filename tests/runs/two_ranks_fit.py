"""Run by torchrun in two processes: trains with an installed plugin, and each reads the metrics.

First the second rank has another component than the first, which both must be told.

Usage: two_ranks_fit.py FOLDER
"""

import os
import sys
import time
from pathlib import Path

import attrs
import points

from mtlkit.errors import RunError
from mtlkit.plugins.catalog import load_catalog
from mtlkit.plugins.families import Registrar
from mtlkit.plugins.registry import Origin
from mtlkit.runs import execution
from mtlkit.runs import fit as run_fit

plain = execution.evaluate_trained


def slowly(*given):
    """The evaluation of a model that takes a while."""
    time.sleep(1)
    plain(*given)


def catalog():
    """The installed plugin ``acme``, and the components of `points`."""
    found = load_catalog("acme")
    own = Registrar(found, "", Origin("points", "0", points.__file__))
    own.data.add("points", points.Points, "random images")
    own.commit()
    return found


def told_of_a_difference(folder):
    """What this rank is told where the second one has a weighting of its own."""
    found = catalog()
    if os.environ["RANK"] == "1":
        other = Registrar(found, "later", Origin("mtlkit-later", "2.0", "later.py"))
        other.weightings.add("later/even", "mtlkit.weightings.equal:Equal", "even")
        other.commit()
    try:
        run_fit.fit(points.PLAIN, folder / "refused", catalog=found, quiet=True)
    except RunError as error:
        return str(error)
    return ""


def main(folder):
    (folder / f"told.{os.environ['RANK']}").write_text(told_of_a_difference(folder))
    halves = catalog().weightings.get("acme/halves")
    recipe = attrs.evolve(points.PLAIN, weighting=halves())
    run = run_fit.fit(recipe, folder / "run", catalog=catalog(), quiet=True)
    (folder / f"metrics.{os.environ['RANK']}").write_text(repr(dict(run.metrics)))


if __name__ == "__main__":
    execution.evaluate_trained = slowly
    main(Path(sys.argv[1]))  # each fit makes a group of its own
