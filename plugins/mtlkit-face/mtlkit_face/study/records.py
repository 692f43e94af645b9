"""Records of a study: the metrics of its runs as CSV, from which another machine continues.

A row has an arm, a seed, a metric, its value and the size of the study. Faces and networks depend
on the size, the arm and the seed alone, so a record stands for the run.
"""

import csv
import io
import math
from pathlib import Path

from mtlkit.plugins import RunError
from mtlkit_face.study.claim_parts import Runs
from mtlkit_face.study.sizes import Size

COLUMNS = ("arm", "seed", "metric", "value", "size")


def records_to_csv(runs: Runs, size: Size) -> str:
    """Return a row for each run and metric that is finite.

    >>> from mtlkit_face.study.sizes import SMALL
    >>> print(records_to_csv({"s-cnn": {0: {"face/rank1": 0.5}}}, SMALL))
    arm,seed,metric,value,size
    s-cnn,0,face/rank1,0.5,small
    <BLANKLINE>
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for arm, seeds in runs.items():
        for seed, metrics in sorted(seeds.items()):
            for name, value in sorted(metrics.items()):
                if math.isfinite(value):
                    rows.writerow((arm, seed, name, repr(float(value)), size.name))
    return text.getvalue()


def read_records(path: Path, size: Size) -> Runs:
    """Return the metrics of the runs that `path` records.

    Records before the column `size` are taken as those of `size`. Raises `RunError` if the file
    cannot be read, or if it belongs to a study of another size.
    """
    runs: dict[str, dict[int, dict[str, float]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as text:
            reader = csv.DictReader(text)
            columns = tuple(reader.fieldnames or ())
            if columns not in (COLUMNS, COLUMNS[:-1]):
                raise RunError(
                    f"{path}: got the columns {', '.join(columns) or '(none)'}, expected "
                    f"{', '.join(COLUMNS)}; pass a results.csv of `mtlkit face study`"
                )
            for row in reader:
                recorded = row.get("size", size.name)
                if recorded != size.name:
                    raise RunError(
                        f"{path}:{reader.line_num}: got a run of the size {recorded!r}, expected "
                        f"{size.name!r}; its metrics are not comparable"
                    )
                metrics = runs.setdefault(row["arm"], {}).setdefault(int(row["seed"]), {})
                metrics[row["metric"]] = float(row["value"])
    except (OSError, UnicodeDecodeError, csv.Error, TypeError, ValueError) as cause:
        raise RunError(f"{path}: cannot be read as records of a study: {cause}") from cause
    return runs


def merged(records: Runs, runs: Runs) -> Runs:
    """Return the runs of both; a run in `runs` replaces its record.

    >>> merged({"a": {0: {"x": 1.0}, 1: {"x": 2.0}}}, {"a": {0: {"x": 3.0}}})
    {'a': {0: {'x': 3.0}, 1: {'x': 2.0}}}
    """
    arms = dict.fromkeys([*records, *runs])
    return {arm: {**records.get(arm, {}), **runs.get(arm, {})} for arm in arms}
