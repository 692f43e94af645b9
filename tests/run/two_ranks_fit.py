"""Run by torchrun in two processes: trains, and each reads what the run measured.

Usage: two_ranks_fit.py FOLDER
"""

import os
import sys
import time
from pathlib import Path

import points

from mtlkit.run import fit as run_fit

plain = run_fit.evaluate_trained


def slowly(*given):
    """The evaluation of a model that takes a while."""
    time.sleep(1)
    plain(*given)


if __name__ == "__main__":
    run_fit.evaluate_trained = slowly
    folder = Path(sys.argv[1])
    run = run_fit.fit(points.PLAIN, folder / "run", catalog=points.catalog(), quiet=True)
    (folder / f"metrics.{os.environ['RANK']}").write_text(repr(dict(run.metrics)))
