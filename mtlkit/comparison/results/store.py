"""The folder of a study: its comparison, its recipes and its records."""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from mtlkit.atomic_files import TEMPORARY, disk_errors, write_file
from mtlkit.checksums import checksum, file_checksum
from mtlkit.comparison.results.record import Record, read_results, record_to_line
from mtlkit.errors import RunError
from mtlkit.runs.storage.folder import read_json, write_json
from mtlkit.runs.storage.lock import HOLDER, LOCK, lock_folder


@attrs.frozen
class StudyFolder:
    """The files of a study.

    >>> StudyFolder(Path("runs/faces")).results.name
    'results.jsonl'
    """

    path: Path = attrs.field(converter=Path)

    @property
    def comparison(self) -> Path:
        """The comparison as it was resolved."""
        return self.path / "comparison.yaml"

    @property
    def study(self) -> Path:
        """The metadata needed to read the results."""
        return self.path / "study.json"

    @property
    def units(self) -> Path:
        """The losses by which the scores of trials are divided, by problem and task."""
        return self.path / "units.json"

    @property
    def results(self) -> Path:
        """A record for each run that ended, one JSON object per line."""
        return self.path / "results.jsonl"

    @property
    def losses(self) -> Path:
        """A line for each time that a run lost its worker or machine and was started again."""
        return self.path / "losses.jsonl"

    @property
    def report(self) -> Path:
        """The page that shows the study."""
        return self.path / "report.html"

    def recipe(self, problem: str) -> Path:
        """Return the path of the resolved recipe of a problem."""
        return self.path / "recipes" / f"{problem}.yaml"

    def run(self, key: str) -> Path:
        """Return the folder of a run."""
        return self.path / "runs" / key

    def records(self) -> dict[str, Record]:
        """Return the runs that ended, by their keys."""
        if not self.results.exists():
            return {}
        return {record.key: record for record in read_results(self.results)}

    def append(self, record: Record) -> None:
        """Append `record` to the results on disk."""
        _append(self.results, record_to_line(record))

    def append_loss(self, key: str, reason: str) -> None:
        """Append that the run `key` is started again, and why, to the losses on disk."""
        time = datetime.now(UTC).isoformat(timespec="seconds")
        line = json.dumps({"run": key, "time": time, "reason": reason})
        _append(self.losses, line)

    def count_losses(self) -> Counter[str]:
        """Return how often each run was started again; lines that were cut off do not count."""
        counts: Counter[str] = Counter()
        for line in self.losses.read_bytes().splitlines() if self.losses.exists() else ():
            with contextlib.suppress(ValueError, LookupError, TypeError):
                counts[json.loads(line)["run"]] += 1
        return counts

    def mend(self, *, without_failed: bool = False) -> list[Record]:
        """Drop a truncated last line and, `without_failed`, failed runs; return the latter."""
        if not self.results.exists():
            write_file(self.results, b"")
        records = read_results(self.results)
        kept = [record for record in records if not without_failed or record.error is None]
        text = "".join(f"{record_to_line(record)}\n" for record in kept).encode()
        if text != self.results.read_bytes():
            write_file(self.results, text)
        return [record for record in records if without_failed and record.error is not None]

    def read_units(self) -> dict[str, dict[str, float]]:
        """Return the units of every problem for which they are known."""
        return read_json(self.units) if self.units.exists() else {}

    def write_units(self, units: Mapping[str, Mapping[str, float]]) -> None:
        """Store the units; scores in different units are not comparable."""
        write_json(self.units, units)

    def locked(self) -> AbstractContextManager[None]:
        """Keep other comparisons out; `RunError` if one is running in the folder."""
        return lock_folder(self.path, "study", across_machines=True)


def _append(path: Path, line: str) -> None:
    with disk_errors(path), path.open("ab") as file:
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def open_study(path: Path) -> StudyFolder:
    """Return the study's folder at `path`; `RunError` if there is none."""
    folder = StudyFolder(path)
    if not folder.study.is_file():
        raise RunError(f"{path}: holds no study: there is no {folder.study.name} in it")
    require_whole_study(path, read_json(folder.study))
    return folder


def require_whole_study(folder: Path, study: Mapping[str, Any]) -> None:
    """Raise `RunError` if a file whose checksum is in `study` is missing, damaged or edited."""
    for name, recorded in study.get("files", {}).items():
        path = folder / name
        if not path.is_file() or file_checksum(path) != recorded:
            raise RunError(
                f"{path}: got another content than {folder / 'study.json'} recorded; restore it "
                f"from a copy, or run the same `mtlkit compare` again"
            )


def refuse_another(
    folder: StudyFolder, study: Mapping[str, Any], recipes: Mapping[str, str]
) -> None:
    """Raise `RunError` if the folder holds other files or a different study.

    Problems, methods, seeds and budgets may be added to a study; any other change invalidates its
    runs.
    """
    if not folder.path.exists():
        return
    if not folder.study.exists():
        if any(not _is_begun(item.name) for item in folder.path.iterdir()):
            raise RunError(
                f"{folder.path}: is not empty; expected a new or empty folder for the study"
            )
        return
    differences = list(_differences(folder, study, recipes))
    if differences:
        raise RunError(
            f"{folder.path}: holds a study with another {' and another '.join(differences)}; "
            f"choose another folder, or continue the same comparison. Problems, weightings, "
            f"seeds and budgets may be added"
        )


def begin(
    folder: StudyFolder, study: Mapping[str, Any], comparison: str, recipes: Mapping[str, str]
) -> None:
    """Write the study into a new folder, or check that an existing one matches it.

    `recipes` are texts by problem. Raises `RunError` as `refuse_another` does.
    """
    refuse_another(folder, study, recipes)
    files = {f"recipes/{folder.recipe(problem).name}": text for problem, text in recipes.items()}
    files[folder.comparison.name] = comparison
    for name, text in files.items():
        target = folder.path / name
        with disk_errors(target):
            target.parent.mkdir(exist_ok=True)
        write_file(target, text.encode())
    checksums = {name: checksum([text.encode()]) for name, text in files.items()}
    write_json(folder.study, {**study, "files": checksums})


def _is_begun(name: str) -> bool:
    """Return whether a study that was killed at its start may leave a file of that name."""
    return name in (LOCK, HOLDER, "recipes", "comparison.yaml") or name.startswith(TEMPORARY)


def _differences(
    folder: StudyFolder, study: Mapping[str, Any], recipes: Mapping[str, str]
) -> Iterator[str]:
    before = read_json(folder.study)
    if before["fixed"]["tuning"] != study["fixed"]["tuning"]:
        yield "tuning"
    for method, described in before["fixed"]["methods"].items():
        if study["fixed"]["methods"].get(method) != described:
            yield f"method {method!r}"
    for problem in before["problems"]:
        target = folder.recipe(problem)
        same = target.is_file() and target.read_bytes() == recipes.get(problem, "").encode()
        if problem not in recipes or not same:
            yield f"problem {problem!r}"
    for what in ("seeds", "budgets"):
        if not set(before[what]) <= set(study[what]):
            yield f"list of {what}"
