"""A finished run, as `fit` and `resume` return it."""

from collections.abc import Mapping
from pathlib import Path

import attrs

from mtlkit.runs.folder import RunFolder, read_json


@attrs.frozen
class Run:
    """A finished run: its folder, and what is in it."""

    path: Path

    @property
    def metrics(self) -> Mapping[str, float]:
        """What the evaluators measured, by name."""
        found: Mapping[str, float] = read_json(RunFolder(self.path).evaluation)["metrics"]
        return found

    @property
    def model(self) -> Path:
        """The weights of the trained model."""
        return RunFolder(self.path).model

    @property
    def report(self) -> Path:
        """The page that shows the run."""
        return RunFolder(self.path).report
