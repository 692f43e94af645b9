"""Text that a terminal shows as it is.

The names of files, labels and plugins may hold control characters, by which a terminal changes its
title, its colors or the text above.
"""

import re

import click

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters except tab and line feed, changes of direction, and lone surrogates."""


def printable(text: str) -> str:
    r"""Return `text` with its control characters as escape sequences.

    >>> printable("run\x1b[31m red\nnext line")
    'run\\x1b[31m red\nnext line'
    """
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a line, which ends unless `nl` is false; control characters are escaped."""
    click.echo(printable(str(text)), err=err, nl=nl)
