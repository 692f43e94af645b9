"""Treebanks of Universal Dependencies: the part of speech and the relation of each word.

Paper: Marie-Catherine de Marneffe, Christopher D. Manning, Joakim Nivre and Daniel Zeman,
"Universal Dependencies", Computational Linguistics 47(2), 2021.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from mtlkit.data import (
    Data,
    InputSpec,
    Labels,
    Loading,
    NamedInputs,
    Split,
    Target,
    TokenTarget,
)
from mtlkit.plugins import MISSING, DataError, at_least
from mtlkit_benchmarks.conllu import UPOS, Sentence, Word, read_sentences
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import OfficialTree

PADDING, UNKNOWN = 0, 1
"""Ids of padding and of what is not in the vocabulary, in every vocabulary."""

PARTS = {"train": "train", "validation": "dev", "test": "test"}


@attrs.frozen(kw_only=True)
class UniversalDependencies(OfficialTree):
    """Sentences of a treebank with the labels `upos` and `deprel` of each word.

    `folder` has the official files ``*-ud-train.conllu``, ``-dev`` and ``-test``. Inputs are `ids`
    (N, L) of lower-case words, `suffixes` (N, L), ids of their last three letters after a mark of
    capitals, and the `mask` (N, L) of words, padded to the longest sentence of the files.
    Vocabularies hold what the training split has `least` times. `deprel` is the relation to the
    head, with its subtype; the files for testing may have a relation that the training split lacks,
    which is then a missing label and counted in the summary.
    """

    folder: Path = Path("ud")
    least: int = attrs.field(default=2, validator=at_least(1))

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return {"upos": TokenTarget, "deprel": TokenTarget}

    def layout(self) -> Layout:
        parts = tuple(TreePart(f"*-ud-{part}.conllu", count=1) for part in PARTS.values())
        page = "the page of the treebank at universaldependencies.org"
        return Layout("a treebank of Universal Dependencies", page, parts)

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        texts = {part: read_sentences(_file(folder, name)) for part, name in PARTS.items()}
        length = max(len(s.words) for sentences in texts.values() for s in sentences)
        words = _vocabulary(map(word_key, _forms(texts["train"])), self.least)
        suffixes = _vocabulary(map(suffix_key, _forms(texts["train"])), self.least)
        relations = sorted({w.deprel for s in texts["train"] for w in s.words if w.deprel})
        encoder = _Encoder(length, words, suffixes, tuple(relations))
        unseen = sum(
            w.deprel is not None and w.deprel not in relations
            for sentences in texts.values()
            for s in sentences
            for w in s.words
        )
        return Data(
            train=encoder.split(texts["train"]),
            validation=encoder.split(texts["validation"]),
            test=encoder.split(texts["test"]),
            inputs={
                "ids": _ids(length, len(words)),
                "suffixes": _ids(length, len(suffixes)),
                "mask": InputSpec(shape=(length,), dtype="bool"),
            },
            summary={"words with an unseen relation": str(unseen)},
            preprocessing={"length": length, "words": list(words), "suffixes": list(suffixes)},
        )

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        """Return the sentences of a file in CoNLL-U, or those of a list of lists of words."""
        sentences = _new_sentences(rows)
        length = max(len(sentence.words) for sentence in sentences)
        if length > preprocessing["length"]:
            raise DataError(
                f"rows: got a sentence of {length} words, expected at most "
                f"{preprocessing['length']}, the longest in training; divide it"
            )
        words, suffixes = (_numbered(preprocessing[name]) for name in ("words", "suffixes"))
        encoder = _Encoder(preprocessing["length"], words, suffixes, ())
        return attrs.evolve(encoder.split(sentences), columns={})


def _new_sentences(rows: object) -> list[Sentence]:
    if isinstance(rows, str | Path):
        return read_sentences(Path(rows))
    if not isinstance(rows, Sequence) or not rows or not all(map(_is_sentence, rows)):
        raise DataError(
            "rows: expected the path of a file .conllu, or a list of sentences, each a list of "
            "words"
        )
    return [
        Sentence(f"sentence {number}", tuple(Word(form, None, None) for form in forms))
        for number, forms in enumerate(rows, start=1)
    ]


def _is_sentence(row: object) -> bool:
    return isinstance(row, list | tuple) and bool(row) and all(isinstance(w, str) for w in row)


@attrs.frozen
class _Encoder:
    """Sentences as padded tensors of `length` words."""

    length: int
    words: dict[str, int]
    suffixes: dict[str, int]
    relations: tuple[str, ...]

    def split(self, sentences: Sequence[Sentence]) -> Split:
        tag = {name: code for code, name in enumerate(UPOS)}
        relation = {name: code for code, name in enumerate(self.relations)}
        forms = [[word.form for word in s.words] for s in sentences]
        upos = [[tag.get(word.upos or "", MISSING) for word in s.words] for s in sentences]
        deprel = [[relation.get(word.deprel or "", MISSING) for word in s.words] for s in sentences]
        ids = [[self.words.get(word_key(form), UNKNOWN) for form in row] for row in forms]
        ends = [[self.suffixes.get(suffix_key(form), UNKNOWN) for form in row] for row in forms]
        inputs = {"ids": self._padded(ids, PADDING), "suffixes": self._padded(ends, PADDING)}
        return Split(
            inputs=NamedInputs({**inputs, "mask": inputs["ids"] != PADDING}),
            columns={
                "upos": Labels(TokenTarget(names=UPOS), self._padded(upos, MISSING)),
                "deprel": Labels(TokenTarget(names=self.relations), self._padded(deprel, MISSING)),
            },
            ids=[sentence.name for sentence in sentences],
        )

    def _padded(self, rows: Sequence[Sequence[int]], value: int) -> Tensor:
        padded = torch.full((len(rows), self.length), value, dtype=torch.int64)
        for number, row in enumerate(rows):
            padded[number, : len(row)] = torch.tensor(row)
        return padded


def word_key(form: str) -> str:
    """Return the entry of a word in the vocabulary of words: lower case, digits as 0.

    >>> word_key("Room-12")
    'room-00'
    """
    return "".join("0" if letter.isdigit() else letter for letter in form.lower())


def suffix_key(form: str) -> str:
    """Return the last three letters in lower case after `A` for capitals, `a` for an initial one.

    >>> suffix_key("Walking"), suffix_key("SQL"), suffix_key("the")
    ('aing', 'Asql', 'the')
    """
    mark = "A" if form.isupper() and len(form) > 1 else "a" if form[:1].isupper() else ""
    return mark + word_key(form)[-3:]


def _ids(length: int, known: int) -> InputSpec:
    return InputSpec(shape=(length,), dtype="int64", vocabulary=known + 2)


def _forms(sentences: Iterable[Sentence]) -> list[str]:
    return [word.form for sentence in sentences for word in sentence.words]


def _vocabulary(keys: Iterable[str], least: int) -> dict[str, int]:
    """Return the id of each key that occurs `least` times, the ids 0 and 1 left out."""
    return _numbered(sorted(key for key, count in Counter(keys).items() if count >= least))


def _numbered(keys: Sequence[str]) -> dict[str, int]:
    return {key: number for number, key in enumerate(keys, start=UNKNOWN + 1)}


def _file(folder: Path, part: str) -> Path:
    files = sorted(folder.glob(f"*-ud-{part}.conllu"))
    if len(files) != 1:
        raise DataError(
            f"{folder}: got {len(files)} files *-ud-{part}.conllu, expected one; set the folder of "
            f"a treebank by `folder`"
        )
    return files[0]
