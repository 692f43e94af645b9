"""The format CoNLL-U of treebanks: a word in each line, an empty line after each sentence."""

from collections.abc import Iterator
from pathlib import Path

import attrs

from mtlkit.plugins import DataError
from mtlkit_benchmarks.trees.files import readable

UPOS = (
    "ADJ",
    "ADP",
    "ADV",
    "AUX",
    "CCONJ",
    "DET",
    "INTJ",
    "NOUN",
    "NUM",
    "PART",
    "PRON",
    "PROPN",
    "PUNCT",
    "SCONJ",
    "SYM",
    "VERB",
    "X",
)
"""Universal part-of-speech tags of Universal Dependencies 2."""

_COLUMNS = 10


@attrs.frozen
class Word:
    """A word with its part of speech and its relation to its head; None for a missing label."""

    form: str
    upos: str | None
    deprel: str | None


@attrs.frozen
class Sentence:
    """The words of a sentence, and its `sent_id`."""

    name: str
    words: tuple[Word, ...]


def read_sentences(path: Path) -> list[Sentence]:
    """Return the sentences of a file, without multi-word tokens and empty nodes.

    Raises `DataError` with the line of a mistake.
    """
    with readable(path):
        lines = path.read_text(encoding="utf-8").splitlines()
    sentences = list(_sentences(path, lines))
    if not sentences:
        raise DataError(f"{path}: has no sentence")
    return sentences


def _sentences(path: Path, lines: list[str]) -> Iterator[Sentence]:
    name, words = "", list[Word]()
    for number, line in enumerate([*lines, ""], start=1):
        if line.startswith("#"):
            key, _, value = line[1:].partition("=")
            name = value.strip() if key.strip() == "sent_id" else name
        elif line.strip():
            word = _word(f"{path}: line {number}", line, len(words) + 1)
            words += [] if word is None else [word]
        elif words:
            if not name:
                raise DataError(f"{path}: line {number}: the sentence before it has no sent_id")
            yield Sentence(name, tuple(words))
            name, words = "", []


def _word(place: str, line: str, expected: int) -> Word | None:
    """Return the word of a line; None for a multi-word token or an empty node."""
    cells = line.split("\t")
    if len(cells) != _COLUMNS:
        raise DataError(f"{place}: got {len(cells)} columns, expected {_COLUMNS}")
    identifier, form, _, upos, *_, deprel, _, _ = cells
    if "-" in identifier or "." in identifier:
        return None
    if identifier != str(expected):
        raise DataError(f"{place}: got the word {identifier}, expected {expected}")
    if upos not in (*UPOS, "_"):
        raise DataError(f"{place}: got the tag {upos!r}, expected one of {', '.join(UPOS)}")
    return Word(form, None if upos == "_" else upos, None if deprel == "_" else deprel)
