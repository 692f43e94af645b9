"""How long the command line takes to answer; run with ``python benchmarks/bench_startup.py``."""

import subprocess
import sys
import time

RUNS = 15


def main() -> None:
    """Print the best and the median time of each command, in seconds."""
    for command in ("--help", "list", "plugins"):
        taken = []
        for _ in range(RUNS):
            start = time.perf_counter()
            code = f"from mtlkit.cli import main; main([{command!r}])"
            subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
            taken.append(time.perf_counter() - start)
        taken.sort()
        print(f"mtlkit {command:8} best {taken[0]:.3f} s  median {taken[RUNS // 2]:.3f} s")


if __name__ == "__main__":
    main()
