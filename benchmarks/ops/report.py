"""Results of the ops' benchmarks as a table and a plot.

    python benchmarks/ops/report.py MEASURED.json benchmarks/results/ops-cpu

reads what pytest-benchmark wrote and leaves ops-cpu.json, ops-cpu.md and ops-cpu.png.
"""

import importlib.metadata
import json
import math
import platform
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import matplotlib as mpl
import torch

mpl.use("agg")
import matplotlib.pyplot as plt  # after the choice of a backend

FLOOR = "three products"
PACKAGES = ("triton", "liger-kernel", "cut-cross-entropy")
HOW = {
    "cpu": (
        "Least time of interleaved rounds, in CPU time of one thread: the machine was shared with "
        "other work, which only ever adds."
    ),
    "cuda": (
        "Medians of up to 30 repeats by the GPU's clock, caches flushed before each; of the "
        "interleaved rounds the least."
    ),
}


def compact(measured):
    """Return the cells of pytest-benchmark's file, with date, machine and versions."""
    cells = [
        benchmark["extra_info"] for benchmark in measured["benchmarks"] if benchmark["extra_info"]
    ]
    on_gpu = any(cell["device"] == "cuda" for cell in cells)
    return {
        "date": date.today().isoformat(),
        "machine": torch.cuda.get_device_name() if on_gpu else _processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "cells": cells,
        "absent": measured.get("absent", []),
    }


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _commit():
    """Return the commit of the sources, or unknown without git."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    described = subprocess.run(
        [git, "describe", "--always", "--dirty", "--exclude=*"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return described.stdout.strip() or "unknown"


def _processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.partition(':')[2].strip()}, one thread"
    return platform.processor()


def table(result):
    """Return Markdown: the fastest way of each cell, then one table for each cell."""
    packages = ", ".join(f"{name} {version}" for name, version in result["packages"].items())
    devices = dict.fromkeys(cell["device"] for cell in result["cells"])
    lines = [
        f"# Head ops on {result['machine']}",
        "",
        f"{result['date']}, commit {result['commit']}, Python {result['python']}, torch "
        f"{result['torch']}; {packages}.",
        *(HOW[device] for device in devices),
        "Memory and errors as `benchmarks/ops/measure.py` says. The fastest is in bold among the "
        "ways that do the same work;",
        "`auto` is a separate row, which runs the implementation in brackets once more.",
        "",
        "## Who is fastest",
        "",
        *_winners(result["cells"]),
        "",
        *_not_measured(result["absent"]),
    ]
    for op in dict.fromkeys(cell["op"] for cell in result["cells"]):
        lines += [f"## {op}", ""]
        for cell in (c for c in result["cells"] if c["op"] == op):
            rounds = f"{cell['rounds']} round{'s' * (cell['rounds'] != 1)}"
            lines += [f"**{cell['title']}** ({rounds})", "", *_rows(cell), *_absent(cell), ""]
    return "\n".join(lines)


def fastest(cell):
    """Return the way with the least time; `auto` is excluded, since it runs one of the others."""
    able = {n: s for n, s in cell["seconds"].items() if n not in (*cell["beside"], "auto")}
    return min(able, key=able.get, default="")


def _winners(cells):
    """Yield a line for each cell: the fastest way, and the relative time of `auto`'s choice."""
    yield "| cell | fastest | `auto` takes | its time: of the fastest's |"
    yield "|---|---|---|---|"
    for cell in cells:
        best, took = fastest(cell), cell["auto"]
        ratio = cell["seconds"].get(took, math.nan) / cell["seconds"].get(best, math.nan)
        ratio_text = "" if math.isnan(ratio) else f"{ratio:.2f}"
        title = f"{cell['op']}, {cell['title']}"
        yield f"| {title} | {best or 'none ran'} | {took or 'no choice'} | {ratio_text} |"


def _not_measured(absent):
    """Yield the cells without a table, and the reasons."""
    if absent:
        yield "Not measured:"
        yield ""
        for cell in absent:
            yield _plain(f"- {cell['op']}, {cell['title']}: {cell['why']}")
        yield ""


def _rows(cell):
    base = cell["seconds"].get(cell["baseline"])
    replayed, best = cell.get("graph_seconds"), fastest(cell)
    graph = " replayed as a graph, ms |" if replayed else ""
    yield f"| way | ms | of baseline | floor / time | extra MiB | error: loss, x, W |{graph}"
    yield f"|---|---|---|---|---|---|{'---|' if replayed else ''}"
    for name, seconds in cell["seconds"].items():
        peak, wrong = cell["peak_bytes"].get(name), cell["errors"].get(name)
        of_floor = cell["of_floor"].get(name)
        columns = (
            f"**{name}**" if name == best else f"auto ({cell['auto']})" if name == "auto" else name,
            f"{seconds * 1e3:.2f}" if seconds >= 1e-3 else f"{seconds * 1e3:.4f}",
            "" if base is None else f"{seconds / base:.3f}",
            "" if of_floor is None else f"{of_floor:.2f}",
            "" if peak is None else f"{peak / 2**20:.1f}",
            "" if wrong is None else ", ".join(f"{error:.0e}" for error in wrong),
        )
        if replayed:
            again = replayed.get(name)
            columns += (cell["no_graph"].get(name, "") if again is None else f"{again * 1e3:.4f}",)
        yield f"| {' | '.join(map(_plain, columns))} |"


def _plain(text):
    return text.replace("|", "/")


def _absent(cell):
    """Return the ways without a row, and the reasons."""
    absent = [f"- {name} was left out: {why}" for name, why in cell["left_out"].items()]
    absent += [f"- {name} did not run: {why}" for name, why in cell["failed"].items()]
    return ["", *map(_plain, absent)] if absent else []


def plot(result, path):
    """Plot time and memory of the linear cross-entropy against the number of classes."""
    kind = "bfloat16" if result["cells"][0]["device"] == "cuda" else "float32"
    cells = [
        cell for cell in result["cells"]
        if cell["op"] == "linear_cross_entropy" and cell["sizes"][:2] == [512, 512]
        and cell["title"].endswith(kind)
    ]  # fmt: skip
    cells.sort(key=lambda cell: cell["sizes"][2])
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4))
    for name in dict.fromkeys(name for cell in cells for name in cell["seconds"]):
        having = [c for c in cells if name in c["seconds"]]
        classes = [c["sizes"][2] for c in having]
        style = {"color": "black", "linestyle": ":"} if name == FLOOR else {"marker": "o"}
        left.loglog(classes, [c["seconds"][name] for c in having], label=name, **style)
        near = [c for c in having if FLOOR in c["seconds"]]
        times = [c["seconds"][name] / c["seconds"][FLOOR] for c in near]
        middle.semilogx([c["sizes"][2] for c in near], times, **style)
        kept = [c for c in having if name in c["peak_bytes"]]
        if kept:
            peaks = [max(c["peak_bytes"][name], 2**16) / 2**20 for c in kept]
            right.loglog([c["sizes"][2] for c in kept], peaks, label=name, **style)
    left.set(xlabel="classes", ylabel="seconds, forward and backward", title="time")
    middle.set(xlabel="classes", ylabel=f"time of the {FLOOR}", title="time next to the floor")
    right.set(xlabel="classes", ylabel="MiB beyond inputs and gradients", title="memory")
    if cells:
        left.legend(fontsize=8)
    figure.suptitle(f"linear_cross_entropy, N=512, D=512, {result['machine']}", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(measured, target):
    text = Path(measured).read_text() if Path(measured).exists() else ""
    result = compact(json.loads(text)) if text else {"cells": []}
    if not result["cells"]:
        sys.exit(f"{measured}: nothing was measured (is there a GPU?), so {target} is left alone")
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    target.with_suffix(".md").write_text(table(result))
    plot(result, target.with_suffix(".png"))
    print(f"wrote {target}.md, {target}.json and {target}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
