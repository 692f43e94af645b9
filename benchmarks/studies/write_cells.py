"""Write a table for a multi-task problem, from a data set of scikit-learn.

    python benchmarks/studies/write_cells.py runs/cells.csv

The Breast Cancer Wisconsin (Diagnostic) data set, 569 samples of cells (W. Street, W. Wolberg and
O. Mangasarian 1993; UCI data set 17, CC BY 4.0). The features are the means and standard
errors of ten measurements; the labels are the diagnosis, and the radius, texture, smoothness and
concavity of the worst cells. Nothing is downloaded: scikit-learn contains the table.
"""

import argparse
import csv
from pathlib import Path

from sklearn.datasets import load_breast_cancer

PREDICTED = ("worst radius", "worst texture", "worst smoothness", "worst concavity")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the CSV file to write")
    options = parser.parse_args()
    dataset = load_breast_cancer()
    names = [str(name) for name in dataset.feature_names]
    kept = [name for name in names if not name.startswith("worst")]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*kept, "diagnosis", *PREDICTED])
        for row, target in zip(dataset.data, dataset.target, strict=True):
            cells = dict(zip(names, row, strict=True))
            writer.writerow(
                [*(cells[name] for name in kept), dataset.target_names[target],
                 *(cells[name] for name in PREDICTED)]
            )  # fmt: skip
    print(f"{len(dataset.target)} rows are in {options.out}")


if __name__ == "__main__":
    main()
