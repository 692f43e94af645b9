"""What plugins and large recipes cost; run with ``python benchmarks/bench_plugins.py``."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mtlkit.plugins.catalog import load_catalog
from mtlkit.recipe_io import parse_recipe

RUNS = 15
PLUGINS = 100
COMPONENTS = 50

PLUGIN = """
from mtlkit.plugins.hooks import hookimpl

@hookimpl
def mtlkit_register(catalog):
    catalog.heads.add("{0}/head", "nowhere:Head", "none")
"""


def install(site: Path, namespace: str, code: str) -> None:
    """What pip would write of a plugin."""
    module = f"mtlkit_{namespace}"
    (site / f"{module}.py").write_text(code)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[mtlkit]\n{namespace} = {module}\n[mtlkit.api]\n1.0 = {module}\n"
    )


def seconds_of_list(site: Path) -> tuple[list[float], str]:
    """The times of ``mtlkit list`` in fresh processes, sorted, and what the last one said."""
    environment = {**os.environ, "PYTHONPATH": str(site), "MTLKIT_PLUGINS": "all"}
    code = "from mtlkit.cli import main; main(['list', 'heads'])"
    taken = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env=environment,
        )  # fmt: skip
        taken.append(time.perf_counter() - start)
    return sorted(taken[1:]), done.stdout + done.stderr  # the first one compiles


def recipe_of_many_components() -> str:
    """A recipe in which fifty components stand: tasks with their heads, evaluators, loggers."""
    tasks = "".join(f"  t{n}: {{head: {{type: classification}}}}\n" for n in range(COMPONENTS - 7))
    return (
        "data: {type: images, folder: f, pattern: '{t0}.png', size: 32}\n"
        "backbone: {type: casia-net, width: 0.5}\n"
        f"tasks:\n{tasks}"
        "router: {type: shared}\nweighting: {type: equal}\noptimizer: {type: sgd}\n"
        "schedule: {type: cosine}\ntrain: {loggers: [jsonl]}\n"
    )


def milliseconds_of_reading() -> list[float]:
    """The times of reading and checking that recipe, in one process, sorted."""
    catalog, text, taken = load_catalog(), recipe_of_many_components(), []
    for _ in range(5 * RUNS):
        start = time.perf_counter()
        parse_recipe(text, "many.yaml", catalog)
        taken.append(1000 * (time.perf_counter() - start))
    return sorted(taken)


def main() -> None:
    """Print the best and the median of each."""
    with tempfile.TemporaryDirectory() as name:
        site = Path(name)
        for number in range(PLUGINS):
            install(site, f"dummy{number}", PLUGIN.format(f"dummy{number}"))
        taken, said = seconds_of_list(site)
        print(f"mtlkit list, {said.count('/head')} plugins: {_two(taken)} s")
        install(site, "broken", "raise ImportError('no wheel')")
        broken, said = seconds_of_list(site)
        print(f"  and a broken one: {_two(broken)} s; {said.count('/head')} usable, "
              f"{said.count('warning')} warning")  # fmt: skip
    taken = milliseconds_of_reading()
    print(f"a recipe of {COMPONENTS} components: {_two(taken)} ms")


def _two(taken: list[float]) -> str:
    return f"best {taken[0]:.3f}, median {taken[len(taken) // 2]:.3f}"


if __name__ == "__main__":
    main()
