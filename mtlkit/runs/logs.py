"""The logs of a run, checked against the checksums that the run recorded at its end."""

from mtlkit.checksums import file_checksum
from mtlkit.errors import RunError
from mtlkit.loggers.event_files import read_events
from mtlkit.loggers.events import Event
from mtlkit.runs.storage.folder import RunFolder


def read_log(folder: RunFolder) -> list[Event]:
    """Return the reproducible events of the run; `RunError` if a finished log has changed."""
    _require_unchanged(folder, folder.log.name)
    return read_events(folder.log)


def read_speed(folder: RunFolder) -> list[Event]:
    """Return the speed events of the run; `RunError` if a finished log has changed."""
    _require_unchanged(folder, folder.speed.name)
    return read_events(folder.speed)


def log_checksums(folder: RunFolder) -> dict[str, str]:
    """Return the checksums of the logs that exist, by name."""
    logs = (folder.log, folder.speed)
    return {path.name: file_checksum(path) for path in logs if path.is_file()}


def _require_unchanged(folder: RunFolder, name: str) -> None:
    recorded = folder.status().checksums.get(name) if folder.status_file.exists() else None
    path = folder.path / name
    if recorded is not None and (not path.is_file() or file_checksum(path) != recorded):
        raise RunError(
            f"{path}: got another content than the finished run recorded, expected the log that "
            f"it wrote; restore the file from a copy, or train anew"
        )
