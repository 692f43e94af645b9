"""Run the studies of weightings on benchmark data, and continue those that were begun.

    python benchmarks/study.py tox21 --data WHERE     # WHERE has the folders tox21, qm9 and so on
    python benchmarks/study.py tox21 --data WHERE --estimate
    python benchmarks/study.py --tables

A study is a comparison file in `benchmarks/studies`. Its runs are in `runs/studies/NAME` of the
working directory; without that folder the study continues from the records in
`benchmarks/results/studies/NAME`. When it ends or is stopped, by Ctrl-C or SIGTERM, the records and
the report are written there, ready to be committed: `--store` writes them while it runs.
`--tables` writes all results, and those of published tables, as the docs page shows them.
"""

import argparse
from pathlib import Path

STUDIES = ("tox21", "census-income", "multi-mnist", "ud", "utkface", "office-caltech10", "camvid",
           "qm9")  # fmt: skip


def main() -> None:
    # not at the top: the worker of each run imports this file
    from stored_study import print_estimate, run, store
    from study_tables import write_pages

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", nargs="?", choices=STUDIES)
    parser.add_argument("--data", type=Path, help="the folder of the data sets")
    parser.add_argument("--workers", type=int, default=1, help="how many runs at once")
    parser.add_argument("--retry-failed", action="store_true", help="repeat the runs that failed")
    parser.add_argument("--estimate", action="store_true", help="print the time of missing runs")
    parser.add_argument("--store", action="store_true", help="write the records made so far")
    parser.add_argument("--tables", action="store_true", help="write the tables of the docs")
    options = parser.parse_args()
    if options.tables:
        write_pages(STUDIES)
    elif options.name and options.store:
        store(options.name)
    elif options.name and options.data and options.estimate:
        print_estimate(options.name, options.data)
    elif options.name and options.data:
        run(options.name, options.data, options.workers, retry_failed=options.retry_failed)
    else:
        parser.error("expected the name of a study and --data, or --table")


if __name__ == "__main__":
    main()
