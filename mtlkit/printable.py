"""Text that a terminal shows as it is.

The names of files, labels and plugins may hold control characters, by which a terminal changes its
title, its colors or the text above.
"""

import re
import sys

import click

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters except tab and line feed, changes of direction, and lone surrogates."""


class MtlkitWarning(UserWarning):
    """A warning for the user, which the command line prints on one line."""


def printable(text: str) -> str:
    r"""Return `text` with its control characters as escape sequences.

    >>> printable("run\x1b[31m red\nnext line")
    'run\\x1b[31m red\nnext line'
    """
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def printable_line(text: str) -> str:
    r"""Return `text` as one line, with line feeds and control characters as escape sequences.

    >>> printable_line("run\nmtlkit: error: none")
    'run\\nmtlkit: error: none'
    """
    return printable(text).replace("\n", "\\n")


def echo_data(text: str) -> None:
    """Print `text` as it is for another program, and as `echo` does to a terminal.

    Lone surrogates, which no encoding has, are escape sequences in both.
    """
    if sys.stdout.isatty():
        echo(*text.removesuffix("\n").split("\n"))
    else:
        encodable = text.encode("utf-8", "backslashreplace").decode()
        click.echo(encodable, nl=False, color=True)  # click removes escape sequences otherwise


def echo(*lines: object, err: bool = False) -> None:
    """Print each of `lines`, or an empty one; a line feed in one of them is escaped, too.

    So a name never looks like another line of the output.
    """
    for line in lines or ("",):
        click.echo(printable_line(str(line)), err=err)
