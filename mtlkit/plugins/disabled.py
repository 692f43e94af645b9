"""The plugins that the user has disabled, stored in a file in the user's configuration folder."""

from collections.abc import Iterable
from pathlib import Path

from mtlkit.atomic_files import disk_errors, write_file


def disabled_file() -> Path:
    """Return the path of the file with the namespaces of disabled plugins, one a line."""
    import click  # imported on use, because loading a catalog must stay fast

    return Path(click.get_app_dir("mtlkit")) / "disabled-plugins.txt"


def read_disabled() -> frozenset[str]:
    """Return the namespaces of the disabled plugins."""
    try:
        text = disabled_file().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # usually the file does not exist
        return frozenset()
    return frozenset(line.strip() for line in text.splitlines() if line.strip())


def write_disabled(namespaces: Iterable[str]) -> None:
    """Store `namespaces` as those of all disabled plugins."""
    path = disabled_file()
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, "".join(f"{name}\n" for name in sorted(namespaces)).encode())
