"""The metrics of a study's runs, read from their folders."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import correlation, fmean

from mtlkit.callbacks import Event, StepEvent, read_events
from mtlkit.runs import RunFolder, State, read_json
from mtlkit_face.study.claim_parts import SIDES, Runs
from mtlkit_face.study.learning_curves import curve_metrics
from mtlkit_face.study.sizes import Arm


def run_folder(study: Path, arm: str, seed: int) -> Path:
    """Return the folder of the run of `arm` with `seed`."""
    return study / "runs" / arm / f"seed-{seed}"


def finished(study: Path, arm: str, seed: int) -> bool:
    """Return true if the run of `arm` with `seed` is finished."""
    folder = RunFolder(run_folder(study, arm, seed))
    return folder.status_file.exists() and folder.status().state is State.FINISHED


def read_runs(study: Path, arms: Iterable[Arm], seeds: Iterable[int]) -> Runs:
    """Return the metrics of every finished run, with `seconds` of training and the traces."""
    runs: dict[str, dict[int, Mapping[str, float]]] = {}
    for arm in arms:
        for seed in seeds:
            if finished(study, arm.name, seed):
                folder = RunFolder(run_folder(study, arm.name, seed))
                runs.setdefault(arm.name, {})[seed] = _metrics(folder)
    return runs


def read_versions(study: Path, runs: Runs) -> Mapping[str, str]:
    """Return the library versions of the first finished run, or nothing without runs."""
    for arm, seeds in runs.items():
        provenance = read_json(RunFolder(run_folder(study, arm, min(seeds))).provenance)
        versions: Mapping[str, str] = provenance["versions"]
        return versions
    return {}


def _metrics(folder: RunFolder) -> dict[str, float]:
    evaluation = json.loads(folder.evaluation.read_text("utf-8"))
    metrics = {name: value for name, value in evaluation["metrics"].items() if value is not None}
    metrics["seconds"] = folder.status().seconds
    events = read_events(folder.log)
    return metrics | _traces(events) | curve_metrics(events)


def _traces(events: Iterable[Event]) -> dict[str, float]:
    """Return statistics of side tasks' weights and losses over the logged steps."""
    below: list[float] = []
    correlations: list[float] = []
    ends: dict[str, float] = {}
    for event in events:
        if not isinstance(event, StepEvent):
            continue
        sides = [task for task in SIDES if task in event.losses and task in event.weights]
        weights = {task: event.weights[task] for task in sides}
        if len(sides) < 2:
            continue
        ends = {f"trace/weight/{task}": weight for task, weight in weights.items()}
        if max(weights.values()) - min(weights.values()) > 1e-6 * max(weights.values()):
            heaviest = max(weights, key=weights.__getitem__)
            mean = fmean(event.losses[task] for task in sides)
            below.append(mean - event.losses[heaviest])
            losses = [event.losses[task] for task in sides]
            if max(losses) > min(losses):
                correlations.append(correlation([weights[task] for task in sides], losses))
    if below:
        ends["trace/heaviest-below-mean"] = fmean(below)
    if correlations:
        ends["trace/correlation"] = fmean(correlations)
    return ends
