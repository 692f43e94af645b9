"""The row of a study: one run that succeeded or failed."""

import contextlib
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import attrs

from mtlkit.checksums import sealed, unsealed
from mtlkit.errors import RunError


class Stage(Enum):
    """Purpose of a run."""

    TRIAL = "trial"  # of a method's search; judged on the validation split
    FINAL = "final"  # with the settings found, one for each seed; the test split is read here alone


class Budget(Enum):
    """Quantity that is equal for all methods."""

    EPOCHS = "epochs"
    TIME = "time"  # a step that costs twice as much leaves half as many epochs


@attrs.frozen(kw_only=True)
class Record:
    """One run of a study; a row of ``results.jsonl``.

    `problem` is a recipe's name in the comparison and `method` the name of the weighting. A method
    that trains each task alone has one run for each, which `task` names. `settings` are what the
    method's search chose for this run, by their paths in the recipe. `validation` and `test` are
    metrics by name, such as ``pose/accuracy``, at the end of training; those of the test split are
    known for final runs only.
    """

    problem: str
    method: str
    stage: Stage
    seed: int
    budget: Budget = Budget.EPOCHS
    task: str | None = None
    trial: int | None = None
    settings: Mapping[str, float | int | str | bool] = attrs.field(factory=dict)
    error: str | None = None  # reason of the failure; None if the run succeeded
    retries: int = 0  # how often its worker or machine was lost; the run continued each time
    score: float | None = None  # of a trial; the lowest is chosen
    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0  # of training
    peak_memory_bytes: int = 0
    parameters: int = 0
    validation: Mapping[str, float] = attrs.field(factory=dict)
    test: Mapping[str, float] = attrs.field(factory=dict)
    folder: str = ""  # of the run, from the study's

    @property
    def key(self) -> str:
        """Key of the run, unique within the study.

        >>> Record(problem="faces", method="famo", stage=Stage.FINAL, seed=3).key
        'faces/famo/epochs-seed3'
        >>> Record(problem="faces", method="famo", stage=Stage.TRIAL, seed=0, trial=7).key
        'faces/famo/trial7'
        """
        alone = f"{self.task}-" if self.task is not None else ""
        if self.stage is Stage.TRIAL:
            return f"{self.problem}/{self.method}/{alone}trial{self.trial}"
        return f"{self.problem}/{self.method}/{alone}{self.budget.value}-seed{self.seed}"


@attrs.frozen(kw_only=True)
class TaskMetric:
    """A metric of a task of a problem, by which methods are compared on it.

    Each task has one `primary` metric, which every final run must measure.
    """

    problem: str
    task: str
    metric: str  # as in `Record.test`
    higher_is_better: bool
    unit: str = ""
    chance_level: float | None = None  # value of the best constant prediction, if known
    primary: bool = True


def record_to_line(record: Record) -> str:
    """Return the record as one line of JSON with its checksum.

    >>> line = record_to_line(Record(problem="a", method="equal", stage=Stage.FINAL, seed=0))
    >>> record_of_line(line).method
    'equal'
    """
    value = attrs.asdict(record, value_serializer=_plain)
    return sealed(value, ascii_only=True)  # escapes all line breaks in an error's text


def record_of_line(line: str) -> Record:
    """Return the record that `record_to_line` wrote."""
    value = unsealed(line)
    value |= {"stage": Stage(value["stage"]), "budget": Budget(value["budget"])}
    return Record(**value)


def read_results(path: Path) -> list[Record]:
    """Return the records of the file at `path`, in the order in which the runs ended.

    A truncated last line is skipped: its run is not finished. Raises `RunError` if the file is
    missing, or if another line is invalid.
    """
    try:
        *lines, rest = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        raise RunError(f"{path}: is missing; expected the results of a study") from None
    records = list(_records(path, lines))
    with contextlib.suppress(*_NO_RECORD):
        records.append(record_of_line(rest.decode()))
    return records


_NO_RECORD = (ValueError, KeyError, TypeError)
"""Exceptions that an invalid line raises; invalid UTF-8 raises `ValueError`, too."""


def _records(path: Path, lines: Iterable[bytes]) -> Iterable[Record]:
    for number, line in enumerate(lines, start=1):
        try:
            yield record_of_line(line.decode())
        except _NO_RECORD as cause:
            raise RunError(f"{path}, line {number}: is not a record of a run: {cause}") from cause


def _plain(_owner: Any, _field: Any, value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
