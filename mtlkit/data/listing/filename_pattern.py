"""Labels in file names: a pattern such as ``{subject}_{pose}_{eyes}.pgm``."""

import re
from collections import Counter

TOKEN = re.compile(r"\{(?P<name>[^{}]*)\}|(?P<folders>\*\*/)|(?P<wild>\*)|(?P<text>[^{}*]+)")


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


def _separators(tokens: list[re.Match[str]]) -> set[str]:
    """Return the first character after each label or wildcard that is not a letter or a digit.

    Excluding them from labels makes a match unique.
    """
    separators = set()
    gaps = re.split(r"\{[^{}]*\}|(?<!\*)\*(?!\*)", "".join(token[0] for token in tokens))
    for gap in gaps[1:-1]:
        ends = [character for character in gap if not character.isalnum() and character != "*"]
        if not ends:
            raise ValueError(f"expected a separator such as '_' between two labels, got {gap!r}")
        separators.add(ends[0])
    return separators


def _expression(token: re.Match[str], label: str) -> str:
    if token["name"] is not None:
        return f"(?P<{token['name']}>{label})"
    if token["folders"] is not None:
        return "(?:.+/)?"
    if token["wild"] is not None:
        return "[^/]*"
    return re.escape(token["text"])
