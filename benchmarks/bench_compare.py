"""Measure the overhead of the comparison runner; run ``python benchmarks/bench_compare.py``.

One worker trains on rendered faces, one run after another. The overhead is the time between the
last file of a run and the first file of the next. For comparison, the time to start a new
interpreter is printed, which a shell loop over runs adds to each.
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mtlkit.comparison.execute.executor_config import ExecutorConfig
from mtlkit.comparison.results.record import read_results
from mtlkit.comparison.spec.load import load_comparison
from mtlkit.comparison.study import run_study
from mtlkit.data import Loading
from mtlkit.plugins.catalog import load_catalog

RECIPE = """
data: {type: face/rendered, subjects: 20, test_subjects: 10, size: 48}
backbone: {type: casia-net, width: 0.5}
tasks: {pose: {target: yaw}, expression: {target: expression}}
optimizer: {type: sgd, lr: 0.02}
train: {epochs: EPOCHS, batch: 64, threads: 1, device: cpu}
"""

COMPARISON = """
problems: {faces: recipe.yaml}
seeds: 2
without: {log: bench, tuned: bench, rlw: bench, single-task: bench}
weightings: [gls]
"""


def main() -> None:
    """Print the overhead for each run, in seconds and in percent of the training."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--cache", type=Path, default=None)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    loading = Loading(cache=options.cache or folder / "cache")
    recipe = RECIPE.replace("EPOCHS", str(options.epochs))
    (folder / "recipe.yaml").write_text(recipe)
    (folder / "comparison.yaml").write_text(COMPARISON)
    catalog = load_catalog()
    comparison = load_comparison(folder / "comparison.yaml", catalog)
    for problem in comparison.problems.values():
        problem.recipe.data.load(loading)  # render before the clock starts
    start = time.time()
    study = run_study(
        comparison,
        folder / "study",
        catalog=catalog,
        loading=loading,
        executor_config=ExecutorConfig(workers=1),
    )
    wall = time.time() - start
    records = read_results(study.results)
    assert all(record.error is None for record in records), records
    spans = sorted(span_of(study.path / record.folder) for record in records)
    between = [later[0] - earlier[1] for earlier, later in itertools.pairwise(spans)]
    training = sum(record.seconds for record in records) / len(records)
    gap = sum(between) / len(between)
    print(f"{len(records)} runs in {wall:.1f} s, {training:.1f} s of training each")
    print(f"before the first run, once: {spans[0][0] - start:.2f} s")
    print(f"between two runs: {gap:.2f} s, {100 * gap / training:.2f} % of the training")
    alone = time.time()
    subprocess.run([sys.executable, "-c", "import mtlkit.comparison.execute.worker"], check=True)
    print(f"a new interpreter for each run: {time.time() - alone:.2f} s")


def span_of(run: Path) -> tuple[float, float]:
    """Return the times at which the first and the last file of a run were written."""
    first, last = (run / name for name in ("provenance.json", "status.json"))
    return first.stat().st_mtime, last.stat().st_mtime


if __name__ == "__main__":
    main()
