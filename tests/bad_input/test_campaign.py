"""A short part of the campaign of ``benchmarks/faults.py``, with the same seed."""

import os
import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "faults.py"


def test_a_short_campaign(tmp_path):
    """In a process of its own: children that compute gradients cannot be forked from this one."""
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), str(tmp_path / "state.jsonl"), "--fraction", "0"),
            *("--part", "kills", "--part", "writers", "--part", "corruptions"),
            *("--part", "documents", "--part", "tables", "--part", "plugins"),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| ([a-z].*?) \|(.*) \|$", done.stdout, flags=re.MULTILINE)[1:]
    counts = {name: [int(cell.strip() or 0) for cell in cells.split("|")] for name, cells in rows}
    assert len(counts) >= 16, done.stdout
    assert counts["hostile plugin"][0] == 4
    for name, (tried, events, clear, same, *bad) in counts.items():
        assert tried == clear + same > 0, (name, done.stderr)
        assert (events >= tried) == name.startswith(("kill", "full disk")), name
        assert not any(bad)
