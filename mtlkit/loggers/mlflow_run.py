"""Events as a run of MLflow."""

import re
import time
from collections.abc import Mapping
from pathlib import Path

import attrs

from mtlkit.loggers.base import LogWriter, PictureLogger
from mtlkit.loggers.tracker import TrackerWriter, flat, image_of, import_tracker, recipe_of

PARAMETERS = 100
"""Largest number of parameters in a call of MLflow."""

LONGEST = 500
"""Largest length of a parameter, which older servers keep."""


@attrs.frozen(kw_only=True)
class MLflow(PictureLogger):
    """A run of MLflow with the recipe as its parameters; requires the extra ``mtlkit[mlflow]``.

    `tracking_uri` is a server or a local store, such as ``sqlite:///mlflow.db``; None leaves the
    choice to MLflow (MLFLOW_TRACKING_URI). Characters that MLflow does not allow in names of
    metrics become underscores. `figures` sends the charts of the report at the end, `images` its
    pictures too.
    """

    experiment: str = "mtlkit"
    tracking_uri: str | None = None

    def open(self, folder: Path, step: int) -> LogWriter:
        return MLflowWriter(self, folder)


class MLflowWriter(TrackerWriter):
    """Writer of a run of MLflow, which a resumed run continues by its id.

    Raises `MissingExtraError` if MLflow is not installed, and `RunError` if it fails.
    """

    def __init__(self, options: MLflow, folder: Path) -> None:
        super().__init__(folder, "mlflow")
        mlflow = import_tracker("mlflow", "mlflow", "MLflow")
        entities = import_tracker("mlflow.entities", "mlflow", "MLflow")
        self._metric = entities.Metric
        with self.errors():
            self._client = mlflow.MlflowClient(options.tracking_uri)
            if self.id is not None:
                self._run: str = self.id
                self._client.update_run(self._run, status="RUNNING")
                return
            experiment = self._client.get_experiment_by_name(options.experiment)
            number = (
                self._client.create_experiment(options.experiment)
                if experiment is None
                else experiment.experiment_id
            )
            self._run = self._client.create_run(number, run_name=self.name).info.run_id
            values = flat(recipe_of(folder)).items()
            params = [entities.Param(_name(key), str(value)[:LONGEST]) for key, value in values]
            for start in range(0, len(params), PARAMETERS):
                self._client.log_batch(self._run, params=params[start : start + PARAMETERS])
        self.keep(self._run)

    def send(self, values: Mapping[str, float], step: int) -> None:
        now = round(time.time() * 1000)
        metrics = [self._metric(_name(key), value, now, step) for key, value in values.items()]
        if metrics:
            self._client.log_batch(self._run, metrics=metrics)

    def send_pictures(self, pictures: Mapping[str, bytes], step: int) -> None:
        for name, png in pictures.items():
            path = f"{_name(name)}.png"
            self._client.log_image(self._run, image_of(png), artifact_file=path)

    def close(self) -> None:
        with self.errors():
            self._client.set_terminated(self._run)


def _name(text: str) -> str:
    """Return `text` with the characters that MLflow allows.

    >>> _name("gradient cosine/a, b")
    'gradient cosine/a_ b'
    """
    return re.sub(r"[^/\w.\- ]", "_", text)
