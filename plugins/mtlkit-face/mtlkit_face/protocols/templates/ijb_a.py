"""IJB-A: each picture is embedded once, then templates are pooled, compared and searched."""

from functools import partial
from pathlib import Path

import attrs
import numpy as np

from mtlkit.data import Frame
from mtlkit.evaluators import Block, Text
from mtlkit.plugins import (
    DataError,
    MultiTaskModel,
    above,
    at_least,
    at_least_number,
    each,
    optional,
)
from mtlkit_face.data.input_files import read_lines
from mtlkit_face.metrics.charts import RANKS, cmc_chart, roc_and_det
from mtlkit_face.metrics.rank import identification_rate
from mtlkit_face.metrics.roc import mean_curve, roc
from mtlkit_face.protocols.embedding import ImageEmbedder, refusal
from mtlkit_face.protocols.listed_files import Tree
from mtlkit_face.protocols.mode import Mode
from mtlkit_face.protocols.pictures import FaceImage
from mtlkit_face.protocols.protocol import Progress, Protocol, no_progress
from mtlkit_face.protocols.report_blocks import facts, tables, worst_errors
from mtlkit_face.protocols.result import Measure, ProtocolReport, ProtocolResult
from mtlkit_face.protocols.rules import RULES, matching
from mtlkit_face.protocols.score_file import ScoredComparisons
from mtlkit_face.protocols.template_store import TemplateStore, store_templates
from mtlkit_face.protocols.templates.ijb_a_tables import SplitTables, read_splits
from mtlkit_face.protocols.templates.measures import SplitScores, split_measures
from mtlkit_face.protocols.templates.media import ALIASES, Sightings
from mtlkit_face.protocols.templates.pooling import POOLINGS
from mtlkit_face.protocols.templates.template_set import TemplateSet, score_split


@attrs.frozen(kw_only=True)
class IJBA(Protocol):
    """IJB-A: comparison and search of templates of many pictures, over ten splits.

    `images` holds `img` and `frame`; `protocol` the folders `IJB-A_11_sets` and `IJB-A_1N_sets`,
    by default `images`. Relative paths start from the working directory. With `margin` the face
    boxes, enlarged by this part of their sides, are cropped; None expects aligned faces, with the
    listed name or, if a picture shows several people, with the sighting appended: `img/7.jpg`,
    `img/7_345.jpg`. `well_aligned` is a list of files, one a line: a template with any of them
    pools these only. The strict mode expects `splits` splits.

    >>> IJBA(images=Path("ijb-a")).fpir
    (0.1, 0.01)
    """

    images: Path
    protocol: Path | None = None
    margin: float | None = attrs.field(default=None, validator=optional(at_least_number(0)))
    well_aligned: Path | None = None
    splits: int = attrs.field(default=10, validator=at_least(1))
    far: tuple[float, ...] = attrs.field(default=(0.01, 0.001), validator=each(above(0)))
    fpir: tuple[float, ...] = attrs.field(default=(0.1, 0.01), validator=each(above(0)))
    ranks: tuple[int, ...] = attrs.field(default=(1, 5), validator=each(at_least(1)))

    @property
    def name(self) -> str:
        return "ijb-a"

    def verify(self) -> None:
        self.template_set()

    def template_set(self) -> TemplateSet:
        """Read the set, and raise `DataError` if the mode does not accept it."""
        splits = read_splits(self.protocol or self.images)
        if self.mode is Mode.STRICT and len(splits) != self.splits:
            raise DataError(
                f"{self.name}: expected {self.splits} splits, got {len(splits)}. Complete the "
                f"set, or set `splits` of another one, or `mode: compatible`"
            )
        rows = (row for split in splits for row in split.sightings())
        sightings = Sightings(rows, Tree(self.images, ALIASES), self.margin)
        missing = {
            picture.name: picture.fault
            for picture in sightings.pictures
            if picture.source is None and not picture.faceless
        }
        if missing and not self.counts_failures:
            raise DataError(refusal(self.name, missing))
        for split in splits:
            _check_kinds(self, split)
        well = _well_aligned(self.well_aligned, sightings)
        return TemplateSet(splits=splits, sightings=sightings, well=well)

    def outcome(
        self,
        model: MultiTaskModel,
        progress: Progress = no_progress,
        weights: str | None = None,
        frame: Frame | None = None,
    ) -> ProtocolReport:
        embedder = ImageEmbedder(self, model, progress, weights, frame)
        templates = self.template_set()
        with store_templates(templates.sightings.pictures, embedder) as store:
            return self._report(templates, store, embedder)

    def _report(
        self, templates: TemplateSet, store: TemplateStore, embedder: ImageEmbedder
    ) -> ProtocolReport:
        scores = {
            name: [
                score_split(split, partial(templates.pooled, store, pooling))
                for split in templates.splits
            ]
            for name, pooling in POOLINGS.items()
        }
        results = {
            name: self._result(templates, embedder, name, scored) for name, scored in scores.items()
        }
        main = next(iter(scores))
        title = "IJB-A" if self.mode is Mode.STRICT else f"IJB-A ({self.mode.value})"
        curves = {
            name: mean_curve([roc(split.score, split.same) for split in splits])
            for name, splits in scores.items()
        }
        persons = min(len(split.gallery) for split in templates.splits)
        rates = {
            name: [
                float(np.mean([identification_rate(split.search.rank, rank) for split in splits]))
                for rank in range(1, min(RANKS, persons) + 1)
            ]
            for name, splits in scores.items()
        }
        setup = facts(results, embedder) | self._pooling_facts(templates, scores[main])
        threshold = results[main].measures[f"tar-at-far/{self.far[0]:g}"].at["threshold/1"]
        heads = (f"tar-at-far/{self.far[0]:g}", f"rank-{self.ranks[0]}")
        return ProtocolReport(
            prefix=self.prefix,
            title=title,
            results=results,
            headlines=tuple(f"{main}/{name}" for name in heads),
            blocks=(
                Text(text=_sentence(results[main], heads)),
                *roc_and_det(curves, title),
                cmc_chart(rates, f"CMC: {title}"),
                *tables(results, setup),
                _worst_errors(templates, store, scores[main][0], threshold, embedder),
            ),
            scores=tuple(_comparisons(name, templates, scored) for name, scored in scores.items()),
        )

    def _result(
        self,
        templates: TemplateSet,
        embedder: ImageEmbedder,
        pooling: str,
        scored: list[SplitScores],
    ) -> ProtocolResult:
        return ProtocolResult(
            protocol=self.name,
            version=f"{len(templates.splits)} splits, templates by {pooling.replace('-', ' ')}",
            mode=self.mode.value,
            matching=f"pooled templates; pictures by {matching(self.mode, self.mirror)}",
            weights=embedder.weights,
            preprocessing=attrs.evolve(embedder.preprocessing, margin=self.margin),
            n_genuine=sum(int(split.same.sum()) for split in scored),
            n_impostor=sum(int((~split.same).sum()) for split in scored),
            pictures=len(templates.sightings.pictures),
            failures=len(embedder.failed),
            failed=dict(list(embedder.failed.items())[:20]),
            measures=split_measures(
                scored, self.far, self.ranks, self.fpir, RULES[self.mode], self.replicates
            ),
        )

    def _pooling_facts(self, templates: TemplateSet, scored: list[SplitScores]) -> dict[str, str]:
        boxes = "assumed to be aligned faces"
        if self.margin is not None:
            boxes = (
                f"face boxes of the tables, enlarged by {self.margin:g} of their sides on each side"
            )
        well = "unknown: all pictures are pooled"
        if self.well_aligned is not None:
            well = f"{len(templates.well):,} pictures; a template with any pools these only"
        empty = sum(split.failed for split in scored)
        return {
            "faces": boxes,
            "well-aligned pictures": well,
            "templates without any picture": f"{empty:,}, which match nothing",
        }


def _comparisons(
    pooling: str, templates: TemplateSet, scored: list[SplitScores]
) -> ScoredComparisons:
    tables = [split.comparisons for split in templates.splits]
    first, second = np.concatenate(tables).T.tolist()
    return ScoredComparisons(
        part=pooling,
        fold=[s.number for s, table in zip(templates.splits, tables, strict=True) for _ in table],
        first=[str(number) for number in first],
        second=[str(number) for number in second],
        same=np.concatenate([split.same for split in scored]),
        score=np.concatenate([split.score for split in scored]),
    )


def _check_kinds(config: IJBA, split: SplitTables) -> None:
    """Check that a split has genuine and impostor comparisons, and a mate for some probe."""
    subjects = {number: template.subject for number, template in split.verify.items()}
    kinds = {subjects[a] == subjects[b] for a, b in split.comparisons.tolist()}
    if len(kinds) < 2:
        raise DataError(
            f"{config.name}: the comparisons of split {split.number} are all "
            f"{'genuine' if True in kinds else 'of impostors'}; expected both"
        )
    gallery = {template.subject for template in split.gallery.values()}
    if not any(template.subject in gallery for template in split.probes.values()):
        raise DataError(
            f"{config.name}: no probe of split {split.number} has its subject in the gallery"
        )


def _well_aligned(path: Path | None, sightings: Sightings) -> frozenset[int]:
    """Return the indices of pictures in the list, by name of the file or of the aligned face."""
    if path is None:
        return frozenset()
    lines = read_lines(path, "a list of well-aligned files", "well_aligned")
    listed = {line.strip() for line in lines if line.strip()}
    indices: dict[str, list[int]] = {}
    for index, picture in enumerate(sightings.pictures):
        for name in _names(picture):
            indices.setdefault(name, []).append(index)
    unknown = sorted(listed - indices.keys())
    if unknown:
        raise DataError(
            f"{path}: {len(unknown)} lines name no picture of the set, "
            f"such as {unknown[0]!r}; expected names as `img/7.jpg` or `img/7_345.jpg`"
        )
    return frozenset(index for name in listed for index in indices[name])


def _names(picture: FaceImage) -> tuple[str, ...]:
    """Return the names ``img/7.jpg`` and, of its sighting 345, ``img/7_345.jpg``."""
    file, _, face = picture.name.partition(", ")
    stem, dot, suffix = file.rpartition(".")
    return file, f"{stem}_{face.removeprefix('sighting ')}{dot}{suffix}"


def _sentence(result: ProtocolResult, heads: tuple[str, str]) -> str:
    def one(name: str) -> str:
        m: Measure = result.measures[name]
        return f"{name} is {m.value:.4f} ± {m.deviation:.4f} (deviation over {len(m.folds)} splits)"

    return (
        f"{one(heads[0])} and {one(heads[1])}. Both are means over splits; scores of different "
        f"splits are never pooled."
    )


def _worst_errors(
    templates: TemplateSet, store: TemplateStore, scored: SplitScores, threshold: float,
    embedder: ImageEmbedder,
) -> Block:  # fmt: skip
    """Return the worst errors of the first split, each template shown by its first picture."""
    split = templates.splits[0]

    def picture(number: int) -> FaceImage:
        rows = split.verify[number]
        used = templates.used(store, rows)
        index = used[0][0] if used else templates.sightings.index(rows.sightings[0])
        return templates.sightings.pictures[index]

    first, second = ([picture(n) for n in side] for side in split.comparisons.T.tolist())
    right = (scored.score >= threshold) == scored.same
    return worst_errors((first, second), scored.score, scored.same, right, embedder)
