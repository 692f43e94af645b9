"""A finished run, as `fit` and `resume` return it."""

from collections.abc import Mapping
from pathlib import Path

import attrs

from mtlkit.report.evaluation import Evaluation, read_metrics
from mtlkit.runs.storage.folder import RunFolder, read_json


@attrs.frozen
class Run:
    """A finished run: its folder, metrics and files."""

    path: Path

    @property
    def metrics(self) -> Mapping[str, float]:
        """Every metric by name, such as ``test/pose/accuracy``; NaN if it is not defined."""
        return self._evaluation.metrics

    @property
    def headlines(self) -> Mapping[str, float]:
        """The metrics to show first."""
        result = self._evaluation
        return {name: result.metrics[name] for name in result.headlines if name in result.metrics}

    def rows(self) -> list[dict[str, str | float]]:
        """Return the metrics as rows, for pandas or polars."""
        return [{"metric": name, "value": value} for name, value in self.metrics.items()]

    @property
    def model(self) -> Path:
        """The weights of the trained model."""
        return RunFolder(self.path).model

    @property
    def report(self) -> Path:
        """The page that shows the run."""
        return RunFolder(self.path).report

    @property
    def _evaluation(self) -> Evaluation:
        return read_metrics(read_json(RunFolder(self.path).evaluation))
