"""The steps of the checkpoints of a run, which the names of their folders state."""

import re
from pathlib import Path


def saved_steps(folder: Path) -> list[int]:
    """Return the steps of the finished checkpoints below `folder`, oldest first."""
    matches = (re.fullmatch(r"step-(\d{8,})", path.name) for path in folder.glob("step-*"))
    return sorted(int(match[1]) for match in matches if match)
