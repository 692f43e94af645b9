"""The report of a run, drawn from its files alone: neither data nor torch is needed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlkit.atomic_files import TEMPORARY, write_file
from mtlkit.errors import RunError
from mtlkit.report.evaluation import Evaluation, evaluation_from_json
from mtlkit.runs.storage.folder import RunFolder, open_run, read_json

if TYPE_CHECKING:
    from mtlkit.report.run_page import RunRecord

_MACHINE = ("python", "platform", "device", "threads")


def write_report(path: Path, beside: Sequence[Path] = (), out: Path | None = None) -> Path:
    """Draw the report of the run at `path`, with the runs `beside`, and return the file's path.

    The file is `out`, or lies in the run if `out` is None. Raises `RunError` for a folder that is
    not an evaluated run.
    """
    from mtlkit.report.run_page import render_page

    folder = open_run(path)
    target = out or folder.report
    if target.is_dir():
        raise RunError(f"{target}: is a folder; expected the name of a file to write")
    if not target.parent.is_dir():
        raise RunError(f"{target}: the folder {target.parent} does not exist; make it first")
    record, *others = read_records([path, *beside])
    write_file(target, render_page(record, others).encode())
    return target


def read_evaluation(folder: RunFolder) -> Evaluation:
    """Return the evaluation of the run; raise `RunError` if it has not been evaluated yet."""
    if not folder.evaluation.is_file():
        raise RunError(
            f"{folder.path}: has not been evaluated; run `mtlkit evaluate {folder.path}`, "
            f"or where training did not end, `mtlkit resume {folder.path}`"
        )
    text = folder.evaluation.read_bytes()
    return evaluation_from_json(text, str(folder.evaluation))


def read_records(paths: Sequence[Path]) -> "list[RunRecord]":
    """Return the records of the runs, under distinct names."""
    return [_record(open_run(path), name) for path, name in zip(paths, _names(paths), strict=True)]


def _record(folder: RunFolder, name: str) -> "RunRecord":
    from mtlkit.report.run_page import RunRecord
    from mtlkit.runs.logs import read_log, read_speed
    from mtlkit.runs.storage.changes import require_recipe

    provenance = read_json(folder.provenance)
    require_recipe(folder, provenance)
    return RunRecord(
        name=name,
        evaluation=read_evaluation(folder),
        events=[*read_log(folder), *read_speed(folder)],
        recipe=folder.recipe.read_text(encoding="utf-8"),
        versions=_versions(provenance),
    )


def _versions(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions without the paths of the machine, since a report may be published."""
    versions = dict(provenance.get("versions", {}))
    versions |= {name: str(provenance[name]) for name in _MACHINE if name in provenance}
    for name, component in provenance.get("components", {}).items():
        versions[name] = f"{component['distribution']} {component['version']}"
    return versions


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the folders' names, with as many of their parents as make them distinct.

    A folder that is being written has the name that it will get.

    >>> _names([Path("a/run"), Path("b/run")])
    ['a/run', 'b/run']
    """
    parts = [(*(p := path.absolute()).parts[:-1], p.name.removeprefix(TEMPORARY)) for path in paths]
    for depth in range(1, max(map(len, parts), default=1) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    repeated = next(
        path for path in paths if list(map(Path.absolute, paths)).count(path.absolute()) > 1
    )
    raise RunError(f"{repeated}: is named twice; a run cannot stand beside itself")
