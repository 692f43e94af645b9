"""PAWS-X: whether two sentences are paraphrases, a task for each language.

Paper: Yinfei Yang, Yuan Zhang, Chris Tar and Jason Baldridge, "PAWS-X: A Cross-lingual Adversarial
Dataset for Paraphrase Identification", EMNLP 2019; the layout is that of XTREME (Hu et al., ICML
2020).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from mtlkit.data import Categorical, ClassTarget, Column, Data, InputSpec, Loading, Split, Target
from mtlkit.plugins import MISSING, DataError, at_least, each, nonempty, one_of
from mtlkit_benchmarks.trees.files import optional, read_lines
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import OfficialTree

PARTS = {"train": "train", "validation": "dev", "test": "test"}
LANGUAGES = ("en", "zh", "de", "es", "fr", "ja", "ko")
NAMES = ("different", "paraphrase")
PADDING, UNKNOWN, START, END = range(4)
"""Ids of the vocabulary that is made of the training sentences."""

Encoder = Callable[[str, str], Sequence[int]]


@attrs.frozen(kw_only=True)
class PawsX(OfficialTree):
    """Pairs of sentences with a label for their own language, different or paraphrase.

    `folder` has ``{train,dev,test}-LANGUAGE.tsv``: two sentences and a label of 0 or 1, or an id
    before them and a header, as in the official files. `vocabulary` is the WordPiece vocabulary of
    a pretrained model, ``vocab.txt``, relative to `folder`, and needs the extra ``text``. Without
    it, the vocabulary has the words, or characters of Chinese, Japanese and Korean, that the
    training sentences have twice.

    Inputs are `ids` (N, L) of both sentences between marks, at most `length`, and their `mask`.
    They are encoded on access.
    """

    folder: Path = Path("pawsx")
    languages: tuple[str, ...] = attrs.field(
        default=("en", "zh", "de", "es"), validator=nonempty(each(one_of(*LANGUAGES)))
    )
    vocabulary: Path | None = None
    length: int = attrs.field(default=128, validator=at_least(8))

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return dict.fromkeys(self.languages, ClassTarget)

    def layout(self) -> Layout:
        parts = [
            TreePart(f"{part}-{language}.tsv", count=1)
            for language in self.languages
            for part in PARTS.values()
        ]
        if self.vocabulary is not None:
            parts.append(TreePart(self.vocabulary.as_posix(), count=1))
        page = "the README of google-research/xtreme, or google-research-datasets/paws, on GitHub"
        return Layout("PAWS-X", page, tuple(parts))

    def samples(self) -> Mapping[str, int]:
        return {"train": 49_401 * len(self.languages)}

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        pairs = {
            split: {
                language: read_pairs(folder / f"{part}-{language}.tsv")
                for language in self.languages
            }
            for split, part in PARTS.items()
        }
        if self.vocabulary is None:
            train = [pair for rows in pairs["train"].values() for pair in rows]
            size, encoder = word_encoder(train, self.length)
        else:
            size, encoder = wordpiece_encoder(folder / self.vocabulary, self.length)
        splits = {name: self._split(name, rows, encoder) for name, rows in pairs.items()}
        return Data(
            train=splits["train"], validation=splits["validation"], test=splits["test"],
            inputs={
                "ids": InputSpec(shape=(self.length,), dtype="int64", vocabulary=size),
                "mask": InputSpec(shape=(self.length,), dtype="bool"),
            },
        )  # fmt: skip

    def _split(
        self, name: str, by_language: Mapping[str, Sequence["Pair"]], encoder: Encoder
    ) -> Split:
        rows = [pair for pairs in by_language.values() for pair in pairs]
        of = [language for language, pairs in by_language.items() for _ in pairs]
        codes = torch.tensor([pair.label for pair in rows])
        columns: dict[str, Column] = {"language": Categorical.of(of, self.languages)}
        for language in self.languages:
            inside = torch.tensor([other == language for other in of])
            columns[language] = Categorical(torch.where(inside, codes, MISSING), NAMES)
        ids = [
            f"{name}/{language} {n}" for language, p in by_language.items() for n in range(len(p))
        ]
        return Split(inputs=EncodedPairs(rows, encoder, self.length), columns=columns, ids=ids)


@attrs.frozen
class Pair:
    """Two sentences, and 1 for a paraphrase, 0 for none, or -1 without a label."""

    first: str
    second: str
    label: int


@attrs.frozen(eq=False)
class EncodedPairs:
    """Ids (N, L) and mask (N, L) of `pairs`, which `encoder` makes on access."""

    pairs: Sequence[Pair]
    encoder: Encoder
    length: int

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: Tensor, /) -> Mapping[str, Tensor]:
        ids = torch.full((len(index), self.length), PADDING)
        mask = torch.zeros(len(index), self.length, dtype=torch.bool)
        for row, place in enumerate(index.tolist()):
            pair = self.pairs[place]
            codes = torch.tensor(self.encoder(pair.first, pair.second))
            ids[row, : len(codes)], mask[row, : len(codes)] = codes, True
        return {"ids": ids, "mask": mask}


def read_pairs(path: Path) -> list[Pair]:
    """Return the pairs of a file, with or without a header and a column of ids."""
    pairs = []
    lines = read_lines(path)
    has_ids = bool(lines) and lines[0].split("\t")[0] == "id"
    for number, line in enumerate(lines[1:] if has_ids else lines, start=2 if has_ids else 1):
        cells = line.split("\t")[1:] if has_ids else line.split("\t")
        label = cells[2].strip() if len(cells) == 3 else ""
        if len(cells) not in (2, 3) or label not in ("0", "1", ""):
            raise DataError(
                f"{path}: line {number}: got {line[:60]!r}, expected two sentences and 0 or 1, "
                f"separated by tabs"
            )
        pairs.append(Pair(cells[0], cells[1], int(label) if label else MISSING))
    return pairs


def words(sentence: str) -> list[str]:
    """Return the words of a sentence in lower case; each character above U+2E80 is a word.

    >>> words("The cat, 猫猫")
    ['the', 'cat', ',', '猫', '猫']
    """
    spaced = "".join(
        f" {c} " if ord(c) > 0x2E80 or not (c.isalnum() or c.isspace()) else c for c in sentence
    )
    return spaced.lower().split()


@attrs.frozen
class _Words:
    ids: Mapping[str, int]
    length: int

    def __call__(self, first: str, second: str) -> Sequence[int]:
        one, two = ([self.ids.get(w, UNKNOWN) for w in words(text)] for text in (first, second))
        half = (self.length - 3) // 2
        return [START, *one[:half], END, *two[:half], END]


def word_encoder(pairs: Sequence[Pair], length: int) -> tuple[int, Encoder]:
    """Return the size of the vocabulary of `pairs`, and the encoder of two sentences."""
    counts = Counter(w for pair in pairs for text in (pair.first, pair.second) for w in words(text))
    kept = sorted(word for word, count in counts.items() if count > 1)
    ids = {word: number for number, word in enumerate(kept, start=END + 1)}
    return END + 1 + len(ids), _Words(ids, length)


@attrs.frozen
class _WordPieces:
    tokenizer: Any

    def __call__(self, first: str, second: str) -> Sequence[int]:
        ids: Sequence[int] = self.tokenizer.encode(first, second).ids
        return ids


def wordpiece_encoder(path: Path, length: int) -> tuple[int, Encoder]:
    """Return the size of a WordPiece vocabulary, and the encoder of two sentences."""
    tokenizers = optional("tokenizers", "text")
    lowercase = "uncased" in path.name
    tokenizer = tokenizers.BertWordPieceTokenizer(str(path), lowercase=lowercase)
    tokenizer.enable_truncation(length)
    return tokenizer.get_vocab_size(), _WordPieces(tokenizer)
