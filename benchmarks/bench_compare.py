"""What the runner of comparisons costs beside the runs; ``python benchmarks/bench_compare.py``.

One worker makes runs of rendered faces one after another. The time of a run is from its first file
to its last; everything else of the study's time, but for the preparation of the data, is overhead.
Beside it stands that of a fresh interpreter for each run, which a plain loop in a shell would pay.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mtlkit.catalog import load_catalog
from mtlkit.compare.place import Place
from mtlkit.compare.read_comparison import load_comparison
from mtlkit.compare.record import read_results
from mtlkit.compare.study import run_study
from mtlkit.data.configs import Loading

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
    """Print the overhead of a run, in seconds and in percent of its training."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--cache", type=Path, default=None)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    loading = Loading(cache=asked.cache or folder / "cache")
    recipe = RECIPE.replace("EPOCHS", str(asked.epochs))
    (folder / "recipe.yaml").write_text(recipe)
    (folder / "comparison.yaml").write_text(COMPARISON)
    catalog = load_catalog()
    comparison = load_comparison(folder / "comparison.yaml", catalog)
    for problem in comparison.problems.values():
        problem.recipe.data.load(loading)  # rendered before the clock starts
    start = time.time()
    study = run_study(
        comparison, folder / "study", catalog=catalog, loading=loading, place=Place(workers=1)
    )
    wall = time.time() - start
    records = read_results(study.results)
    assert all(record.error is None for record in records), records
    own = sum(seconds_of(study.path / record.folder) for record in records)
    training = sum(record.seconds for record in records)
    count = len(records)
    print(f"{count} runs: {wall:.1f} s, of which the runs {own:.1f} s, training {training:.1f} s")
    print(f"overhead: {(wall - own) / count:.2f} s a run, {100 * (wall - own) / training:.1f} %")
    alone = time.time()
    subprocess.run([sys.executable, "-c", "import mtlkit.compare.worker"], check=True)
    print(f"a fresh interpreter for each run: {time.time() - alone:.2f} s")
    print(json.dumps({"wall": wall, "runs": own, "training": training, "count": count}))


def seconds_of(run: Path) -> float:
    """From the first to the last file of a run."""
    times = [(run / name).stat().st_mtime for name in ("provenance.json", "status.json")]
    return times[1] - times[0]


if __name__ == "__main__":
    main()
