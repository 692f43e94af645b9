"""Office-31 and Office-Home: the classes of objects in several domains, a task for each domain.

Paper: Kate Saenko, Brian Kulis, Mario Fritz and Trevor Darrell, "Adapting Visual Category Models to
New Domains", ECCV 2010 (Office-31); Hemanth Venkateswara, Jose Eusebio, Shayok Chakraborty and
Sethuraman Panchanathan, "Deep Hashing Network for Unsupervised Domain Adaptation", CVPR 2017
(Office-Home).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import attrs
import torch

from mtlkit.data import (
    Categorical,
    ClassTarget,
    Column,
    Data,
    Frame,
    Loading,
    RandomSplit,
    Split,
    Target,
    split_samples,
)
from mtlkit.plugins import MISSING, DataError, at_least, one_of
from mtlkit_benchmarks.trees.files import existing, image_rows, read_lines
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import OfficialTree

PARTS = {"train": "train", "validation": "val", "test": "test"}


@attrs.frozen
class Variant:
    """A data set of the family: its classes, and the images of each domain."""

    title: str
    page: str
    classes: int
    pattern: str  # of the images below the folder of a domain
    domains: Mapping[str, int]
    samples: tuple[int, int, int]


VARIANTS = {
    "31": Variant(
        "Office-31", "the page Domain Adaptation of faculty.cc.gatech.edu/~judy, or LibMTL",
        31, "images/*/*.jpg", {"amazon": 2817, "dslr": 498, "webcam": 795}, (2433, 790, 887),
    ),
    "home": Variant(
        "Office-Home", "the page Office-Home of hemanthdv.org",
        65, "*/*.jpg", {"Art": 2427, "Clipart": 4365, "Product": 4439, "Real_World": 4357},
        (9252, 3116, 3220),
    ),
}  # fmt: skip


@attrs.frozen(kw_only=True)
class Office(OfficialTree):
    """Images with a label of their class for the domain that they are from; the others lack it.

    `folder` has a folder for each domain: ``amazon``, ``dslr`` and ``webcam`` of Office-31, with
    ``images/CLASS``, or ``Art``, ``Clipart``, ``Product`` and ``Real_World`` (or ``Real World``) of
    Office-Home, with ``CLASS``. `lists` is a folder, relative to `folder`, of the splits of LibMTL,
    ``DOMAIN_{train,val,test}.txt`` with lines ``PATH LABEL``; without it, images are split by
    `split` within each domain. Every sample also has the label `domain`.
    """

    folder: Path = Path("office")
    variant: str = attrs.field(default="31", validator=one_of(*VARIANTS))
    lists: Path | None = None
    split: RandomSplit = attrs.field(factory=lambda: RandomSplit(validation=0.2, test=0.2))
    size: int = attrs.field(default=224, validator=at_least(1))

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return dict.fromkeys(VARIANTS[self.variant].domains, ClassTarget)

    def layout(self) -> Layout:
        variant = VARIANTS[self.variant]
        parts = [
            TreePart(
                f"{name}/{variant.pattern}",
                (f"{name.replace('_', ' ')}/{variant.pattern}",) if "_" in name else (),
                count,
            )
            for name, count in variant.domains.items()
        ]
        if self.lists is not None:
            parts.append(
                TreePart(f"{self.lists.as_posix()}/*_*.txt", count=3 * len(variant.domains))
            )
        return Layout(variant.title, variant.page, tuple(parts))

    def samples(self) -> Mapping[str, int]:
        published = dict(zip(PARTS, VARIANTS[self.variant].samples, strict=True))
        return published if self.lists is not None else {}

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        parts: dict[str, dict[str, list[str]]] = {split: {} for split in PARTS}
        for domain in self.label_targets:
            for split, files in self._files(folder, domain).items():
                parts[split][domain] = files
        names = sorted(
            {_class(file) for by in parts.values() for files in by.values() for file in files}
        )
        expected = VARIANTS[self.variant].classes
        if self.complete and len(names) != expected:
            raise DataError(f"{folder}: got {len(names)} classes, expected {expected}")
        splits = {split: self._split(folder, by, names, loading) for split, by in parts.items()}
        return Data(
            train=splits["train"], validation=splits["validation"], test=splits["test"],
            mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375),
        )  # fmt: skip

    def _files(self, folder: Path, domain: str) -> Mapping[str, list[str]]:
        """Return the files of a domain by split, as paths below `folder`."""
        name = next(n for n in (domain, domain.replace("_", " ")) if (folder / n).is_dir())
        if self.lists is not None:
            return {
                split: read_list(folder / self.lists / f"{domain}_{part}.txt", domain, name)
                for split, part in PARTS.items()
            }
        paths = sorted((folder / name).glob(VARIANTS[self.variant].pattern))
        files = [path.relative_to(folder).as_posix() for path in paths]
        split = attrs.evolve(self.split, stratify="class")
        indices = split_samples(split, files, [_class(file) for file in files])
        return {part: [files[i] for i in indices.get(part, [])] for part in PARTS}

    def _split(
        self,
        folder: Path,
        by_domain: Mapping[str, list[str]],
        names: Sequence[str],
        loading: Loading,
    ) -> Split:
        files = [file for files in by_domain.values() for file in files]
        of = [domain for domain, files in by_domain.items() for _ in files]
        codes = torch.tensor([names.index(_class(file)) for file in files])
        columns: dict[str, Column] = {"domain": Categorical.of(of, tuple(self.label_targets))}
        for domain in self.label_targets:
            inside = torch.tensor([name == domain for name in of], dtype=torch.bool)
            columns[domain] = Categorical(torch.where(inside, codes, MISSING), tuple(names))
        paths = existing([folder / file for file in files])
        images = image_rows(paths, Frame(self.size, self.size, 3, "bilinear"), loading)
        return Split(inputs=images, columns=columns, ids=files)


def read_list(path: Path, domain: str, folder: str) -> list[str]:
    """Return the files of a list, whose lines are ``PATH LABEL``; paths may have blanks.

    The first part of a path is the folder that holds the `domain`.
    """
    files, codes = [], dict[str, str]()
    for number, line in enumerate(read_lines(existing([path])[0]), start=1):
        name, _, code = line.strip().rpartition(" ")
        if not name.startswith((f"{domain}/", f"{folder}/")) or not code.isdigit():
            raise DataError(
                f"{path}: line {number}: got {line!r}, expected {domain}/... and the number of a "
                f"class"
            )
        if codes.setdefault(code, _class(name)) != _class(name):
            raise DataError(
                f"{path}: line {number}: got {code} for {_class(name)}, which is {codes[code]} "
                f"before; expected one class"
            )
        files.append(f"{folder}/{PurePosixPath(name).relative_to(PurePosixPath(name).parts[0])}")
    return files


def _class(file: str) -> str:
    return PurePosixPath(file).parent.name
