"""The distribution whose authors can correct an unexpected exception."""

import importlib.metadata
import traceback
from importlib.metadata import PackageNotFoundError

from mtlkit.plugins.discovery import installed_plugins

ISSUES = ("issue", "bug", "tracker")
"""Parts of the labels of project URLs at which defects are reported."""

HOMES = ("home", "source", "repository")
"""Parts of the labels of other project URLs, in order of preference after `ISSUES`."""


CALLERS = ("mtlkit.cli", "mtlkit.cli.boundary")
"""Modules that call the command of any distribution, and are in every traceback."""


def distributions_in(error: BaseException) -> list[str]:
    """Return mtlkit and the plugins in whose code `error` was raised, the innermost frame first.

    Frames of other libraries do not count: whoever called them is responsible.
    """
    owners = {p.module.partition(".")[0]: p.distribution for p in installed_plugins()}
    owners["mtlkit"] = "mtlkit"
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    modules = [str(frame.f_globals.get("__name__", "")) for frame in reversed(frames)]
    packages = [name.partition(".")[0] for name in modules if name not in CALLERS]
    return list(dict.fromkeys(owners[name] for name in packages if name in owners))


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
