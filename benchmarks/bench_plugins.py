"""Measure the cost of plugins and large recipes; run ``python benchmarks/bench_plugins.py``."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mtlkit.plugins.catalog import load_catalog
from mtlkit.recipe_io import parse_recipe

RUNS = 15
PLUGINS = 100
BROKEN = 40
COMPONENTS = 50

PLUGIN = """
from mtlkit.plugins.hooks import hookimpl

@hookimpl
def mtlkit_register(catalog):
    catalog.heads.add("{0}/head", "nowhere:Head", "none")
"""


def install(site: Path, namespace: str, code: str) -> None:
    """Write the files of an installed plugin to `site`."""
    module = f"mtlkit_{namespace}"
    (site / f"{module}.py").write_text(code)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[mtlkit]\n{namespace} = {module}\n[mtlkit.api]\n2.0 = {module}\n"
    )


def seconds_of_list(site: Path) -> tuple[list[float], str]:
    """Return the sorted CPU times of ``mtlkit list`` in new processes, and the last output."""
    environment = {**os.environ, "PYTHONPATH": str(site), "MTLKIT_PLUGINS": "all"}
    code = "from mtlkit.cli import main; main(['list', 'heads'])"
    times = []
    for _ in range(RUNS + 1):
        before = _seconds_of_children()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env=environment,
        )  # fmt: skip
        times.append(_seconds_of_children() - before)
    return sorted(times[1:]), done.stdout + done.stderr  # without the first, which compiles


def _seconds_of_children() -> float:
    """Return the CPU time of all processes that this one has started, unlike a shared clock."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def recipe_of_many_components() -> str:
    """Return a recipe with fifty components: heads of tasks, and one of each other family."""
    tasks = "".join(f"  t{n}: {{head: {{type: classification}}}}\n" for n in range(COMPONENTS - 7))
    return (
        "data: {type: images, folder: f, pattern: '{t0}.png', size: 32}\n"
        "backbone: {type: casia-net, width: 0.5}\n"
        f"tasks:\n{tasks}"
        "router: {type: shared}\nweighting: {type: equal}\noptimizer: {type: sgd}\n"
        "schedule: {type: cosine}\ntrain: {loggers: [jsonl]}\n"
    )


def milliseconds_of_reading() -> list[float]:
    """Return the sorted times of reading and checking this recipe, in one process."""
    catalog, text, times = load_catalog(), recipe_of_many_components(), []
    for _ in range(5 * RUNS):
        start = time.perf_counter()
        parse_recipe(text, "many.yaml", catalog)
        times.append(1000 * (time.perf_counter() - start))
    return sorted(times)


def main() -> None:
    """Print the best and the median time of each."""
    with tempfile.TemporaryDirectory() as name:
        site = Path(name)
        for number in range(PLUGINS - BROKEN):
            install(site, f"dummy{number}", PLUGIN.format(f"dummy{number}"))
        times, output = seconds_of_list(site)
        print(f"mtlkit list, {output.count('/head')} plugins: {_two(times)} s of CPU")
        for number in range(BROKEN):
            install(site, f"broken{number}", "raise ImportError('no wheel')")
        broken, output = seconds_of_list(site)
        print(f"  and {BROKEN} broken ones: {_two(broken)} s of CPU; {output.count('/head')} "
              f"usable, {output.count('warning')} warnings")  # fmt: skip
    times = milliseconds_of_reading()
    print(f"a recipe of {COMPONENTS} components: {_two(times)} ms")


def _two(times: list[float]) -> str:
    return f"best {times[0]:.3f}, median {times[len(times) // 2]:.3f}"


if __name__ == "__main__":
    main()
