"""Changes of a run's recipe, data, versions and processes since it began.

A resumed run equals an uninterrupted one only without such a change, so each is refused unless its
kind is accepted. Accepted changes are recorded in the provenance of the run.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import attrs

from mtlkit.checksums import checksum, file_checksum
from mtlkit.errors import DataError, RunError
from mtlkit.runs.storage.folder import RunFolder, read_json, write_json

KINDS = ("recipe", "versions", "ranks", "data", "log")
"""Kinds of changes that can be accepted."""

ACCEPTED = "accepted"
"""The key of the provenance that lists accepted changes."""


@attrs.frozen
class Change:
    """A change since the start of a run: its kind, and the old and the new value as text."""

    kind: str = attrs.field(validator=attrs.validators.in_(KINDS))
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.kind}: got {self.now}, expected {self.was}"


def recipe_changes(folder: RunFolder, provenance: Mapping[str, Any]) -> list[Change]:
    """Return the change of the text of the run's recipe, if there is one."""
    now, was = checksum([folder.recipe.read_bytes()]), provenance["recipe"]
    if now == was:
        return []
    return [Change("recipe", f"the text with checksum {was[:8]} that the run began with",
                   f"an edited {folder.recipe.name} with checksum {now[:8]}")]  # fmt: skip


def require_recipe(folder: RunFolder, provenance: Mapping[str, Any]) -> None:
    """Raise `RunError` if the recipe of the run was edited."""
    if recipe_changes(folder, provenance):
        raise RunError(
            f"{folder.recipe}: was edited or damaged after the run began, expected the recipe of "
            f"the run; restore it from a copy"
        )


def version_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Return the changed versions of mtlkit and of the plugins that own the run's components."""
    was, is_now = _owners(then), _owners(now)
    return [
        Change("versions", f"{name} {version}", f"{name} {is_now.get(name, 'not in use')}")
        for name, version in was.items()
        if is_now.get(name) != version
    ]


def _owners(provenance: Mapping[str, Any]) -> dict[str, str]:
    components = provenance["components"].values()
    owners = {component["distribution"]: component["version"] for component in components}
    return {**owners, "mtlkit": provenance["versions"]["mtlkit"]}


def rank_changes(provenance: Mapping[str, Any], ranks: int) -> list[Change]:
    """Return the change of the number of processes, if there is one."""
    was: int = provenance["ranks"]
    return [] if was == ranks else [Change("ranks", _processes(was), _processes(ranks))]


def _processes(number: int) -> str:
    return "1 process" if number == 1 else f"{number} processes"


def refuse_changes(folder: RunFolder, changes: Sequence[Change], accept: Collection[str]) -> None:
    """Raise `RunError` with all `changes` of kinds that are not in `accept`.

    It is a `DataError` if only the data has changed.
    """
    unknown = [kind for kind in accept if kind not in KINDS]
    if unknown:
        raise RunError(f"accept: got {unknown[0]!r}, expected some of {', '.join(KINDS)}")
    refused = [change for change in changes if change.kind not in accept]
    if refused:
        kinds = dict.fromkeys(change.kind for change in refused)
        options = " ".join(f"--accept {kind}" for kind in kinds)
        # the recipe, versions and ranks are compared in a resume only
        command = "" if set(kinds) == {"data"} else f"mtlkit resume {folder.path} "
        error = DataError if set(kinds) == {"data"} else RunError
        raise error(
            f"{folder.path}: {'; '.join(map(str, refused))}. The result would differ from that of "
            f"an unchanged run; undo the change, or accept and record it with `{command}{options}`"
        )


def log_changes(folder: RunFolder, logs: Mapping[str, Sequence[Any]]) -> list[Change]:
    """Return the logs that lack what they held at a checkpoint: `logs` are its size and checksum.

    Lines that were written after the checkpoint do not count.
    """
    changes = []
    for name, (size, recorded) in logs.items():
        path = folder.path / name
        size_now = path.stat().st_size if path.is_file() else -1
        if size_now < size:
            now = "no file" if size_now < 0 else f"{size_now} bytes"
            changes.append(Change("log", f"{size} bytes of {name} at the checkpoint", now))
        elif file_checksum(path, size) != recorded:
            changes.append(Change("log", f"{name} as it was at the checkpoint", "another content"))
    return changes


def record_changes(folder: RunFolder, changes: Sequence[Change], step: int, **facts: Any) -> None:
    """Add accepted `changes` at `step` to the provenance, and replace `facts` in it."""
    if changes:
        provenance = read_json(folder.provenance)
        entries = [{"step": step, **attrs.asdict(change)} for change in changes]
        accepted = [*provenance.get(ACCEPTED, []), *entries]
        write_json(folder.provenance, {**provenance, **facts, ACCEPTED: accepted})
