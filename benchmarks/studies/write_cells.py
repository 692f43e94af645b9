"""Write a table for a multi-task problem, from one that ships with scikit-learn.

    python benchmarks/studies/write_cells.py runs/cells.csv

The Breast Cancer Wisconsin (Diagnostic) data set, 569 samples of cells (W. Street, W. Wolberg and
O. Mangasarian 1993; UCI data set 17, CC BY 4.0). What a model sees are the means and standard
errors of ten measurements; it is to tell the diagnosis, and how large the worst cells' radius,
texture, smoothness and concavity are. Nothing is downloaded: scikit-learn brings the table.
"""

import argparse
import csv
from pathlib import Path

from sklearn.datasets import load_breast_cancer

PREDICTED = ("worst radius", "worst texture", "worst smoothness", "worst concavity")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the CSV file to write")
    asked = parser.parse_args()
    found = load_breast_cancer()
    names = [str(name) for name in found.feature_names]
    kept = [name for name in names if not name.startswith("worst")]
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    with asked.out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*kept, "diagnosis", *PREDICTED])
        for row, target in zip(found.data, found.target, strict=True):
            cells = dict(zip(names, row, strict=True))
            writer.writerow(
                [*(cells[name] for name in kept), found.target_names[target],
                 *(cells[name] for name in PREDICTED)]
            )  # fmt: skip
    print(f"{len(found.target)} rows are in {asked.out}")


if __name__ == "__main__":
    main()
