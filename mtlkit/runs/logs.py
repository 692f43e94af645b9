"""The logs of a run, checked against the checksums that the run recorded at its end."""

from pathlib import Path

from mtlkit.checksums import file_checksum
from mtlkit.errors import RunError
from mtlkit.loggers.event_files import read_events
from mtlkit.loggers.events import Event
from mtlkit.runs.storage.folder import RunFolder


def read_log(folder: RunFolder) -> list[Event]:
    """Return the reproducible events of the run; `RunError` if a finished log has changed."""
    return _events(folder, folder.log)


def read_speed(folder: RunFolder) -> list[Event]:
    """Return the speed events of the run; `RunError` if a finished log has changed."""
    return _events(folder, folder.speed)


def log_checksums(folder: RunFolder) -> dict[str, str]:
    """Return the checksums of the logs that exist, by name."""
    logs = (folder.log, folder.speed)
    return {path.name: file_checksum(path) for path in logs if path.is_file()}


def _events(folder: RunFolder, path: Path) -> list[Event]:
    recorded = folder.status().checksums.get(path.name) if folder.status_file.exists() else None
    if recorded is not None and (not path.is_file() or file_checksum(path) != recorded):
        raise RunError(
            f"{path}: got another content than the finished run recorded, expected the log that "
            f"it wrote; restore the file from a copy, or train anew"
        )
    return read_events(path)
