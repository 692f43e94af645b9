"""Decision threshold of verification and identification, and where it was measured."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import cattrs

from mtlkit.data import Images
from mtlkit.plugins import DataError
from mtlkit.runs import RunFolder, read_evaluation, read_json, write_json
from mtlkit_face.data.folder import FaceFolder
from mtlkit_face.data.multi_pie.source import MultiPie
from mtlkit_face.identification.evaluator import Identification
from mtlkit_face.inference.model import FaceModel
from mtlkit_face.metrics.score_statistics import ScoreStatistics

SAVED = "face-thresholds.json"
"""File of a run with the thresholds of `mtlkit face calibrate`, by fingerprint of templates."""

_ORDER = ("validation", "test")
_FOLDERS = (Images, FaceFolder, MultiPie)
"""Data sources whose images are files below their option `folder`."""


@attrs.frozen(kw_only=True)
class Domain:
    """Images on which a threshold was measured.

    `source` names the data, `folders` hold its images (none if they are not files), `date` is that
    of the measurement, and `preprocessing` the digest of `FaceModel.preprocessing`. `genuine` and
    `impostor` summarize the scores; None if an older version did not record them. `people` is 0 if
    unknown.
    """

    source: str
    folders: tuple[str, ...]
    date: str
    preprocessing: str
    people: int = 0
    genuine: ScoreStatistics | None = None
    impostor: ScoreStatistics | None = None

    def __str__(self) -> str:
        if self.genuine is None or self.impostor is None:
            return f"{self.source}, {self.date}"
        people = f" of {self.people:,} people" if self.people else ""
        return (
            f"{self.source}, {self.date}: {self.genuine.count:,} genuine and "
            f"{self.impostor.count:,} impostor pairs{people}"
        )

    def outside(self, files: Sequence[Path]) -> list[Path]:
        """Return those of `files` that are not below a folder of the domain; links are followed."""
        folders = [os.path.realpath(folder) + os.sep for folder in self.folders]
        return [f for f in files if not os.path.realpath(f).startswith(tuple(folders))]


@attrs.frozen(kw_only=True)
class Threshold:
    """Lowest score at which two images count as the same person, and where it was measured.

    `fmr` is the false match rate there, the fraction of impostor pairs that reach it. A threshold
    that the user gives has no `domain`.
    """

    value: float
    source: str
    fmr: float = float("nan")
    domain: Domain | None = None

    def warnings(self, files: Sequence[Path]) -> list[str]:
        """Return the reasons why the rates of the threshold may not hold for image `files`."""
        if self.domain is None or not (outside := self.domain.outside(files)):
            return []
        return [
            f"{len(outside):,} of {len(files):,} images, such as {outside[0]}, come from elsewhere "
            f"than the threshold, whose error rates hold for images like those it was measured on "
            f"({self.domain}); measure one on your own pairs with `mtlkit face calibrate`, or add "
            f"a folder of the same kind of images to it with its option --covers"
        ]


def threshold_of(model: FaceModel, given: float | None = None) -> Threshold:
    """Return the `given` threshold, the calibrated one of the run, or that of equal error.

    The threshold of equal error is that of the run's evaluation, of the validation split rather
    than of the test split. Raises `DataError` if the evaluation has no threshold for the model's
    task and routing, and if the calibrated one was measured with another preprocessing.
    """
    if given is not None:
        return Threshold(value=given, source="given")
    saved = _saved(model.folder).get(model.fingerprint)
    if saved is None:
        return _of_evaluation(model)
    domain = saved.domain
    if domain is not None and domain.preprocessing != model.preprocessing:
        raise DataError(
            f"{model.folder.path / SAVED}: its threshold was measured with another preprocessing "
            f"({domain.preprocessing[:12]}) than the run's ({model.preprocessing[:12]}); calibrate "
            f"again with `mtlkit face calibrate`"
        )
    return saved


def save_threshold(model: FaceModel, threshold: Threshold) -> Path:
    """Save the threshold of `model` in its run, in place of one of the same templates."""
    path = model.folder.path / SAVED
    entries = read_json(path)["thresholds"] if path.exists() else {}
    entries[model.fingerprint] = attrs.asdict(threshold)
    write_json(path, {"format": 1, "thresholds": entries})
    return path


def _saved(folder: RunFolder) -> Mapping[str, Threshold]:
    """Return the thresholds saved in a run, by fingerprint of the templates."""
    path = folder.path / SAVED
    if not path.exists():
        return {}
    entries: dict[str, Any] = read_json(path)["thresholds"]
    return {name: cattrs.structure(value, Threshold) for name, value in entries.items()}


def domain_of_run(model: FaceModel) -> Domain:
    """Return the domain of the data of the model's run, as of its evaluation."""
    data, folder = model.recipe.data, model.folder
    folders: tuple[str, ...] = ()
    if isinstance(data, _FOLDERS):
        base = Path(read_json(folder.provenance).get("base", "."))
        below = [base / data.folder, Path.cwd() / data.folder]
        folders = (str(next((path for path in below if path.exists()), below[0]).resolve()),)
    written = datetime.fromtimestamp(folder.evaluation.stat().st_mtime, UTC)
    return Domain(
        source=" ".join([type(data).__name__, *folders]),
        folders=folders,
        date=written.date().isoformat(),
        preprocessing=model.preprocessing,
    )


def _of_evaluation(model: FaceModel) -> Threshold:
    folder = model.folder
    by_split = {
        evaluator.split: evaluator
        for evaluator in model.recipe.evaluators
        if isinstance(evaluator, Identification) and evaluator.task == model.task
    }
    if not model.default_routing:
        raise DataError(
            f"{folder.path}: its threshold was measured with another routing; set one with "
            f"--threshold"
        )
    split = next((split for split in _ORDER if split in by_split), None)
    if split is None:
        raise DataError(
            f"{folder.path}: its recipe has no `face/identification` of {model.task!r} on the "
            f"validation or test split, which measures a threshold; set one with --threshold"
        )
    metrics = read_evaluation(folder).metrics
    prefix = by_split[split].prefix
    name = f"{prefix}/threshold"
    if name not in metrics:
        raise DataError(
            f"{folder.path}: its evaluation has no {name!r}; run `mtlkit evaluate {folder.path}` "
            f"again, or set a threshold with --threshold"
        )
    caveat = (
        "its subjects are in training, so the rate is higher for unseen subjects"
        if split == "validation"
        else "the threshold was chosen on that split, so the rate is slightly optimistic"
    )
    rate = metrics[f"{prefix}/eer"]
    return Threshold(
        value=metrics[name],
        source=f"equal error on the run's {split} split, rate {rate:.3f}; {caveat}",
        fmr=rate,
        domain=attrs.evolve(
            domain_of_run(model),
            genuine=_statistics(metrics, f"{prefix}/scores/genuine"),
            impostor=_statistics(metrics, f"{prefix}/scores/impostor"),
        ),
    )


def _statistics(metrics: Mapping[str, float], prefix: str) -> ScoreStatistics | None:
    """Return the statistics that `Identification` measured; None in an older evaluation."""
    names = [field.name for field in attrs.fields(ScoreStatistics)]
    values = {name: metrics.get(f"{prefix}/{name}") for name in names}
    if any(value is None for value in values.values()):
        return None
    return cattrs.structure(values, ScoreStatistics)
