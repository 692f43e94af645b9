"""Train a recipe of this plugin with equal weights and with CAGrad, two seeds each.

    python benchmarks/demonstrate.py scenes
    python benchmarks/demonstrate.py tox21 --data WHERE/tox21
    python benchmarks/demonstrate.py --table

The test metrics of each run, and those of the baseline of `baselines.py` on the same split, are
written to `benchmarks/results/NAME.json` after each run. Runs that are there are not repeated:
delete the file to measure a changed recipe. `--table` prints all as the table of the docs page.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from statistics import fmean

import click
from baselines import BASELINES
from mtlkit_benchmarks.office_caltech import DOMAINS
from mtlkit_benchmarks.qm9 import UNITS

from mtlkit import fit, load_catalog, load_recipe
from mtlkit.data import Loading

RECIPES = Path(__file__).parents[1] / "mtlkit_benchmarks" / "recipes"
RESULTS = Path(__file__).parent / "results"
WEIGHTINGS = ("equal", "cagrad")
SEEDS = (0, 1)
PARTS = {"utkface": ("data.complete=false",)}
"""Settings for the parts of data sets that the results were measured on."""

HEADLINES = {
    "camvid": ("classes/mean-iou", "edges/f1", "presence/auroc"),
    "officecaltech10": tuple(f"{domain}/accuracy" for domain in DOMAINS),
    "qm9": ("mean/r2", *(f"{target}/mae" for target in UNITS)),
    "scenes": ("classes/mean-iou", "depth/mae", "normals/angle-mean"),
    "tox21": ("mean/auroc",),
    "utkface": ("age/mae", "gender/accuracy", "race/accuracy"),
    "ud": ("upos/accuracy", "deprel/accuracy"),
}


def demonstrate(name: str, folder: Path | None) -> None:
    """Run the weightings and seeds of the recipe `name` that have no result, and store each."""
    catalog = load_catalog()
    where = [] if folder is None else [f"data.folder={folder.resolve()}", *PARTS.get(name, ())]
    recipe = load_recipe(RECIPES / f"{name}.yaml", catalog, where)
    path = RESULTS / f"{name}.json"
    result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"runs": []}
    done = {(run["weighting"], run["seed"]) for run in result["runs"]}
    if "baseline" not in result:
        result["baseline"] = rounded(BASELINES[name](recipe.data.load(Loading())))
        write(path, result)
    click.echo(f"baseline {result['baseline']}")
    for weighting, seed in product(WEIGHTINGS, SEEDS):
        if (weighting, seed) in done:
            continue
        settings = [*where, f"weighting={weighting}", f"seed={seed}"]
        recipe = load_recipe(RECIPES / f"{name}.yaml", catalog, settings)
        with tempfile.TemporaryDirectory() as out:
            run = fit(recipe, Path(out) / "run", catalog=catalog, quiet=True)
            metrics = of_test(run.metrics)
            seconds = json.loads((run.path / "status.json").read_text())["seconds"]
        result["runs"].append({"weighting": weighting, "seed": seed, "seconds": round(seconds),
                               "metrics": metrics})  # fmt: skip
        write(path, result)
        click.echo(f"{weighting} {seed} {[metrics[key] for key in HEADLINES[name]]}")


def write(path: Path, result: Mapping[str, object]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def of_test(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of the test split, and the mean over all tasks that have an AUROC."""
    test = {key.removeprefix("test/"): value for key, value in metrics.items()
            if key.startswith("test/") and not key.endswith("/labels")}  # fmt: skip
    aurocs = [value for key, value in test.items() if key.endswith("/auroc")]
    return rounded(test | ({"mean/auroc": fmean(aurocs)} if aurocs else {}))


def rounded(metrics: Mapping[str, float]) -> dict[str, float]:
    return {key: float(f"{value:.4g}") for key, value in metrics.items()}


def table() -> str:
    """Return the results as a Markdown table; the range of the seeds follows each mean."""
    lines = ["| data | test metric | baseline | equal weights | CAGrad |", "|---|---|---|---|---|"]
    for name, headlines in HEADLINES.items():
        path = RESULTS / f"{name}.json"
        if not path.exists():
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        for key in headlines:
            cells = [f"{result['baseline'][key]:.3g}"]
            for weighting in WEIGHTINGS:
                values = [run["metrics"][key] for run in result["runs"]
                          if run["weighting"] == weighting]  # fmt: skip
                span = f" ({min(values):.3g} to {max(values):.3g})" if len(values) > 1 else ""
                cells.append(f"{fmean(values):.3g}{span}" if values else "not run")
            lines.append(f"| `{name}` | `{key}` | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", nargs="?", choices=list(HEADLINES))
    parser.add_argument("--data", type=Path, help="the folder of the data set")
    parser.add_argument("--table", action="store_true", help="print the table of all results")
    arguments = parser.parse_args()
    if arguments.table:
        click.echo(table())
    elif arguments.name:
        demonstrate(arguments.name, arguments.data)
    else:
        parser.error("expected the name of a recipe, or --table")
