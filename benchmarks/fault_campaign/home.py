"""A folder with a small table, recipes, runs and a study, in which faults are tried."""

import contextlib
import importlib
import os
import shutil
import sys
from pathlib import Path

from fault_campaign.child import Child, command, in_child

RECIPE = """\
data:
  type: table
  file: points.csv
  labels: [side, height]
  numeric: [height]
  split: {validation: 0.25, test: 0.25}
backbone: {type: mlp, hidden: [4]}
tasks: {side: {role: main}, height: {head: regression}}
weighting: {type: dynamic, total: 0.1}
train: {epochs: 2, batch: 4, log_every: 1, checkpoint_every: 2, threads: 1, device: cpu}
"""
"""12 training samples, hence 6 updates, with checkpoints after 2, 4 and 6."""

COMPARISON = """\
problems: {points: recipe.yaml}
weightings: [{type: fixed, weights: {height: 0.5}}]
seeds: 1
tuning: {trials: 0}
without: {single-task: no time, log: no time, tuned: no time, rlw: no time}
"""

RESULTS = ("log.jsonl", "model.safetensors", "assembly.json", "recipe.yaml")
"""Files on which a disturbed and an undisturbed run agree to the byte."""


def prepare(folder: Path) -> Path:
    """Write the table and the recipes into the new folder, and return it."""
    folder.mkdir(parents=True)
    rows = [
        f"{n * 7 % 11 / 3},{n * 5 % 13 / 4},{('left', 'right')[n % 2]},{n * 1.5}" for n in range(24)
    ]
    (folder / "points.csv").write_text("\n".join(["x,y,side,height", *rows]) + "\n")
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "comparison.yaml").write_text(COMPARISON)
    return folder


def warm_up(home: Path) -> None:
    """Import what the commands use, and draw no pages: their data is compared instead.

    The modules are those that a child has imported after a run. No gradient is computed in this
    process, because autograd cannot be used after a fork if it was before.
    """
    import torch

    os.environ["MTLKIT_PLUGINS"] = "none"
    torch.set_num_threads(1)
    from mtlkit.report import run_page

    run_page.render_page = lambda record, others=(): repr((record, *others))

    import_modules_of(
        ("train", "recipe.yaml", "--quiet", "--out", "warm"), ("schema",),
        ("evaluate", "warm"), ("runs", "."), ("compare", "warm", "warm"),
    )  # fmt: skip
    clear(home / "warm")


def import_modules_of(*commands: tuple[str, ...]) -> None:
    """Import what the commands import, so that a child does not, which may take seconds."""

    def list_modules() -> None:
        for arguments in commands:
            command(*arguments)
        print(*sys.modules)

    for name in in_child(list_modules).out.split():
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def train(out: str = "run", recipe: str = "recipe.yaml") -> Child:
    """Train a recipe in a child, which must succeed."""
    return _succeeded("train", recipe, "--quiet", "--out", out)


def _succeeded(*arguments: str) -> Child:
    child = in_child(lambda: exit(show(command(*arguments))))
    if child.code != 0:
        raise RuntimeError(f"{' '.join(arguments)}: {child.err}")
    return child


def show(child: Child) -> int:
    """Print the output of a command again, and return its exit code."""
    sys.stdout.write(child.out)
    sys.stderr.write(child.err)
    return child.code


def results(run: Path) -> dict[str, bytes]:
    """Return the results of a run by file; a missing file is empty."""
    return {name: (run / name).read_bytes() if (run / name).exists() else b"" for name in RESULTS}


def clear(folder: Path) -> None:
    """Remove the folder, if it exists."""
    shutil.rmtree(folder, ignore_errors=True)
