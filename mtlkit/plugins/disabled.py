"""The plugins that the user has disabled, kept in a file of the user's own."""

from collections.abc import Iterable
from pathlib import Path


def disabled_file() -> Path:
    """Where the namespaces of disabled plugins stand, one a line."""
    import click  # knows where the system keeps such files; a catalog must not wait for it

    return Path(click.get_app_dir("mtlkit")) / "disabled-plugins.txt"


def read_disabled() -> frozenset[str]:
    """The namespaces of the plugins that are disabled."""
    try:
        text = disabled_file().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # no file is the usual case
        return frozenset()
    return frozenset(line.strip() for line in text.splitlines() if line.strip())


def write_disabled(namespaces: Iterable[str]) -> None:
    """Remember that the plugins with these `namespaces`, and no others, are disabled."""
    path = disabled_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in sorted(namespaces)), encoding="utf-8")
