"""The steps of the checkpoints of a run, which the names of their folders state."""

import re
from pathlib import Path


def saved_steps(folder: Path, last: int = 0) -> list[int]:
    """Return the steps of the finished checkpoints below `folder`, oldest first.

    Folders of steps above `last` are not counted, if the number of updates of the run is known.
    """
    matches = (re.fullmatch(r"step-(\d{8,})", path.name) for path in folder.glob("step-*"))
    return sorted(step for match in matches if match and (step := int(match[1])) <= (last or step))
