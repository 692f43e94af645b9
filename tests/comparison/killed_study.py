"""Run a comparison in a separate process, with two workers or on a Ray cluster.

Usage: killed_study.py FOLDER [ADDRESS].
"""

import sys
from pathlib import Path

import tiny

from mtlkit.comparison.execute.executor_config import parse_executor_config
from mtlkit.comparison.spec.load import load_comparison
from mtlkit.comparison.study import run_study
from mtlkit.data import Loading

if __name__ == "__main__":
    folder, address = Path(sys.argv[1]), (*sys.argv[2:], None)[0]
    comparison = load_comparison(folder / "comparison.yaml", tiny.catalog())
    run_study(
        comparison,
        folder / "study",
        catalog=tiny.catalog(),
        loading=Loading(),
        executor_config=parse_executor_config(2, "", ray=address is not None, address=address),
    )
