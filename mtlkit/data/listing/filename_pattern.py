"""Labels in file names: a pattern such as ``{subject}_{pose}_{eyes}.pgm``.

A label may state its form: ``{azimuth:number}`` (digits, with a sign and a decimal point at most),
``{name:letters}``, or ``{pose:2}`` for two characters. Such a label ends by itself, without the
separators that other labels need: ``P{pose:2}A{azimuth:number}E{elevation:number}.pgm`` matches
``P00A+000E+20.pgm``.
"""

import re
from collections import Counter

TOKEN = re.compile(
    r"\{(?P<name>[^{}:]*)(?::(?P<form>[^{}]*))?\}|(?P<folders>\*\*/)|(?P<wild>\*)|(?P<text>[^{}*]+)"
)


FORMS = {"number": r"[+-]?\d+(?:\.\d+)?", "letters": r"[^\W\d_]+"}
"""Expressions of the forms of labels."""

_CONTINUED = {"number": r"\d|\.(\d|$)", "letters": r"[^\W\d_]"}
"""Text that may belong to the label before it."""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile to an expression whose groups are the labels in a path relative to the data folder.

    ``{name}`` is a label, ``*`` any other text, ``**/`` any number of folders; all other text is
    literal. Neither a label nor ``*`` contains a ``/``. A label contains no character that ends a
    label elsewhere in the pattern, so that every match is unique: ``{subject}_{pose}.png`` does not
    match ``a_b_left.png``. Raises `ValueError` if the pattern is invalid.

    >>> compile_pattern("{subject}/*_{yaw}.png").fullmatch("ann/x_-30.png").groupdict()
    {'subject': 'ann', 'yaw': '-30'}
    """
    tokens = _tokens(pattern)
    names = [token["name"] for token in tokens if token["name"] is not None]
    if not names:
        raise ValueError("expected at least one label such as {subject}, got none")
    for name, count in Counter(names).items():
        if not name.isidentifier():
            raise ValueError(f"expected a name of letters, digits and '_', got {{{name}}}")
        if count > 1:
            raise ValueError(f"the label {{{name}}} occurs twice; use * for one of them")
    _check_forms(tokens)
    label = f"[^{re.escape('/' + ''.join(sorted(_separators(tokens))))}]+"
    return re.compile("".join(_expression(token, label) for token in tokens))


def _tokens(pattern: str) -> list[re.Match[str]]:
    tokens: list[re.Match[str]] = []
    end = 0
    while end < len(pattern):
        token = TOKEN.match(pattern, end)
        if token is None:
            raise ValueError(f"expected matching braces, got a single one at {pattern[end:]!r}")
        tokens.append(token)
        end = token.end()
    return tokens


def _check_forms(tokens: list[re.Match[str]]) -> None:
    """Raise `ValueError` for an unknown form, and for text that may belong to the label before."""
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        form = token["form"]
        if form is None:
            continue
        if form not in FORMS and not (form.isdecimal() and int(form)):
            raise ValueError(
                f"expected the form number, letters or a number of characters, got {token[0]}"
            )
        if form.isdecimal() or following is None:
            continue
        after = following["text"]
        if after is not None:
            clear = re.match(_CONTINUED[form], after) is None
        else:  # a label or a wildcard
            clear = following["form"] in FORMS and following["form"] != form
        if not clear:
            raise ValueError(f"expected other text between {token[0]} and {following[0]}")


def _separators(tokens: list[re.Match[str]]) -> set[str]:
    """Return the first character after each label or wildcard that is not a letter or a digit.

    Excluding them from labels makes a match unique. Labels with a form end without one.
    """
    separators, gap, opened = set(), "", False
    for token in tokens:
        free = token["wild"] is not None or (token["name"] is not None and token["form"] is None)
        if not free and token["name"] is None:
            gap += token[0]
            continue
        if opened:
            ends = [character for character in gap if not character.isalnum() and character != "*"]
            if ends:
                separators.add(ends[0])
            else:
                raise ValueError(
                    f"expected a separator such as '_' between two labels, got {gap!r}; or state "
                    f"the form of the labels, such as {{name:number}}"
                )
        gap, opened = "", free
    return separators


def _expression(token: re.Match[str], label: str) -> str:
    if token["name"] is not None:
        form = token["form"]
        if form is not None:
            label = FORMS.get(form) or f"[^/]{{{form}}}"
        return f"(?P<{token['name']}>{label})"
    if token["folders"] is not None:
        return "(?:.+/)?"
    if token["wild"] is not None:
        return "[^/]*"
    return re.escape(token["text"])
