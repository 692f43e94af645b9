"""Measure how long commands take to start; run with ``python benchmarks/house.py --start-up``.

The commands run in fresh processes, interleaved. On a busy machine only the CPU time is steady.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from statistics import median

RUNS = 9
COMMANDS = ("--help", "list", "plugins", "runs", "--version")
TORCH, EXPLAIN = "import torch", "mtlkit explain RECIPE"

CHILD = """
import sys
sys.argv = {argv!r}
try:
    from {module} import {function}
    sys.exit({function}())
finally:
    sys.stderr.write("\\ntorch" if "torch" in sys.modules else "")
"""


def environment(root: Path) -> dict[str, str]:
    """Return the environment in which mtlkit and the plugins are imported from `root`."""
    sources = [root, *(init.parents[1] for init in root.glob("plugins/*/mtlkit_*/__init__.py"))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sources))}


def start_up(root: Path, runs: int) -> dict[str, float | list[str]]:
    """Return the median wall and CPU seconds of fresh processes, after one run that compiles."""
    recipes = sorted(root.glob("plugins/*/mtlkit_*/**/demo*.yaml"))
    if not recipes:
        sys.exit(f"{root}: got no demo*.yaml in a plugin, expected one recipe to explain")
    script = tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]["mtlkit"]
    module, _, function = script.partition(":")
    argvs = {f"mtlkit {command}": ["mtlkit", command] for command in COMMANDS}
    argvs[EXPLAIN] = ["mtlkit", "explain", str(recipes[0])]
    codes = {
        name: CHILD.format(argv=argv, module=module, function=function)
        for name, argv in argvs.items()
    }
    codes[TORCH] = TORCH
    wall: dict[str, list[float]] = {name: [] for name in codes}
    cpu: dict[str, list[float]] = {name: [] for name in codes}
    torch = []
    with tempfile.TemporaryDirectory() as folder:
        run_folder = Path(folder, "runs", "interrupted")
        run_folder.mkdir(parents=True)
        shutil.copy(recipes[0], run_folder / "recipe.yaml")
        (run_folder / "provenance.json").write_text("{}")
        for run in range(runs + 1):
            for name, code in codes.items():
                seconds, processor, stderr = _timed(code, Path(folder), environment(root))
                if run == 0:
                    torch += [name] if stderr.endswith("\ntorch") else []
                else:
                    wall[name].append(seconds)
                    cpu[name].append(processor)
    measures: dict[str, float | list[str]] = {"start-up: commands that import torch": torch}
    for name in codes:
        measures[f"start-up: {name}, wall s"] = round(median(wall[name]), 3)
        measures[f"start-up: {name}, CPU s"] = round(median(cpu[name]), 3)
    above = [one - other for one, other in zip(cpu[EXPLAIN], cpu[TORCH], strict=True)]
    measures[f"start-up: {EXPLAIN} above {TORCH}, CPU s"] = round(median(above), 3)
    return measures


def _timed(code: str, folder: Path, environment: dict[str, str]) -> tuple[float, float, str]:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"got exit status {done.returncode}, expected 0, from\n{code}\n{done.stderr}")
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, processor, done.stderr
