"""A process of its own that runs a comparison with two workers. Usage: killed_study.py FOLDER."""

import sys
from pathlib import Path

import tiny

from mtlkit.comparison.execute.executor_config import ExecutorConfig
from mtlkit.comparison.spec.load import load_comparison
from mtlkit.comparison.study import run_study
from mtlkit.data import Loading

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    comparison = load_comparison(folder / "comparison.yaml", tiny.catalog())
    run_study(
        comparison,
        folder / "study",
        catalog=tiny.catalog(),
        loading=Loading(),
        executor_config=ExecutorConfig(workers=2),
    )
