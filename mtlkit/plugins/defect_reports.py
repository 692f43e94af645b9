"""The distribution whose authors can correct an unexpected exception."""

import importlib.metadata
import traceback
from importlib.metadata import PackageNotFoundError

from mtlkit.plugins.discovery import installed_plugins

ISSUES = ("issue", "bug", "tracker")
"""Parts of the labels of project URLs at which defects are reported."""

HOMES = ("home", "source", "repository")
"""Parts of the labels of other project URLs, in order of preference after `ISSUES`."""


def responsible_plugin(error: BaseException) -> str | None:
    """Return the distribution of the plugin whose code raised `error`; None if none took part.

    It is that of the innermost frame in a module of a plugin.
    """
    owners = {p.module.partition(".")[0]: p.distribution for p in installed_plugins()}
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in owners:
            return owners[package]
    return None


def report_address(distribution: str) -> str:
    """Return the URL at which defects of a distribution are reported, or its home page, or "".

    >>> report_address("no-such-distribution")
    ''
    """
    try:
        metadata = importlib.metadata.metadata(distribution)
        pairs = [text.partition(",") for text in metadata.get_all("Project-URL") or ()]
        urls: dict[str, str] = {label.strip().lower(): url.strip() for label, _, url in pairs}
        urls["home page"] = (metadata.get_all("Home-page") or [""])[0]
    except (PackageNotFoundError, OSError, ValueError):  # also metadata that is not UTF-8
        return ""
    for part in (*ISSUES, *HOMES):
        for label, url in urls.items():
            if part in label and url:
                return url
    return ""
