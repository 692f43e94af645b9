"""The results of the ops' benchmarks as a table and a plot.

    python benchmarks/ops/report.py MEASURED.json benchmarks/results/ops-cpu

reads what pytest-benchmark wrote and leaves ops-cpu.json, ops-cpu.md and ops-cpu.png.
"""

import json
import platform
import sys
from datetime import date
from pathlib import Path

import matplotlib as mpl
import torch

mpl.use("agg")
import matplotlib.pyplot as plt  # after the choice of a backend

FLOOR = "three products"


def compact(measured):
    """What is kept of pytest-benchmark's file: the cells, when, where and with what."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else _processor()
    return {
        "date": date.today().isoformat(),
        "machine": device,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cells": [each["extra_info"] for each in measured["benchmarks"]],
    }


def _processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.partition(':')[2].strip()}, one thread"
    return platform.processor()


def table(result):
    """Markdown: one table for each op."""
    lines = [
        f"# Head ops on {result['machine']}",
        "",
        f"{result['date']}, Python {result['python']}, torch {result['torch']}. Least time of "
        "interleaved rounds;",
        "memory and errors as `benchmarks/ops/measure.py` says. The machine was shared with other "
        "work.",
        "",
    ]
    for op in dict.fromkeys(cell["op"] for cell in result["cells"]):
        lines += [f"## {op}", ""]
        for cell in (c for c in result["cells"] if c["op"] == op):
            lines += [f"**{cell['title']}** ({cell['rounds']} rounds)", "", *_rows(cell), ""]
    return "\n".join(lines)


def _rows(cell):
    base, floor = cell["seconds"][cell["baseline"]], cell["seconds"].get(FLOOR)
    replayed = cell.get("graph_seconds")
    graph = " replayed as a graph, ms |" if replayed else ""
    yield f"| way | ms | of baseline | floor / time | extra MiB | error: loss, x, W |{graph}"
    yield f"|---|---|---|---|---|---|{'---|' if replayed else ''}"
    for name, seconds in cell["seconds"].items():
        peak = cell["peak_bytes"].get(name)
        wrong = cell["errors"].get(name)
        told = (
            name,
            f"{seconds * 1e3:.2f}",
            f"{seconds / base:.3f}",
            "" if floor is None else f"{floor / seconds:.2f}",
            "" if peak is None else f"{peak / 2**20:.1f}",
            "" if wrong is None else ", ".join(f"{each:.0e}" for each in wrong),
        )
        if replayed:
            again = replayed.get(name)
            told += ("no graph" if again is None else f"{again * 1e3:.3f}",)
        yield f"| {' | '.join(told)} |"


def plot(result, path):
    """Time and memory of the linear cross-entropy against the number of classes."""
    first = next(c for c in result["cells"] if c["op"] == "linear_cross_entropy")
    kind = first["title"].split()[3]
    cells = [
        cell for cell in result["cells"]
        if cell["op"] == "linear_cross_entropy" and cell["sizes"][:2] == [512, 512]
        and cell["title"].endswith(kind)
    ]  # fmt: skip
    cells.sort(key=lambda cell: cell["sizes"][2])
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for name in dict.fromkeys(name for cell in cells for name in cell["seconds"]):
        having = [c for c in cells if name in c["seconds"]]
        classes = [c["sizes"][2] for c in having]
        style = {"color": "black", "linestyle": ":"} if name == FLOOR else {"marker": "o"}
        left.loglog(classes, [c["seconds"][name] for c in having], label=name, **style)
        if name != FLOOR:
            peaks = [max(c["peak_bytes"][name], 2**16) / 2**20 for c in having]
            right.loglog(classes, peaks, label=name, **style)
    left.set(xlabel="classes", ylabel="seconds, forward and backward", title="time")
    right.set(xlabel="classes", ylabel="MiB beyond inputs and gradients", title="memory")
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
